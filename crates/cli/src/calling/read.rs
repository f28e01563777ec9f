//! `anypod read`: the contents of a resource.

use super::exit::{self, Exit};
use super::target::TargetArgs;
use super::{show, single};

/// The flags of `anypod read`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "anypod read [OPTIONS] <URL> <URI>\n       anypod read [OPTIONS] <URI> -- <COMMAND>...",
    after_help = exit::help("Examples:\n  anypod read http://127.0.0.1:8080/mcp demo://cities\n  \
                  anypod read demo://cities -- anypod demo --stdio")
)]
pub(crate) struct ReadArgs {
    /// The URL of the server, and the URI of the resource.
    #[arg(value_name = "URL URI")]
    words: Vec<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Reads the resource and prints it.
///
/// # Errors
/// A [`Usage`](crate::usage::Usage) if none is named; otherwise as the client says.
pub(super) async fn run(args: ReadArgs) -> anyhow::Result<Exit> {
    let (target, rest) = args.target.open(&args.words)?;
    let uri = single(rest, "the URI of a resource")?;
    target.print(target.client.read(&uri), |result| show::resource(&result.contents)).await
}
