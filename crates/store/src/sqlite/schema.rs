//! The form of the file: its tables, and how it comes to have them.

use rusqlite::{Connection, Result, TransactionBehavior};

/// Says in the header that a file is a store.
pub(super) const APPLICATION: i64 = 0x616e_7064;

/// The form that this program writes, which is the newest that it knows. What makes one of the form before leaves alone what
/// programs of the release before use: pods are replaced one by one.
pub(super) const FORM: i64 = 1;

/// What has to be there in a file of this form.
pub(super) const TABLES: [&str; 8] = ["tasks", "calls", "outcomes", "entries", "events", "kept", "marks", "meta"];

/// Form 1.
///
/// - `tasks` has what lists and workers look for, and no long text, so that pages of it hold many.
/// - An index holds the tasks only that can be in it: `queued` and `lanes` those that wait for a worker, `due` those with a
///   lease or a pause, `expiring` and `ended` those that expire. What is parked is in none that a claim looks at, unless it expires.
/// - `entries` is the journal: steps (`kind` 0) and questions (`kind` 1), in the order of `n`.
/// - `meta` has counts. `queued` is how many tasks wait, which triggers keep, since counting them takes longer the more there are;
///   `swept` is the greatest number of an event that was deleted.
const FORM_1: &str = "
CREATE TABLE tasks (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    tool TEXT NOT NULL,
    phase INTEGER NOT NULL,
    status INTEGER NOT NULL,
    message TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    poll INTEGER,
    fence INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    deaths INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    due INTEGER,
    turn INTEGER,
    place INTEGER,
    steps INTEGER NOT NULL DEFAULT 0,
    journal_bytes INTEGER NOT NULL DEFAULT 0,
    other_bytes INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX ids ON tasks (id);
CREATE INDEX created ON tasks (created_at, id);
CREATE INDEX owners ON tasks (owner) WHERE owner <> '';
CREATE INDEX queued ON tasks (turn, place, tool) WHERE phase = 0;
CREATE INDEX lanes ON tasks (owner, tool, turn) WHERE phase = 0;
CREATE INDEX due ON tasks (due) WHERE due IS NOT NULL;
CREATE INDEX expiring ON tasks (expires_at) WHERE phase <> 3 AND expires_at IS NOT NULL;
CREATE INDEX ended ON tasks (expires_at) WHERE phase = 3 AND expires_at IS NOT NULL;

CREATE TABLE calls (n INTEGER PRIMARY KEY, call TEXT NOT NULL) STRICT;
CREATE TABLE outcomes (n INTEGER PRIMARY KEY, outcome TEXT NOT NULL) STRICT;

CREATE TABLE entries (
    n INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    answered_at INTEGER,
    text TEXT NOT NULL,
    answer TEXT
) STRICT;
CREATE UNIQUE INDEX journals ON entries (task, kind, key);

CREATE TABLE events (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    task TEXT,
    told TEXT
) STRICT;

CREATE TABLE kept (
    n INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER,
    slides INTEGER,
    text TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX kept_ids ON kept (owner, kind, id);
CREATE INDEX kept_owners ON kept (owner, expires_at) WHERE owner <> '';
CREATE INDEX kept_ends ON kept (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE marks (digest BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX marks_ends ON marks (until);

CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('queued', 0), ('swept', 0);
CREATE TRIGGER queued_at_once AFTER INSERT ON tasks WHEN new.phase = 0 BEGIN
    UPDATE meta SET value = value + 1 WHERE key = 'queued';
END;
CREATE TRIGGER queued_later AFTER UPDATE OF phase ON tasks WHEN (new.phase = 0) <> (old.phase = 0) BEGIN
    UPDATE meta SET value = value + (new.phase = 0) - (old.phase = 0) WHERE key = 'queued';
END;
";

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet.
    Nothing,
    /// A store of this form.
    Form(i64),
    /// Something of another program.
    Foreign,
}

/// Looks what is in the file. Changes nothing.
pub(super) fn look(connection: &Connection) -> Result<Found> {
    let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let form = number("PRAGMA user_version")?;
    let things = number("SELECT count(*) FROM sqlite_schema")?;
    Ok(match (application, form, things) {
        (0, 0, 0) => Found::Nothing,
        (APPLICATION, form, _) => Found::Form(form),
        _ => Found::Foreign,
    })
}

/// The first table that is missing, if one is.
pub(super) fn missing(connection: &Connection) -> Result<Option<&'static str>> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
    Ok(TABLES.into_iter().find(|table| !names.iter().any(|name| name == table)))
}

/// Brings a file to the newest form, unless another process has done so meanwhile: all others wait.
pub(super) fn bring_up(connection: &mut Connection) -> Result<Found> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
    if look(&transaction)? == Found::Nothing {
        transaction.execute_batch(FORM_1)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", FORM)?;
    }
    let found = look(&transaction)?;
    transaction.commit()?;
    Ok(found)
}
