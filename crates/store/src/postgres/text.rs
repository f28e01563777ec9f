//! Texts and numbers, as the database takes them and gives them back.

use std::time::Duration;

use anypod_proto::tasks::TaskStatus;
use tokio_postgres::Row;
use tokio_postgres::types::FromSqlOwned;

use crate::error::StoreError;
use crate::task::{Owner, Phase, TaskId};
use crate::time::{Millis, millis};

/// Stands before what PostgreSQL's texts cannot hold, which is the character 0 alone, and before itself.
const ESCAPE: char = '\u{1}';

/// Statuses and phases by their numbers in the database.
pub(super) const STATUSES: [TaskStatus; 5] =
    [TaskStatus::Working, TaskStatus::InputRequired, TaskStatus::Completed, TaskStatus::Failed, TaskStatus::Cancelled];

pub(super) const PHASES: [Phase; 5] = [Phase::Queued, Phase::Leased, Phase::Parked, Phase::Ended, Phase::Delayed];

pub(super) const fn status_number(status: TaskStatus) -> i16 {
    match status {
        TaskStatus::Working => 0,
        TaskStatus::InputRequired => 1,
        TaskStatus::Completed => 2,
        TaskStatus::Failed => 3,
        TaskStatus::Cancelled => 4,
    }
}

/// A text that the database can hold, from which [`given`] makes what it was.
pub(super) fn stored(text: impl Into<String>) -> String {
    let text = text.into();
    if !text.contains(['\0', ESCAPE]) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            _ => escaped.push(char),
        }
    }
    escaped
}

/// The text that was stored.
pub(super) fn given(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            ESCAPE => plain.push(if chars.next() == Some('0') { '\0' } else { ESCAPE }),
            _ => plain.push(char),
        }
    }
    plain
}

/// A duration in milliseconds, with which moments stay far from the end of the numbers.
pub(super) fn pause(duration: Duration) -> i64 {
    i64::try_from(millis(duration)).unwrap_or(i64::MAX).min(i64::MAX / 4)
}

/// A bound or a number of the database.
pub(super) fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Reads the columns of a row.
pub(super) struct Columns<'a>(pub(super) &'a Row);

impl<'a> Columns<'a> {
    /// Those of the first row, where there is always one.
    pub(super) fn of_one(rows: &'a [Row]) -> Result<Self, StoreError> {
        rows.first().map(Self).ok_or_else(|| StoreError::Corrupt("a statement gave nothing".to_owned()))
    }

    /// Those of the first row, if there is one.
    pub(super) fn of_any(rows: &'a [Row]) -> Option<Self> {
        rows.first().map(Self)
    }

    pub(super) fn read<T: FromSqlOwned>(&self, name: &str) -> Result<T, StoreError> {
        let failed = |error| StoreError::Corrupt(format!("the column `{name}`: {error}"));
        self.0.try_get(name).map_err(failed)
    }

    pub(super) fn text(&self, name: &str) -> Result<String, StoreError> {
        Ok(given(self.read(name)?))
    }

    pub(super) fn text_if_any(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.read::<Option<String>>(name)?.map(given))
    }

    /// The texts of an array; none if there is no array.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let texts = self.read::<Option<Vec<String>>>(name)?.unwrap_or_default();
        Ok(texts.into_iter().map(given).collect())
    }

    pub(super) fn count(&self, name: &str) -> Result<u64, StoreError> {
        self.whole(name, self.read::<i64>(name)?)
    }

    pub(super) fn small_count(&self, name: &str) -> Result<u32, StoreError> {
        let count = self.read::<i32>(name)?;
        u32::try_from(count).map_err(|_| StoreError::Corrupt(format!("the column `{name}` is {count}")))
    }

    pub(super) fn moment(&self, name: &str) -> Result<Millis, StoreError> {
        self.count(name).map(Millis)
    }

    pub(super) fn moment_if_any(&self, name: &str) -> Result<Option<Millis>, StoreError> {
        self.count_if_any(name).map(|count| count.map(Millis))
    }

    pub(super) fn duration_if_any(&self, name: &str) -> Result<Option<Duration>, StoreError> {
        self.count_if_any(name).map(|count| count.map(Duration::from_millis))
    }

    pub(super) fn count_if_any(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.read::<Option<i64>>(name)?.map(|count| self.whole(name, count)).transpose()
    }

    pub(super) fn id(&self, name: &str) -> Result<TaskId, StoreError> {
        let text = self.read::<String>(name)?;
        TaskId::parse(&text).ok_or_else(|| StoreError::Corrupt(format!("the column `{name}` holds no id of a task")))
    }

    pub(super) fn owner(&self) -> Result<Owner, StoreError> {
        Ok(Owner::new(self.text("owner")?))
    }

    pub(super) fn status(&self, name: &str) -> Result<TaskStatus, StoreError> {
        self.numbered(name, &STATUSES)
    }

    pub(super) fn phase(&self) -> Result<Phase, StoreError> {
        self.numbered("phase", &PHASES)
    }

    /// That something is too long, by the bytes that it would have.
    pub(super) fn too_long(&self, what: &'static str, most: usize) -> Result<StoreError, StoreError> {
        let bytes = usize::try_from(self.count("bytes")?).unwrap_or(usize::MAX);
        Ok(StoreError::TooLong { what, bytes, most })
    }

    fn numbered<T: Copy>(&self, name: &str, all: &[T]) -> Result<T, StoreError> {
        let number = self.read::<i16>(name)?;
        let found = usize::try_from(number).ok().and_then(|number| all.get(number));
        found.copied().ok_or_else(|| StoreError::Corrupt(format!("the column `{name}` is {number}")))
    }

    fn whole(&self, name: &str, count: i64) -> Result<u64, StoreError> {
        u64::try_from(count).map_err(|_| StoreError::Corrupt(format!("the column `{name}` is {count}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for text in ["", "plain", "\0", "\u{1}", "a\0b\u{1}c", "\u{1}0", "\u{1}\0", "\0\0\u{1}1\u{1}"] {
            let stored = stored(text);
            assert!(!stored.contains('\0'), "{text:?}");
            assert_eq!(given(stored), text);
        }
    }

    #[test]
    fn numbers_mean_the_same_both_ways() {
        for (number, status) in STATUSES.into_iter().enumerate() {
            assert_eq!(usize::try_from(status_number(status)).unwrap(), number);
        }
    }

    #[test]
    fn the_longest_duration_leaves_room_for_a_moment_before_it() {
        let now = 4_000_000_000_000_i64;
        assert!(now.checked_add(pause(Duration::MAX)).is_some());
        assert_eq!(pause(Duration::from_micros(1)), 1);
    }
}
