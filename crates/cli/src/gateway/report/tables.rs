//! A report for people: who called, what was called, and the answer.

use anypod_gateway::report::{Answer, ClientReport, Moment, Report, UpstreamReport, UseReport, Verdict};

use crate::output::table::Table;
use crate::output::{self, Unprinted, clean};

/// Prints the tables and the answer.
///
/// # Errors
/// When nobody reads it.
pub(super) fn print(report: &Report, verdict: &Verdict) -> Result<(), Unprinted> {
    if !report.clients.is_empty() {
        output::table(&clients(report))?;
        output::result("\n")?;
    }
    if !report.upstreams.is_empty() {
        output::table(&upstreams(&report.upstreams))?;
        output::result("\n")?;
    }
    output::result(&format!("{}\n\n{}", totals(report), answer(verdict)))
}

fn clients(report: &Report) -> Table {
    let mut table = Table::new(&["CLIENT", "VERSION", "ERA", "REQUESTS", "ERRORS", "LAST", "LAST LEGACY", "SESSIONS"]);
    for client in &report.clients {
        let uses = || client.modern.iter().chain(&client.legacy);
        let sum = |of: fn(&UseReport) -> u64| uses().map(of).sum::<u64>().to_string();
        table.push([
            if client.name.is_empty() { "(no name)".to_owned() } else { client.name.clone() },
            client.version.clone(),
            eras(client).to_owned(),
            sum(|of| of.requests),
            sum(|of| of.errors),
            ago(uses().filter_map(|of| of.last).max(), report.now),
            ago(client.legacy.and_then(|of| of.last), report.now),
            client.sessions.to_string(),
        ]);
    }
    table
}

fn eras(client: &ClientReport) -> &'static str {
    match (&client.modern, &client.legacy) {
        (Some(_), Some(_)) => "both",
        (Some(_), None) => "modern",
        (None, Some(_)) => "legacy",
        (None, None) => "",
    }
}

fn ago(last: Option<Moment>, now: Moment) -> String {
    last.map_or_else(|| "never".to_owned(), |last| format!("{} ago", last.age(now)))
}

fn upstreams(upstreams: &[UpstreamReport]) -> Table {
    let mut table = Table::new(&["UPSTREAM", "ERA", "FROM MODERN", "FROM LEGACY", "BRIDGED", "SESSIONS"]);
    for upstream in upstreams {
        table.push([
            upstream.name.clone(),
            upstream.era.map_or_else(|| "not known".to_owned(), |era| era.to_string()),
            upstream.from_modern.to_string(),
            upstream.from_legacy.to_string(),
            upstream.bridged.to_string(),
            format!("{} open, {} opened", upstream.sessions_open, upstream.sessions_opened),
        ]);
    }
    table
}

fn totals(report: &Report) -> String {
    let totals = &report.totals;
    let replicas = match report.replicas.len() {
        1 => "1 replica".to_owned(),
        count => format!("{count} replicas"),
    };
    format!(
        "{replicas}, watching since {}\n{} legacy sessions opened\n{} requests bridged between the eras\n{} requests that a \
         plain balancer would have had to be sticky for",
        report.since, totals.sessions, totals.bridged, totals.affinity,
    )
}

fn answer(verdict: &Verdict) -> String {
    let answer = match verdict.may_switch_legacy_off {
        Answer::Yes => "Yes",
        Answer::NotYet => "Not yet",
        Answer::TooEarly => "Too early to say",
    };
    // Names of clients are in the reasons.
    let reasons: String = verdict.reasons.iter().map(|reason| format!("  {}\n", clean::line(reason))).collect();
    format!("May legacy be switched off? {answer}.\n{reasons}")
}

#[cfg(test)]
mod tests {
    use anypod_gateway::config::Time;
    use anypod_gateway::report::Document;

    use super::*;

    fn report() -> Report {
        let document: Document = serde_json::from_str(include_str!("tests/report.json")).unwrap();
        document.report
    }

    #[test]
    fn a_client_is_a_row_with_its_eras_and_when_it_was_legacy_last() {
        let text = clients(&report()).render(None, false);
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).collect()).collect();
        let trimmed: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(|cell| cell.trim()).collect()).collect();
        assert_eq!(trimmed[1], ["claude-desktop", "1.2", "legacy", "32", "1", "4 min ago", "4 min ago", "3"]);
        assert_eq!(trimmed[2], ["desk", "2.0", "modern", "812", "2", "1 s ago", "never", "0"]);
    }

    #[test]
    fn an_upstream_is_a_row_with_what_was_bridged() {
        let text = upstreams(&report().upstreams).render(None, false);
        let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["tools", "modern", "812", "31", "31", "0", "open,", "0", "opened"]);
    }

    #[test]
    fn the_answer_comes_with_its_reasons_and_no_escapes() {
        let mut report = report();
        report.clients[0].name = "evil\u{1b}[31m\nyes".to_owned();
        let text = answer(&report.verdict(Time::from_secs(3600)));
        assert!(text.starts_with("May legacy be switched off? Not yet.\n  evil"), "{text:?}");
        assert!(!text.contains('\u{1b}') && text.lines().count() == 2, "{text:?}");
        assert!(text.ends_with("1.2 sent 31 legacy requests, the last 4 min ago\n"), "{text}");
    }
}
