//! Opening the file, and making it.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Result};

use super::fault::{is_busy, refused};
use super::schema::{self, Found};
use crate::error::OpenError;

/// How often a lock that another process has is tried for before it is said to be unavailable: for 6 s, and more where the
/// system's timer is coarse.
const TRIES: i32 = 10_000;

/// What the log may keep on disk when nothing in it is needed.
const LOG_BYTES: i64 = 64 << 20;

/// Closing a file gives up all locks that the process has on it, whoever took them (POSIX says so). Whoever makes the file
/// closes it again before anybody else in this process has it open.
static MAKING: Mutex<()> = Mutex::new(());

/// Opens the file for writing, and makes it if it is not there. A file that is no store is left as it is.
pub(super) fn open(path: &Path, place: &str) -> Result<Connection, OpenError> {
    make(path).map_err(|problem| OpenError::Unreachable { place: place.to_owned(), problem })?;
    if path.is_dir() {
        return Err(unusable(place, "it is a directory"));
    }
    let mut connection = connect(path).map_err(|error| refused(&error, place))?;
    if connection.is_readonly("main").map_err(|error| refused(&error, place))? {
        let problem = "it cannot be written to: change its permissions, or whose it is".to_owned();
        return Err(OpenError::Unreachable { place: place.to_owned(), problem });
    }
    // Else closing another program's file could write what is in its log into it.
    keep_log(&connection, true).map_err(|error| refused(&error, place))?;
    let found = retried(|| schema::look(&connection)).map_err(|error| refused(&error, place))?;
    check(found, place)?;
    if found == Found::Form(schema::FORM)
        && let Some(table) = schema::missing(&connection).map_err(|error| refused(&error, place))?
    {
        return Err(unusable(place, &format!("its table `{table}` is missing")));
    }
    let found = begin(&mut connection, found).map_err(|error| refused(&error, place))?;
    check(found, place)?;
    keep_log(&connection, false).map_err(|error| refused(&error, place))?;
    Ok(connection)
}

/// One more connection to a file that is a store.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait))?;
    // A commit outlasts a power cut; `fullfsync` is what that takes on macOS, and nothing elsewhere.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -8192)?;
    Ok(connection)
}

/// Waits a little for a lock that somebody else has. Gives whether to try again.
///
/// Commits take parts of a millisecond, so that SQLite's own pauses, of up to 100 ms, would be most of the time. Processes
/// that wait do so for different times, so that they do not meet again.
fn wait(tries: i32) -> bool {
    let spread = (tries.wrapping_mul(7).wrapping_add(std::process::id().cast_signed())).rem_euclid(9);
    thread::sleep(Duration::from_micros(200 + 100 * u64::from(spread.unsigned_abs())));
    tries < TRIES
}

/// Tries again while somebody else is at it, for what SQLite itself gives up at once.
fn retried<T>(mut act: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tries = 0;
    loop {
        match act() {
            Err(error) if is_busy(&error) && wait(tries) => tries += 1,
            result => return result,
        }
    }
}

/// Makes the file if it is not there, for nobody else to read: it holds what callers have said.
fn make(path: &Path) -> Result<(), String> {
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
        return Err(format!("there is no directory `{}`: make it first", parent.display()));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Sets up what is kept in the file, and brings it to the newest form.
fn begin(connection: &mut Connection, found: Found) -> Result<Found> {
    if found == Found::Nothing {
        // Has to be said before there is anything in the file.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // What a file system cannot share among processes is said by SQLite when it is first used.
    retried(|| connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())))?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES}"), [], |_| Ok(()))?;
    match found {
        Found::Form(schema::FORM) => Ok(found),
        Found::Nothing | Found::Form(_) | Found::Foreign => schema::bring_up(connection),
    }
}

fn check(found: Found, place: &str) -> Result<(), OpenError> {
    match found {
        Found::Form(form) if form > schema::FORM => {
            Err(OpenError::Newer { place: place.to_owned(), found: form, known: schema::FORM })
        }
        Found::Form(form) if form < 1 => Err(unusable(place, "it says of itself that it has no form")),
        Found::Nothing | Found::Form(_) => Ok(()),
        Found::Foreign => Err(unusable(place, "it belongs to another program")),
    }
}

fn keep_log(connection: &Connection, keep: bool) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)?;
    Ok(())
}

fn unusable(place: &str, problem: &str) -> OpenError {
    OpenError::Unusable { place: place.to_owned(), problem: problem.to_owned() }
}
