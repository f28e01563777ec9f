//! `anypod store status`: how much is in a store.

use anypod_store::{Store, StoreStatus};
use serde_json::{Map, Value, json};

use super::{Format, print_json, show};
use crate::output::{self, table::Table};

/// Says how the store is.
///
/// # Errors
/// If the store cannot be asked, or nobody reads the output.
pub(super) async fn run(store: &dyn Store, format: Format) -> anyhow::Result<()> {
    let status = store.status().await?;
    match format {
        Format::Json => print_json(&document(&status)),
        Format::Human => {
            output::result(&format!("{}\n", show::fields(&fields(&status))))?;
            output::table(&counts("STATUS", status.statuses.iter().map(|(of, count)| (show::status(*of), *count))))?;
            output::result("\n")?;
            Ok(output::table(&counts("PHASE", status.phases.iter().map(|(of, count)| (show::phase(*of), *count))))?)
        }
    }
}

fn fields(status: &StoreStatus) -> [(&'static str, String); 8] {
    let oldest = status.oldest_queued.map(|then| format!("{} old", show::age(then, status.now)));
    [
        ("store", status.place.clone()),
        ("form", status.form.to_string()),
        ("oldest that waits", oldest.unwrap_or_else(|| "nothing waits".to_owned())),
        ("steps", status.steps.to_string()),
        ("values", status.values.to_string()),
        ("marks", status.marks.to_string()),
        ("events", status.events.to_string()),
        ("size", show::size(status.bytes)),
    ]
}

fn counts(of: &'static str, counts: impl Iterator<Item = (&'static str, u64)>) -> Table {
    let mut table = Table::new(&[of, "TASKS"]);
    counts.for_each(|(name, count)| table.push([name.to_owned(), count.to_string()]));
    table
}

/// The status with an object in place of each list of pairs.
fn document(status: &StoreStatus) -> Value {
    let statuses = status.statuses.iter().map(|(of, count)| (show::status(*of).to_owned(), json!(count)));
    let phases = status.phases.iter().map(|(of, count)| (show::phase(*of).to_owned(), json!(count)));
    json!({
        "place": status.place,
        "form": status.form,
        "now": status.now,
        "statuses": statuses.collect::<Map<String, Value>>(),
        "phases": phases.collect::<Map<String, Value>>(),
        "oldest_queued": status.oldest_queued,
        "steps": status.steps,
        "values": status.values,
        "marks": status.marks,
        "events": status.events,
        "bytes": status.bytes,
    })
}
