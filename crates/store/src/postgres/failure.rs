//! What goes wrong with a database, as the store says it.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::error::StoreError;

/// What is said when the connection broke: nobody knows then whether the operation was done.
pub(super) fn unknown() -> StoreError {
    StoreError::Unavailable(
        "the connection to the database broke, and whether the operation was done is unknown".into(),
    )
}

pub(super) fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

/// What the database has refused, and rolled back; `None` if it is unknown what was done.
pub(super) fn refusal(error: &Error) -> Option<&DbError> {
    // What ends connections may come in the middle of a commit.
    error.as_db_error().filter(|refused| !["08", "57P"].iter().any(|class| refused.code().code().starts_with(class)))
}

/// What the database has refused, as the store says it.
pub(super) fn store_error(refused: &DbError) -> StoreError {
    by_state(refused.code().code(), refused.message())
}

/// Whether it was rolled back only because others held what it needed, and the other way round.
pub(super) fn was_in_the_way(refused: &DbError) -> bool {
    matches!(refused.code().code(), "40001" | "40P01")
}

/// Whether the connection should be made anew after this: it leads to a server that only reads, or has prepared what the
/// database does not know any more.
pub(super) fn ends_connection(refused: &DbError) -> bool {
    matches!(refused.code().code(), "25006" | "26000" | "0A000")
}

/// An error and its causes in one line.
pub(super) fn whole(error: &Error) -> String {
    let mut text = match error.as_db_error() {
        Some(refused) => return format!("{} (SQLSTATE {})", refused.message(), refused.code().code()),
        None => error.to_string(),
    };
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Sorts the refusals of the database, by SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn by_state(state: &str, message: &str) -> StoreError {
    let text = format!("{message} (SQLSTATE {state})");
    match (state.get(..2).unwrap_or_default(), state) {
        // The disk, or what the server may put on it for a moment.
        (_, "53100" | "53400") => StoreError::NoRoom(text),
        // A server that only reads, such as one that is not the first any more.
        (_, "25006") => StoreError::Unavailable(text),
        // What was prepared is gone, or means something else: the next connection prepares it anew.
        (_, "0A000" | "26000") => StoreError::Unavailable(text),
        // No connection, no role, no database at the moment; no memory, no place; waited for too long; stopped by somebody;
        // the operating system.
        ("08" | "28" | "3D" | "53" | "55" | "57" | "58", _) => StoreError::Unavailable(text),
        // Rolled back because of others, or with others.
        ("25" | "40", _) => StoreError::Unavailable(text),
        // Everything else says that the tables or functions are not those that were made, or hold what was never written.
        (_, _) => StoreError::Corrupt(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_one_of_the_stores_errors() {
        let no_room = ["53100", "53400"];
        let passing = [
            "08000", "08003", "08006", "08P01", "0A000", "25006", "25P02", "26000", "28000", "28P01", "3D000", "40001",
            "40P01", "53000", "53200", "53300", "55006", "55P03", "57014", "57P01", "57P02", "57P03", "57P05", "58030",
        ];
        let corrupt = [
            "22003", "22021", "23505", "23514", "42501", "42703", "42883", "42P01", "54000", "P0001", "XX000", "XX001",
            "",
        ];
        for state in no_room {
            assert_eq!(by_state(state, "why"), StoreError::NoRoom(format!("why (SQLSTATE {state})")));
        }
        for state in passing {
            assert_eq!(by_state(state, "why"), StoreError::Unavailable(format!("why (SQLSTATE {state})")));
        }
        for state in corrupt {
            assert_eq!(by_state(state, "why"), StoreError::Corrupt(format!("why (SQLSTATE {state})")));
        }
    }
}
