//! `anypod prompt`: a prompt with its arguments filled in.

use std::collections::BTreeMap;

use anypod_client::proto::prompts::Prompt;

use super::exit::{self, Exit};
use super::target::TargetArgs;
use super::{arguments, pairs, show};
use crate::usage::Usage;

/// The flags of `anypod prompt`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "anypod prompt [OPTIONS] <URL> <PROMPT> [NAME=TEXT]...\n       \
                      anypod prompt [OPTIONS] <PROMPT> [NAME=TEXT]... -- <COMMAND>...",
    after_help = exit::help("Example:\n  anypod prompt http://127.0.0.1:8080/mcp plan_trip city=Oslo")
)]
pub(crate) struct PromptArgs {
    /// The URL of the server, the prompt, and its arguments.
    #[arg(value_name = "URL PROMPT NAME=TEXT")]
    words: Vec<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Fills in the prompt and prints its messages.
///
/// # Errors
/// A [`Usage`] if the words are no prompt that the server has; otherwise as the client says.
pub(super) async fn run(args: PromptArgs) -> anyhow::Result<Exit> {
    let (target, words) = args.target.open(&args.words)?;
    let (name, words) = words.split_first().ok_or_else(|| Usage::new("the name of a prompt is missing"))?;
    let given = pairs(words)?;
    let prompts = target.client.prompts().cache(target.cache()).await?;
    check(&prompts, name, &given)?;
    target.print(target.client.prompt(name, given), show::prompt).await
}

/// Whether there is such a prompt, with these arguments.
fn check(prompts: &[Prompt], name: &str, given: &BTreeMap<String, String>) -> Result<(), Usage> {
    let Some(prompt) = prompts.iter().find(|prompt| prompt.name == name) else {
        let hint = arguments::closest(name, prompts.iter().map(|prompt| prompt.name.as_str()));
        let hint =
            hint.map_or("`anypod prompts` lists what there is".to_owned(), |name| format!("did you mean `{name}`?"));
        return Err(Usage::new(format!("the server lists no prompt `{name}`; {hint}")));
    };
    let known: Vec<_> = prompt.arguments.iter().flatten().collect();
    if let Some(unknown) = given.keys().find(|key| !known.iter().any(|argument| argument.name == **key)) {
        let hint = arguments::closest(unknown, known.iter().map(|argument| argument.name.as_str()));
        let hint = hint.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        return Err(Usage::new(format!("there is no argument `{unknown}`{hint}")));
    }
    let mut required = known.iter().filter(|argument| argument.required == Some(true));
    match required.find(|argument| !given.contains_key(&argument.name)) {
        Some(missing) => Err(Usage::new(format!("argument {} is missing", missing.name))),
        None => Ok(()),
    }
}
