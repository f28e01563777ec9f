//! A connection with the statements that it has prepared, and what an operation has of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;

use rusqlite::{Connection, OptionalExtension as _, Params, Result, Row, Statement};

use super::rows::count;
use crate::options::Options;
use crate::time::Millis;

/// A connection, which belongs to one thread, and its statements, each of which is prepared once.
pub(super) struct Db<'c> {
    connection: &'c Connection,
    /// By where their text stands, which is cheaper to compare than the text. Two places with the same text, which are two
    /// entries then, do no harm.
    statements: RefCell<HashMap<(*const u8, usize), Statement<'c>>>,
    /// What the file took at the beginning of the transaction, if it was asked for.
    bytes: Cell<Option<u64>>,
}

impl<'c> Db<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, statements: RefCell::default(), bytes: Cell::new(None) }
    }

    /// Whether no transaction is open.
    pub(super) fn is_idle(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// Begins a transaction that writes.
    pub(super) fn begin(&self) -> Result<()> {
        self.bytes.set(None);
        self.run("BEGIN IMMEDIATE", ()).map(drop)
    }

    /// What is used of the file, in bytes. What was deleted is free for what is written next, and does not count. Asked for
    /// once in a transaction: SQLite prepares such a question anew each time, which takes as long as writing a row.
    pub(super) fn bytes(&self) -> Result<u64> {
        if let Some(bytes) = self.bytes.get() {
            return Ok(bytes);
        }
        let pages = self.number("PRAGMA page_count", ())? - self.number("PRAGMA freelist_count", ())?;
        let bytes = count(pages.saturating_mul(self.number("PRAGMA page_size", ())?));
        self.bytes.set(Some(bytes));
        Ok(bytes)
    }

    /// Bounds the file, for tests of what happens when it is full.
    #[cfg(test)]
    pub(super) fn most_pages(&self, pages: i64) -> Result<()> {
        self.connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
    }

    /// Runs a statement. Gives how many rows it has changed.
    pub(super) fn run(&self, sql: &'static str, params: impl Params) -> Result<usize> {
        self.with(sql, |statement| statement.execute(params))
    }

    /// The first row that a statement gives, if it gives one.
    pub(super) fn row<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.with(sql, |statement| statement.query_row(params, read).optional())
    }

    /// The number in the first column of the row that a statement gives in any case.
    pub(super) fn number(&self, sql: &'static str, params: impl Params) -> Result<i64> {
        self.with(sql, |statement| statement.query_row(params, |row| row.get(0)))
    }

    /// All rows that a statement gives.
    pub(super) fn rows<T>(
        &self,
        sql: &'static str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.with(sql, |statement| statement.query_map(params, read)?.collect())
    }

    /// Rows that a statement gives, as long as they are wanted: `read` gives `false` with the last one.
    pub(super) fn each(
        &self,
        sql: &'static str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        self.with(sql, |statement| {
            let mut rows = statement.query(params)?;
            while let Some(row) = rows.next()? {
                if !read(row)? {
                    break;
                }
            }
            Ok(())
        })
    }

    fn with<T>(&self, sql: &'static str, act: impl FnOnce(&mut Statement<'c>) -> Result<T>) -> Result<T> {
        let key = (sql.as_ptr(), sql.len());
        let kept = self.statements.borrow_mut().remove(&key);
        let mut statement = match kept {
            Some(statement) => statement,
            None => self.connection.prepare(sql)?,
        };
        let result = act(&mut statement);
        // Texts that were bound are long at times, and the statement may not run again for long.
        statement.clear_bindings();
        self.statements.borrow_mut().insert(key, statement);
        result
    }
}

/// What an operation works with: a connection within a transaction, and the time.
pub(super) struct Tx<'t, 'c> {
    db: &'t Db<'c>,
    pub(super) options: &'t Options,
    /// When the operation takes place.
    pub(super) now: Millis,
    woke: Cell<bool>,
}

impl<'t, 'c> Tx<'t, 'c> {
    pub(super) fn new(db: &'t Db<'c>, options: &'t Options, now: Millis) -> Self {
        Self { db, options, now, woke: Cell::new(false) }
    }

    /// Notes that there may be something for workers or followers once this is committed.
    pub(super) fn wake(&self) {
        self.woke.set(true);
    }

    pub(super) fn has_woken(&self) -> bool {
        self.woke.get()
    }
}

impl<'c> Deref for Tx<'_, 'c> {
    type Target = Db<'c>;

    fn deref(&self) -> &Self::Target {
        self.db
    }
}
