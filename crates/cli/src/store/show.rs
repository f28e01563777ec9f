//! The words for what is in a store.

use std::fmt::Write as _;

use anypod_proto::moment::words;
use anypod_store::{Millis, Phase, TaskRow, TaskStatus};

use crate::calling;
use crate::output::clean;

/// The status of a task, as the protocol has it.
pub(super) const fn status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Working => "working",
        TaskStatus::InputRequired => "input_required",
        TaskStatus::Completed => "completed",
        TaskStatus::Failed => "failed",
        TaskStatus::Cancelled => "cancelled",
    }
}

/// The phase of a task.
pub(super) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "queued",
        Phase::Delayed => "delayed",
        Phase::Leased => "leased",
        Phase::Parked => "parked",
        Phase::Ended => "ended",
    }
}

/// How long ago something was.
pub(super) fn age(then: Millis, now: Millis) -> String {
    words(now.since(then))
}

/// When something was, and how long ago that is.
pub(super) fn moment(then: Millis, now: Millis) -> String {
    format!("{then}, {} ago", age(then, now))
}

/// A number of bytes.
pub(super) fn size(bytes: u64) -> String {
    calling::show::size(usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// How much of something there is.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// When the lease or the pause of a task ends; nothing if it has neither.
pub(super) fn due(task: &TaskRow, now: Millis) -> String {
    let Some(due) = task.due_at else { return String::new() };
    let what = match task.phase {
        Phase::Leased => "lease",
        Phase::Delayed => "pause",
        Phase::Queued | Phase::Parked | Phase::Ended => return String::new(),
    };
    match due > now {
        true => format!("{what} ends in {}", words(due.since(now))),
        false => format!("{what} over for {}", words(now.since(due))),
    }
}

/// How often a task was taken up, and what became of it.
pub(super) fn attempts(task: &TaskRow) -> String {
    let mut out = task.attempts.to_string();
    for (number, one, many) in [(task.deaths, "death", "deaths"), (task.failures, "failure", "failures")] {
        if number > 0 {
            out.push_str(&format!(", {}", count(number.into(), one, many)));
        }
    }
    out
}

/// Lines of a name and a text each; what has no text has no line.
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let widest = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, text) in fields.iter().filter(|(_, text)| !text.is_empty()) {
        let _ = writeln!(out, "{name:<widest$}  {}", clean::line(text));
    }
    out
}

#[cfg(test)]
mod tests {
    use anypod_store::{Owner, TaskId};

    use super::*;

    fn task(phase: Phase, due_at: Option<u64>) -> TaskRow {
        TaskRow {
            id: TaskId::from_random([7; 16]),
            owner: Owner::nobody(),
            tool: "resize".to_owned(),
            status: TaskStatus::Working,
            phase,
            message: None,
            created_at: Millis(0),
            updated_at: Millis(0),
            expires_at: None,
            attempts: 4,
            deaths: 1,
            failures: 2,
            worker: None,
            due_at: due_at.map(Millis),
            steps: 0,
            bytes: 0,
        }
    }

    #[test]
    fn words_are_those_of_the_json() {
        use TaskStatus::{Cancelled, Completed, Failed, InputRequired, Working};
        for one in [Working, InputRequired, Completed, Failed, Cancelled] {
            assert_eq!(serde_json::to_value(one).unwrap(), status(one));
        }
        for one in [Phase::Queued, Phase::Delayed, Phase::Leased, Phase::Parked, Phase::Ended] {
            assert_eq!(serde_json::to_value(one).unwrap(), phase(one));
        }
    }

    #[test]
    fn a_lease_and_a_pause_end_or_are_over_and_nothing_else_does() {
        let now = Millis(100_000);
        assert_eq!(due(&task(Phase::Leased, Some(108_000)), now), "lease ends in 8 s");
        assert_eq!(due(&task(Phase::Leased, Some(40_000)), now), "lease over for 1 min");
        assert_eq!(due(&task(Phase::Delayed, Some(100_000 + 7_200_000)), now), "pause ends in 2 h");
        assert_eq!(due(&task(Phase::Ended, Some(108_000)), now), "");
        assert_eq!(due(&task(Phase::Leased, None), now), "");
    }

    #[test]
    fn attempts_say_how_they_ended() {
        assert_eq!(attempts(&task(Phase::Queued, None)), "4, 1 death, 2 failures");
        assert_eq!(attempts(&TaskRow { deaths: 0, failures: 0, ..task(Phase::Queued, None) }), "4");
    }

    #[test]
    fn fields_are_one_line_each_and_bring_no_escapes_of_their_own() {
        let text = fields(&[("tool", "a\nb\x1b[31m".to_owned()), ("worker", String::new()), ("id", "x".to_owned())]);
        assert_eq!(text, "tool    a b\\u{1b}[31m\nid      x\n");
    }
}
