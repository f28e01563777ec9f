//! `anypod store gc`: deletes what is over.

use anypod_store::{Store, Swept};
use serde_json::json;

use super::{Format, print_json, show};
use crate::output;

/// How much of each is deleted at once: so few that no pod waits for long, so many that it does not take for ever.
const MOST: usize = 1000;

/// Deletes until nothing is left that is over, then gives room back until there is no more to give.
///
/// # Errors
/// If the store does not do it, or nobody reads the output.
pub(super) async fn run(store: &dyn Store, format: Format) -> anyhow::Result<()> {
    let mut before = store.status().await?.bytes;
    let first = before;
    let swept = sweep(store).await?;
    // A store gives back a part at a time, so that pods have their turns.
    let after = loop {
        store.compact().await?;
        let after = store.status().await?.bytes;
        if after >= before {
            break after;
        }
        before = after;
    };
    let Swept { tasks, values, marks, events, more: _ } = swept;
    match format {
        Format::Json => print_json(&json!({
            "tasks": tasks, "values": values, "marks": marks, "events": events, "bytes_before": first, "bytes_after": after,
        })),
        Format::Human => Ok(output::result(&format!(
            "deleted {}, {}, {} and {}\ngave back {}, {} are left\n",
            show::count(tasks, "task", "tasks"),
            show::count(values, "value", "values"),
            show::count(marks, "mark", "marks"),
            show::count(events, "event", "events"),
            show::size(first.saturating_sub(after)),
            show::size(after),
        ))?),
    }
}

async fn sweep(store: &dyn Store) -> anyhow::Result<Swept> {
    let mut all = Swept::default();
    loop {
        let Swept { tasks, values, marks, events, more } = store.sweep(MOST).await?;
        all.tasks += tasks;
        all.values += values;
        all.marks += marks;
        all.events += events;
        if !more {
            return Ok(all);
        }
    }
}
