//! `anypod notify`: tells the listeners on every pod that something has changed, for programs that are no pod.

use anypod_proto::uri::is_uri;
use anypod_server::{Event, StoreBus};
use serde_json::json;

use crate::output;
use crate::store::{Format, OutputArgs, PlaceArgs, print_json};
use crate::usage::Usage;

/// The flags of `anypod notify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  anypod notify --store sqlite:/var/lib/anypod/tasks.db --tools\n  \
                        anypod notify --resource file:///etc/motd --resource file:///etc/hosts\n\n\
                        Exit codes: 0 done, 1 failed, 2 the command line, or something it names, is wrong.")]
pub(crate) struct NotifyArgs {
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What has changed.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Changes {
    /// The list of tools has changed.
    #[arg(long)]
    tools: bool,
    /// The list of prompts has changed.
    #[arg(long)]
    prompts: bool,
    /// The list of resources has changed.
    #[arg(long)]
    resources: bool,
    /// This resource has changed; may be given several times.
    #[arg(long, value_name = "URI")]
    resource: Vec<String>,
}

impl Changes {
    fn events(self) -> Result<Vec<Event>, Usage> {
        if let Some(wrong) = self.resource.iter().find(|uri| !is_uri(uri)) {
            return Err(Usage::new(format!("`{wrong}` is no URI: write that of a resource, with its scheme")));
        }
        let lists = [
            (self.tools, Event::ToolsChanged),
            (self.prompts, Event::PromptsChanged),
            (self.resources, Event::ResourcesChanged),
        ];
        let lists = lists.into_iter().filter(|(has_changed, _)| *has_changed).map(|(_, event)| event);
        Ok(lists.chain(self.resource.into_iter().map(|uri| Event::ResourceUpdated { uri })).collect())
    }
}

/// Publishes what has changed, and says how much it was.
///
/// # Errors
/// A [`Usage`] if a resource or the store that is named is none; otherwise if the store does not take it.
pub(crate) async fn run(args: NotifyArgs) -> anyhow::Result<()> {
    let events = args.changes.events()?;
    let store = Box::pin(args.place.open()).await?;
    StoreBus::announce_in(&*store, &events).await?;
    let count = events.len();
    match args.output.format() {
        Format::Json => print_json(&json!({ "published": count })),
        Format::Human => {
            Ok(output::result(&format!("published {count} {}\n", if count == 1 { "event" } else { "events" }))?)
        }
    }
}
