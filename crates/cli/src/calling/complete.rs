//! `anypod complete`: values that an argument may have.

use anypod_client::proto::completion::{
    CompletionArgument, CompletionContext, CompletionReference, PromptReference, ResourceTemplateReference,
};

use super::exit::{self, Exit};
use super::pairs;
use super::target::TargetArgs;
use crate::output::clean;
use crate::usage::Usage;

/// The flags of `anypod complete`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "anypod complete [OPTIONS] <URL> <PROMPT|TEMPLATE> <NAME=BEGINNING> [NAME=TEXT]...\n       \
                      anypod complete [OPTIONS] <PROMPT|TEMPLATE> <NAME=BEGINNING> [NAME=TEXT]... -- <COMMAND>...",
    after_help = exit::help("Examples:\n  anypod complete http://127.0.0.1:8080/mcp plan_trip city=O\n  \
                  anypod complete http://127.0.0.1:8080/mcp 'demo://cities/{city}' city=Ky")
)]
pub(crate) struct CompleteArgs {
    /// The URL of the server, a prompt or a resource template (what has :// in it), the argument with its beginning,
    /// and other arguments that are known already.
    #[arg(value_name = "URL PROMPT NAME=BEGINNING NAME=TEXT")]
    words: Vec<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Asks for the values and prints one per line.
///
/// # Errors
/// A [`Usage`] if a word is missing; otherwise as the client says.
pub(super) async fn run(args: CompleteArgs) -> anyhow::Result<Exit> {
    let (target, words) = args.target.open(&args.words)?;
    let (reference, argument, known) = match words.as_slice() {
        [] => return Err(Usage::new("a prompt or a resource template is missing").into()),
        [_] => return Err(Usage::new("the argument to complete is missing: write NAME=BEGINNING").into()),
        [reference, argument, known @ ..] => (reference, argument, pairs(known)?),
    };
    let (name, value) = argument
        .split_once('=')
        .ok_or_else(|| Usage::new(format!("`{argument}` is no argument to complete: write NAME=BEGINNING")))?;
    let reference = match reference.contains("://") {
        true => CompletionReference::Resource(ResourceTemplateReference { uri: reference.clone() }),
        false => CompletionReference::Prompt(PromptReference { name: reference.clone(), title: None }),
    };
    let argument = CompletionArgument { name: name.to_owned(), value: value.to_owned() };
    let context = (!known.is_empty()).then_some(CompletionContext { arguments: Some(known) });
    let show = |values: &[String]| values.iter().map(|value| format!("{}\n", clean::line(value))).collect();
    target.print(target.client.complete(reference, argument, context), |result| show(&result.completion.values)).await
}
