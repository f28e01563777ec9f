//! `anypod gateway report`: who still speaks legacy, and whether it may be switched off, over all replicas.

mod fetch;
mod tables;

use anyhow::Context as _;
use anypod_gateway::config::Time;
use anypod_gateway::report::{Document, Report};
use clap::ValueEnum;

use self::fetch::Place;
use crate::output;
use crate::usage::Usage;

/// The flags of `anypod gateway report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  anypod gateway report http://10.0.0.7:9090 http://10.0.0.8:9090\n  \
                        anypod gateway report http://10.0.0.7:9090 --quiet-for 30d --output json")]
pub(crate) struct ReportArgs {
    /// The admin address of a replica; all of them, for an answer about the fleet.
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// How long no legacy request may have come for a yes, such as 12h or 30d.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = time)]
    quiet_for: Time,
    /// Print for people, or as JSON for programs.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As tables, with the answer below.
    Human,
    /// As one JSON document, with the answer in `verdict`.
    Json,
}

/// Asks all replicas, and prints what they say together.
///
/// # Errors
/// A [`Usage`] if a URL is none of an admin address. Otherwise when a replica does not answer, as without one the answer
/// would be wrong, or when nobody reads the output.
pub(crate) async fn run(args: ReportArgs) -> anyhow::Result<()> {
    let places = args.urls.iter().map(|url| Place::parse(url)).collect::<Result<Vec<_>, Usage>>()?;
    let mut merged: Option<Report> = None;
    for place in &places {
        let report = place.report().await.with_context(|| format!("no report from {place}"))?;
        match &mut merged {
            None => merged = Some(report),
            Some(merged) => {
                if let Err(same) = merged.merge(report) {
                    output::warning(&format!("{place}: {same}; give the address of each replica itself"));
                }
            }
        }
    }
    let report = merged.expect("clap asks for one URL at least");
    let verdict = report.verdict(args.quiet_for);
    match args.output {
        Format::Json => {
            let text = serde_json::to_string(&Document { report, verdict })?;
            output::result(&format!("{}\n", output::clean::json(&text)))?;
        }
        Format::Human => tables::print(&report, &verdict)?,
    }
    Ok(())
}

fn time(text: &str) -> Result<Time, String> {
    text.parse::<Time>().map_err(|error| error.to_string())
}
