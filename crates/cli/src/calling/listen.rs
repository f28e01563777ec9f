//! `anypod listen`: says what changes, until it is stopped.

use anypod_client::proto::method::Notification;
use anypod_client::proto::subscriptions::SubscriptionFilter;
use anypod_client::{End, Event};
use serde_json::{Value, json};

use super::exit::{self, Exit};
use super::target::{Format, TargetArgs};
use crate::output::{self, clean};

/// The flags of `anypod listen`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "anypod listen [OPTIONS] <URL> [URI]...\n       anypod listen [OPTIONS] [URI]... -- <COMMAND>...",
    after_help = exit::help("Examples:\n  anypod listen http://127.0.0.1:8080/mcp\n  \
                  anypod listen https://pods.example/mcp --tools note://today --output json")
)]
pub(crate) struct ListenArgs {
    /// The URL of the server, and the URIs of resources to listen to.
    #[arg(value_name = "URL URI")]
    words: Vec<String>,
    /// Listen to the list of tools. Without any of these and without a URI, to all three lists.
    #[arg(long)]
    tools: bool,
    /// Listen to the list of prompts.
    #[arg(long)]
    prompts: bool,
    /// Listen to the lists of resources and of resource templates.
    #[arg(long)]
    resources: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Listens and prints a line for each change.
///
/// # Errors
/// A [`Usage`](crate::usage::Usage) if no server is named; otherwise as the client says.
pub(super) async fn run(args: ListenArgs) -> anyhow::Result<Exit> {
    let (target, uris) = args.target.open(&args.words)?;
    let all = !(args.tools || args.prompts || args.resources) && uris.is_empty();
    let wanted = |wanted: bool| (wanted || all).then_some(true);
    let asked = SubscriptionFilter {
        tools_list_changed: wanted(args.tools),
        prompts_list_changed: wanted(args.prompts),
        resources_list_changed: wanted(args.resources),
        resource_subscriptions: (!uris.is_empty()).then_some(uris),
        ..SubscriptionFilter::default()
    };
    let mut subscription = target.client.listen(asked.clone()).await?;
    let accepted = subscription.accepted();
    output::note("listening", &describe(&accepted));
    if accepted != asked {
        output::warning("the server does not tell of everything that was asked for");
    }
    while let Some(event) = subscription.next().await {
        if let Event::Gap = event {
            output::warning("the stream was lost and begun again: anything may have changed in between");
        }
        if let Some(line) = line(&event, target.format) {
            output::result(&format!("{line}\n"))?;
        }
    }
    match subscription.end() {
        Some(End::Lost(error)) => {
            output::error(&format!("the subscription was lost: {error}"));
            Ok(exit::of(error))
        }
        Some(_) | None => {
            output::note("listening", "the server ended the subscription");
            Ok(Exit::Done)
        }
    }
}

fn describe(filter: &SubscriptionFilter) -> String {
    let lists = [
        (filter.tools_list_changed, "tools"),
        (filter.prompts_list_changed, "prompts"),
        (filter.resources_list_changed, "resources"),
    ];
    let lists = lists.into_iter().filter(|(listed, _)| *listed == Some(true)).map(|(_, name)| name);
    let uris = filter.resource_subscriptions.iter().flatten().map(String::as_str);
    let all: Vec<&str> = lists.chain(uris).collect();
    format!("to {}; Ctrl-C stops", if all.is_empty() { "nothing".to_owned() } else { all.join(", ") })
}

/// One line for one change; a gap is no change.
fn line(event: &Event, format: Format) -> Option<String> {
    let (method, uri) = match event {
        Event::ToolsChanged => (Notification::ToolsListChanged.as_str(), None),
        Event::PromptsChanged => (Notification::PromptsListChanged.as_str(), None),
        Event::ResourcesChanged => (Notification::ResourcesListChanged.as_str(), None),
        Event::ResourceUpdated { uri } => (Notification::ResourceUpdated.as_str(), Some(uri)),
        Event::Other(notice) => {
            let params: Value = notice.params.read().unwrap_or_default();
            return Some(match format {
                Format::Json => clean::json(&json!({ "method": notice.method, "params": params }).to_string()),
                Format::Human => clean::line(&format!("{} {params}", notice.method)).into_owned(),
            });
        }
        // What a later revision of the client may tell.
        Event::Gap | _ => return None,
    };
    Some(match (format, uri) {
        (Format::Json, Some(uri)) => clean::json(&json!({ "method": method, "params": { "uri": uri } }).to_string()),
        (Format::Json, None) => clean::json(&json!({ "method": method }).to_string()),
        (Format::Human, Some(uri)) => format!("changed: {}", clean::line(uri)),
        (Format::Human, None) => format!("changed: the list of {}", method.split('/').nth(1).unwrap_or(method)),
    })
}
