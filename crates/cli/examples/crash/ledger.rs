//! The other database: where tasks have their effects.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, params};

/// A ledger. Each effect has a key, and is there once.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<Mutex<Connection>>);

/// A try to have an effect.
pub(crate) struct Attempt {
    pub(crate) task: i64,
    pub(crate) step: String,
    /// When it began, in milliseconds since 1970-01-01.
    pub(crate) at: u64,
}

impl Ledger {
    /// Opens the file.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(Duration::from_secs(20))?;
        // What a process has written stays when it is killed; it need not outlast a power cut.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = OFF;
             CREATE TABLE IF NOT EXISTS effect (receipt INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL,
                 task INTEGER NOT NULL, step TEXT NOT NULL);
             CREATE TABLE IF NOT EXISTS attempt (task INTEGER NOT NULL, step TEXT NOT NULL, at INTEGER NOT NULL);",
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Notes that somebody tries.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn try_it(&self, task: i64, step: &str) -> anyhow::Result<()> {
        let at = i64::try_from(now())?;
        self.lock().execute("INSERT INTO attempt (task, step, at) VALUES (?1, ?2, ?3)", params![task, step, at])?;
        Ok(())
    }

    /// Has the effect, unless it is there already, and gives its receipt.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn effect(&self, key: &str, task: i64, step: &str) -> anyhow::Result<i64> {
        let connection = self.lock();
        connection.execute(
            "INSERT INTO effect (key, task, step) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING",
            params![key, task, step],
        )?;
        Ok(connection.query_row("SELECT receipt FROM effect WHERE key = ?1", params![key], |row| row.get(0))?)
    }

    /// The receipt of an effect.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn receipt(&self, task: i64, step: &str) -> anyhow::Result<Option<i64>> {
        let sql = "SELECT receipt FROM effect WHERE task = ?1 AND step = ?2";
        Ok(self.lock().query_row(sql, params![task, step], |row| row.get(0)).optional()?)
    }

    /// How many effects there are of so many steps, and how many tries.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn counts(&self) -> anyhow::Result<(u64, u64, u64)> {
        let one = |sql: &str| self.lock().query_row(sql, [], |row| row.get::<_, i64>(0));
        let [effects, steps, attempts] = [
            one("SELECT count(*) FROM effect")?,
            one("SELECT count(*) FROM (SELECT DISTINCT task, step FROM effect)")?,
            one("SELECT count(*) FROM attempt")?,
        ]
        .map(i64::unsigned_abs);
        Ok((effects, steps, attempts))
    }

    /// All tries.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn attempts(&self) -> anyhow::Result<Vec<Attempt>> {
        let connection = self.lock();
        let mut all = connection.prepare("SELECT task, step, at FROM attempt")?;
        let rows = all.query_map([], |row| {
            Ok(Attempt { task: row.get(0)?, step: row.get(1)?, at: row.get::<_, i64>(2)?.unsigned_abs() })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time by the machine's clock, in milliseconds.
#[expect(clippy::disallowed_methods, reason = "this is the clock of a whole program")]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
