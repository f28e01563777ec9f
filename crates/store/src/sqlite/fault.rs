//! What can go wrong in an operation, and what callers are told of it.

use rusqlite::{Error, ErrorCode, ffi};

use crate::error::{OpenError, StoreError};

/// What went wrong in an operation.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite could not, or what it gave is not what was written.
    Sql(Error),
    /// The store does not want to.
    Refused(StoreError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl Fault {
    /// What callers are told.
    pub(super) fn of(self, place: &str) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Sql(error) => told(&error, place),
        }
    }
}

fn told(error: &Error, place: &str) -> StoreError {
    let text = format!("{place}: {error}");
    let Some(ffi::Error { code, extended_code }) = error.sqlite_error() else {
        // A value of another type than is written here, or a row that has to be there and is not.
        return StoreError::Corrupt(text);
    };
    match code {
        ErrorCode::DiskFull | ErrorCode::TooBig => StoreError::NoRoom(text),
        // The file that processes share to find their way in the log could not be made larger.
        ErrorCode::SystemIoFailure if *extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::NoRoom(text),
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::OutOfMemory
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::CannotOpen
        | ErrorCode::OperationAborted
        | ErrorCode::OperationInterrupted
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NoLargeFileSupport
        | ErrorCode::SystemIoFailure => StoreError::Unavailable(text),
        ErrorCode::InternalMalfunction
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::NotFound
        | ErrorCode::SchemaChanged
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::ApiMisuse
        | ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::ParameterOutOfRange
        | ErrorCode::Unknown => StoreError::Corrupt(text),
        // The enumeration of another crate that may grow.
        other => StoreError::Unavailable(format!("{text} ({other:?})")),
    }
}

/// Why a file cannot be opened, as SQLite says it.
pub(super) fn refused(error: &Error, place: &str) -> OpenError {
    let (place, problem) = (place.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Unusable { place, problem },
        _ => OpenError::Unreachable { place, problem },
    }
}

/// Whether somebody else is at it, so that it may go well when it is tried again.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
