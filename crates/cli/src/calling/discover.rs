//! `anypod discover`: what a server is and what it offers.

use std::fmt::Write;

use anypod_client::proto::discover::DiscoverResult;
use anypod_client::proto::version::Era;

use super::exit::{self, Exit};
use super::list::names;
use super::target::TargetArgs;
use crate::output::clean;
use crate::usage::Usage;

/// The flags of `anypod discover`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = exit::help("Examples:\n  anypod discover https://pods.example/mcp\n  anypod discover --trace -- anypod demo --stdio")
)]
pub(crate) struct DiscoverArgs {
    /// The URL of the server.
    #[arg(value_name = "URL")]
    words: Vec<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Asks the server and prints what it says.
///
/// # Errors
/// A [`Usage`] if no server is named; otherwise as the client says.
pub(super) async fn run(args: DiscoverArgs) -> anyhow::Result<Exit> {
    let (target, rest) = args.target.open(&args.words)?;
    if let Some(word) = rest.first() {
        return Err(Usage::new(format!("`{word}` is one word too many")).into());
    }
    target.print(target.client.discover(), |result| show(result, target.client.era())).await
}

/// `era` is what the server was found to speak.
fn show(result: &DiscoverResult, era: Option<Era>) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "{name:<13} {}", clean::line(text));
        }
    };
    if let Some(info) = result.meta.as_ref().and_then(|meta| meta.server_info.as_ref()) {
        line("server", &format!("{} {}", info.title.as_ref().unwrap_or(&info.name), info.version));
        line("about", info.description.as_deref().unwrap_or_default());
        line("website", info.website_url.as_deref().unwrap_or_default());
    }
    match era {
        // The versions are those of the session's other side, which is this client.
        Some(Era::Legacy) => line("era", "legacy"),
        Some(Era::Modern) | None => line("versions", &result.supported_versions.join(", ")),
    }
    line("offers", &offers(result));
    line("extensions", &names(result.capabilities.extensions.as_ref()));
    line("experimental", &names(result.capabilities.experimental.as_ref()));
    if let Some(text) = &result.instructions {
        let _ = writeln!(out, "\n{}", clean::text(text.trim_end()));
    }
    out
}

fn offers(result: &DiscoverResult) -> String {
    let offered = &result.capabilities;
    let changes = |listed: Option<bool>| if listed == Some(true) { " (says when they change)" } else { "" };
    let mut parts = Vec::new();
    if let Some(tools) = &offered.tools {
        parts.push(format!("tools{}", changes(tools.list_changed)));
    }
    if let Some(prompts) = &offered.prompts {
        parts.push(format!("prompts{}", changes(prompts.list_changed)));
    }
    if let Some(resources) = &offered.resources {
        let subscribe = if resources.subscribe == Some(true) { " (can be subscribed to)" } else { "" };
        parts.push(format!("resources{}{subscribe}", changes(resources.list_changed)));
    }
    parts.extend(offered.completions.as_ref().map(|_| "completions".to_owned()));
    parts.extend(offered.logging.as_ref().map(|_| "logging".to_owned()));
    parts.join(", ")
}
