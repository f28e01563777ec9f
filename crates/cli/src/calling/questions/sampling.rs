//! A command that answers for the model: the request on its standard input, the result on its standard output.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use anypod_client::proto::sampling::{CreateMessageRequestParams, CreateMessageResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::output;
use crate::usage::Usage;

/// How long the command may take for one request.
const DEADLINE: Duration = Duration::from_secs(300);
/// The longest result, in bytes.
const RESULT_LIMIT: u64 = 16 << 20;

/// The command.
#[derive(Debug)]
pub(super) struct Model {
    program: String,
    arguments: Vec<String>,
}

impl Model {
    /// A command as a shell would split it. Nothing else that shells do is done.
    ///
    /// # Errors
    /// If it has no words, or a quote that does not end.
    pub(super) fn parse(command: &str) -> Result<Self, Usage> {
        let words = shell_words::split(command)
            .map_err(|_| Usage::new(format!("--sampling-command '{command}' has a quote that does not end")))?;
        let (program, arguments) =
            words.split_first().ok_or_else(|| Usage::new("--sampling-command is empty: give a command"))?;
        Ok(Self { program: program.clone(), arguments: arguments.to_vec() })
    }

    /// Runs the command for one request. Dropped, it is killed.
    ///
    /// # Errors
    /// If it does not start, fails, takes too long, or writes no result or too much of it.
    pub(super) async fn ask(&self, params: &CreateMessageRequestParams) -> anyhow::Result<CreateMessageResult> {
        output::note("sampling", &format!("the server uses your model, by {}", self.program));
        let request = serde_json::to_vec(params)?;
        let ran = timeout(DEADLINE, self.run(&request)).await;
        let text = ran.with_context(|| format!("{} took longer than {DEADLINE:?}", self.program))??;
        serde_json::from_slice(&text).with_context(|| format!("what {} wrote is no result of sampling", self.program))
    }

    async fn run(&self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot run {}", self.program))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{} has no pipes", self.program);
        };
        let write = async {
            // A command that does not read all of it may have its reasons.
            let _ = input.write_all(request).await;
            drop(input);
        };
        let mut text = Vec::new();
        let mut output = output.take(RESULT_LIMIT + 1);
        let ((), read) = tokio::join!(write, output.read_to_end(&mut text));
        read?;
        ensure!(text.len() as u64 <= RESULT_LIMIT, "{} wrote more than {RESULT_LIMIT} bytes", self.program);
        let status = child.wait().await?;
        ensure!(status.success(), "{} failed: {status}", self.program);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn ask(command: &str) -> anyhow::Result<CreateMessageResult> {
        let params = serde_json::from_value(json!({ "messages": [], "maxTokens": 1 })).unwrap();
        Model::parse(command).unwrap().ask(&params).await
    }

    #[tokio::test]
    async fn the_command_reads_the_request_and_writes_the_result() {
        let script =
            r#"grep -q maxTokens && echo '{"role":"assistant","model":"m","content":{"type":"text","text":"hi"}}'"#;
        let result = ask(&shell_words::join(["sh", "-c", script])).await.unwrap();
        assert_eq!(result.model, "m");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_an_error() {
        for command in ["false", "no-such-program", "echo", "sh -c 'echo {}; exit 1'"] {
            assert!(ask(command).await.is_err(), "{command}");
        }
        assert!(Model::parse("").is_err() && Model::parse("a 'b").is_err());
    }

    #[tokio::test]
    async fn a_command_that_writes_without_end_is_given_up() {
        let said = ask("yes").await.unwrap_err().to_string();
        assert!(said.contains("more than"), "{said}");
    }
}
