//! The statements: one of each thing that a store does.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Something that is done in the database by one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Now,
    Create,
    Task,
    Answer,
    Cancel,
    Claim,
    Renew,
    Record,
    Say,
    Park,
    Finish,
    HandBack,
    Publish,
    HeardSoFar,
    EventsSince,
    Put,
    Look,
    Replace,
    Remove,
    Mark,
    Status,
    List,
    Report,
    Retry,
    Sweep,
}

impl Call {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Sweep as usize + 1;

    pub(super) const fn statement(self) -> &'static str {
        match self {
            Self::Now => "SELECT now_ms() AS moment",
            Self::Create => "SELECT * FROM create_task($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            Self::Task => "SELECT * FROM seen_task($1, $2)",
            Self::Answer => "SELECT * FROM answer_task($1, $2, $3, $4, $5, $6)",
            Self::Cancel => "SELECT * FROM cancel_task($1, $2, $3)",
            Self::Claim => "SELECT * FROM claim_tasks($1, $2, $3, $4)",
            Self::Renew => "SELECT renew_leases($1, $2, $3) AS good",
            Self::Record => "SELECT * FROM record_step($1, $2, $3, $4, $5)",
            Self::Say => "SELECT say_of_task($1, $2, $3) AS code",
            Self::Park => "SELECT * FROM park_task($1, $2, $3, $4, $5)",
            Self::Finish => "SELECT finish_task($1, $2, $3, $4, $5, $6) AS good",
            Self::HandBack => "SELECT hand_back_task($1, $2, $3, $4, $5) AS good",
            Self::Publish => "SELECT publish_events($1)",
            Self::HeardSoFar => "SELECT * FROM heard_so_far()",
            Self::EventsSince => "SELECT * FROM events_since($1, $2, $3, $4, $5)",
            Self::Put => "SELECT put_value($1, $2, $3, $4, $5, $6, $7) AS good",
            Self::Look => "SELECT * FROM look_at_value($1, $2, $3)",
            Self::Replace => "SELECT replace_value($1, $2, $3, $4, $5) AS version",
            Self::Remove => "SELECT remove_value($1, $2, $3) AS good",
            Self::Mark => "SELECT mark_digest($1, $2) AS good",
            Self::Status => "SELECT * FROM store_status()",
            Self::List => "SELECT * FROM list_tasks($1, $2, $3, $4, $5, $6)",
            Self::Report => "SELECT * FROM report_task($1)",
            Self::Retry => "SELECT * FROM retry_task($1)",
            Self::Sweep => "SELECT * FROM sweep_store($1, $2)",
        }
    }

    /// How it goes together with others.
    pub(super) const fn manner(self) -> Manner {
        match self {
            Self::Now | Self::Task | Self::HeardSoFar | Self::EventsSince => Manner::Reads,
            Self::Create
            | Self::Answer
            | Self::Cancel
            | Self::Record
            | Self::Say
            | Self::Park
            | Self::Finish
            | Self::HandBack
            | Self::Publish
            | Self::Put
            | Self::Look
            | Self::Replace
            | Self::Remove
            | Self::Mark => Manner::Writes,
            // These hold several rows, or take long.
            Self::Claim | Self::Renew | Self::Status | Self::List | Self::Report | Self::Retry | Self::Sweep => {
                Manner::Alone
            }
        }
    }

    /// Whether there may be something to claim or to hear after this was committed, by what it gave.
    pub(super) fn wakes(self, rows: &[Row]) -> bool {
        let code = |name: &str| rows.first().and_then(|row| row.try_get::<_, i32>(name).ok());
        let is = |name: &str| rows.first().and_then(|row| row.try_get::<_, bool>(name).ok()) == Some(true);
        match self {
            // Those that are leased at once are nobody's to claim.
            Self::Create => code("made") == Some(1),
            Self::Answer | Self::Say => code("code") == Some(2),
            Self::Park => code("code") == Some(1),
            Self::Cancel => is("changed"),
            Self::Finish | Self::HandBack => is("good"),
            Self::Publish => true,
            Self::Retry => !rows.is_empty(),
            Self::Now
            | Self::Task
            | Self::Claim
            | Self::Renew
            | Self::Record
            | Self::HeardSoFar
            | Self::EventsSince
            | Self::Put
            | Self::Look
            | Self::Replace
            | Self::Remove
            | Self::Mark
            | Self::Status
            | Self::List
            | Self::Report
            | Self::Sweep => false,
        }
    }
}

/// How a statement goes together with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Writes nothing, and takes no time worth mentioning.
    Reads,
    /// Writes one thing, in one transaction with others.
    Writes,
    /// Has a transaction of its own.
    Alone,
}

/// What goes into a statement.
pub(super) type Parameter = Box<dyn ToSql + Sync + Send>;

/// A statement that is to be executed.
pub(super) struct Request {
    pub(super) call: Call,
    pub(super) parameters: Vec<Parameter>,
    /// What it writes. Of one transaction, all are executed in the order of these: whoever holds one thing waits only for
    /// those that come after it, so no two wait for each other.
    pub(super) order: Vec<u8>,
}

impl Request {
    pub(super) fn new(call: Call, parameters: Vec<Parameter>) -> Self {
        Self { call, parameters, order: Vec::new() }
    }

    /// One that writes what this names, which begins with its kind.
    pub(super) fn on(call: Call, kind: u8, name: &[u8], parameters: Vec<Parameter>) -> Self {
        Self { call, parameters, order: [&[kind], name].concat() }
    }
}

/// Boxes parameters of different types.
macro_rules! parameters {
    ($($parameter:expr),* $(,)?) => {
        vec![$(Box::new($parameter) as $crate::postgres::call::Parameter),*]
    };
}

pub(super) use parameters;
