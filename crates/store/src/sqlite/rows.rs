//! How what the store knows of is written in columns.

use std::time::Duration;

use anypod_proto::tasks::TaskStatus;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::task::{Owner, Phase, TaskId};
use crate::time::{Millis, millis};

/// A number as SQLite has them; the greatest one for those beyond.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A length, or a bound.
pub(super) fn size(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that is never written below zero.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A duration in milliseconds, rounded up.
pub(super) fn span(duration: Duration) -> i64 {
    int(millis(duration))
}

impl ToSql for Millis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(int(self.0).into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(|number| Self(count(number)))
    }
}

impl ToSql for TaskId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for TaskId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Self::parse(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for Owner {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Owner {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str().map(Self::new)
    }
}

// The numbers of phases and statuses stand in files, and those of phases in the statements and indexes beside them: they
// never change.

impl ToSql for Phase {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number = match self {
            Self::Queued => 0,
            Self::Leased => 1,
            Self::Parked => 2,
            Self::Ended => 3,
            Self::Delayed => 4,
        };
        Ok(number.into())
    }
}

impl FromSql for Phase {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match i64::column_result(value)? {
            0 => Ok(Self::Queued),
            1 => Ok(Self::Leased),
            2 => Ok(Self::Parked),
            3 => Ok(Self::Ended),
            4 => Ok(Self::Delayed),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// A status in a column.
pub(super) struct Status(pub(super) TaskStatus);

impl ToSql for Status {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number = match self.0 {
            TaskStatus::Working => 0,
            TaskStatus::InputRequired => 1,
            TaskStatus::Completed => 2,
            TaskStatus::Failed => 3,
            TaskStatus::Cancelled => 4,
        };
        Ok(number.into())
    }
}

impl FromSql for Status {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match i64::column_result(value)? {
            0 => Ok(Self(TaskStatus::Working)),
            1 => Ok(Self(TaskStatus::InputRequired)),
            2 => Ok(Self(TaskStatus::Completed)),
            3 => Ok(Self(TaskStatus::Failed)),
            4 => Ok(Self(TaskStatus::Cancelled)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}
