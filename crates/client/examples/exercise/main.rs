//! Everything that the client can do, tried on a server that somebody else wrote:
//!
//! `cargo run --example exercise -- [--script peer|everything] --era modern|legacy [--pin] URL`
//! `cargo run --example exercise -- [--script peer|everything] --era modern|legacy [--pin] -- COMMAND [ARGUMENT]...`
//!
//! Prints one line of JSON per feature: `{"feature": …, "outcome": "ok"}`, or `"n/a"` with `why` if the server does not
//! offer it, or `"failed"` with `why`. Ends with 1 if one failed. The era is the one that must come to be spoken; the
//! client finds it, or with `--pin` is told. A script names the server's tools: `peer` those of
//! `tests/peers/servers/catalogue.json`, `everything` those of `@modelcontextprotocol/server-everything`.

mod answers;
mod arguments;
mod asks;
mod calls;
mod changes;
mod lists;
mod script;
mod watch;

use std::fmt::{self, Display, Formatter};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use anypod_client::Client;
use anypod_client::proto::capabilities::ServerCapabilities;
use anypod_client::proto::tools::CallToolResult;
use anypod_client::proto::version::Era;
use serde_json::json;

use crate::answers::Questions;
use crate::arguments::Arguments;
use crate::script::{Script, Step};
use crate::watch::Watch;

/// A server that does not end a feature within this time fails it.
const FEATURE_LIMIT: Duration = Duration::from_secs(20);

/// The server has no such feature, and does not claim to.
#[derive(Debug)]
struct Absent(String);

impl Display for Absent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Absent {}

fn absent<T>(why: impl Into<String>) -> Result<T> {
    Err(Absent(why.into()).into())
}

/// One server under test.
struct Exercise {
    client: Client,
    script: Script,
    questions: Questions,
    watch: Watch,
    era: Era,
}

impl Exercise {
    /// What the server says that it offers.
    async fn capabilities(&self) -> Result<ServerCapabilities> {
        Ok(self.client.discover().await?.capabilities)
    }

    /// What the script has for a feature, if the server offers the tool of it.
    async fn offered<'a>(&self, step: &'a Option<Step>) -> Result<&'a Step> {
        let Some(step) = step else { return absent("no tool for it") };
        match self.client.tools().await?.iter().any(|tool| tool.name == step.tool) {
            true => Ok(step),
            false => absent(format!("no tool `{}`", step.tool)),
        }
    }

    /// Calls the tool of a step and holds its text against what the step expects.
    async fn take(&self, step: &Step) -> Result<CallToolResult> {
        let result = self.client.call(step.tool, &step.arguments).await?;
        step.check(&result)?;
        Ok(result)
    }

    async fn discover(&self) -> Result<()> {
        let found = self.client.discover().await?;
        ensure!(!found.supported_versions.is_empty(), "it speaks no version");
        ensure!(found.capabilities.tools.is_some(), "it has no tools");
        ensure!(self.client.era() == Some(self.era), "the client found {:?}", self.client.era());
        ensure!(self.watch.era() == self.era, "the {:?} era was spoken", self.watch.era());
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        Ok(self.client.close().await?)
    }
}

/// Runs features one after the other, each in bounded time, and counts those that fail.
macro_rules! run {
    ($exercise:ident: $($feature:ident),* $(,)?) => {{
        let mut failed = 0;
        $(failed += report(stringify!($feature), tokio::time::timeout(FEATURE_LIMIT, $exercise.$feature()).await);)*
        failed
    }};
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let (questions, watch) = (Questions::default(), Watch::default());
    let client = arguments.connect(questions.answered_by(Client::builder()).observe(watch.clone()))?;
    let exercise = Exercise { client, script: arguments.script(), questions, watch, era: arguments.era() };
    let failed = run!(exercise:
        discover, list, call, structured, progress, cancel, headers,
        elicitation, rounds, sampling, roots,
        pagination, listen_lists, listen_resources,
        resources, templates, prompts, completion, logging, close,
    );
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the feature's line; 1 if it failed.
fn report(feature: &str, ended: Result<Result<()>, tokio::time::error::Elapsed>) -> usize {
    let ended = ended.unwrap_or_else(|_| Err(anyhow::anyhow!("no end within {FEATURE_LIMIT:?}")));
    let line = match &ended {
        Ok(()) => json!({ "feature": feature, "outcome": "ok" }),
        Err(error) => match error.downcast_ref() {
            Some(Absent(why)) => json!({ "feature": feature, "outcome": "n/a", "why": why }),
            None => json!({ "feature": feature, "outcome": "failed", "why": format!("{error:#}") }),
        },
    };
    println!("{line}");
    usize::from(line["outcome"] == "failed")
}
