//! The answer to "may I switch legacy off?", with its reasons.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::time::words;
use super::{ClientReport, Report, UseReport};
use crate::config::Time;

/// How many clients are named; of the rest only the number is.
const NAMED: usize = 20;

/// Whether legacy may be switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The answer.
    pub may_switch_legacy_off: Answer,
    /// How long there has to be no legacy request for a yes.
    pub quiet_for: Time,
    /// Why, as sentences for people.
    pub reasons: Vec<String>,
}

/// Yes or no, or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Nobody has needed it for long enough.
    Yes,
    /// Somebody has.
    NotYet,
    /// Nobody has, but the gateway has not watched for long enough.
    TooEarly,
}

/// As it is written.
impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Yes => "yes",
            Self::NotYet => "not yet",
            Self::TooEarly => "too early to say",
        })
    }
}

impl Report {
    /// Whether legacy may be switched off, if that is so once there was no legacy request for `quiet_for`. Requests that the
    /// gateway refused do not count: who is not let in loses nothing.
    pub fn verdict(&self, quiet_for: Time) -> Verdict {
        let mut recent: Vec<_> = self.legacy_clients().filter(|(_, _, age)| *age < quiet_for.get()).collect();
        recent.sort_by_key(|(_, _, age)| *age);
        let (answer, reasons) = match (recent.is_empty(), self.totals.legacy_streams) {
            (true, 0) => self.quiet(quiet_for),
            (_, streams) => (Answer::NotYet, not_yet(&recent, streams)),
        };
        Verdict { may_switch_legacy_off: answer, quiet_for, reasons }
    }

    fn quiet(&self, quiet_for: Time) -> (Answer, Vec<String>) {
        let watched = self.since.until(self.now);
        let last = self.legacy_clients().min_by_key(|(_, _, age)| *age);
        let none = match last {
            None => format!("no legacy request for {} (seen since {})", words(watched), self.since),
            Some((client, _, age)) => {
                format!("no legacy request for {}: the last was of {}", words(age), named(client))
            }
        };
        // Of several replicas the one that started last decides: what it would have seen before, nobody has.
        if watched < quiet_for.get() {
            let reason = format!("{none}, but {quiet_for} are asked for and {} were watched", words(watched));
            return (Answer::TooEarly, vec![reason]);
        }
        (Answer::Yes, vec![none])
    }

    /// Those that have sent legacy requests, with how long ago the last was.
    fn legacy_clients(&self) -> impl Iterator<Item = (&ClientReport, UseReport, Duration)> {
        self.clients.iter().filter_map(|client| {
            let of = client.legacy?;
            Some((client, of, of.last?.until(self.now)))
        })
    }
}

fn not_yet(recent: &[(&ClientReport, UseReport, Duration)], streams: u64) -> Vec<String> {
    let client = |(client, of, age): &(&ClientReport, UseReport, Duration)| {
        let requests = plural(of.requests - of.refused.min(of.requests), "legacy request");
        format!("{} sent {requests}, the last {} ago", named(client), words(*age))
    };
    let mut reasons: Vec<_> = recent.iter().take(NAMED).map(client).collect();
    if recent.len() > NAMED {
        reasons.push(format!("{} sent legacy requests", plural((recent.len() - NAMED) as u64, "more client")));
    }
    if streams > 0 {
        let verb = if streams == 1 { "is" } else { "are" };
        reasons.push(format!("{} of legacy sessions {verb} open", plural(streams, "stream")));
    }
    reasons
}

fn named(client: &ClientReport) -> String {
    match (client.name.as_str(), client.version.as_str()) {
        ("", "") => "a client without a name".to_owned(),
        (name, "") => name.to_owned(),
        (name, version) => format!("{name} {version}"),
    }
}

fn plural(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}
