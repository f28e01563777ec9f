//! The form of what is stored, and how an older one becomes the present one.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Error};

use super::address::Address;
use super::failure;
use super::link::{Connector, with};
use crate::error::OpenError;

/// What makes a form of the one before. Each is applied once, and never changed after it was released.
const STEPS: [&str; 7] = [
    include_str!("0001-tables.sql"),
    include_str!("0002-tasks.sql"),
    include_str!("0003-work.sql"),
    include_str!("0004-events.sql"),
    include_str!("0005-values.sql"),
    include_str!("0006-care.sql"),
    include_str!("0007-lists.sql"),
];

/// The newest form that is known here.
pub(super) const FORM: i64 = STEPS.len() as i64;

/// How long all of it may take, other pods that do the same included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no store of the right form.
enum Failure {
    Database(Error),
    Unusable(String),
    Newer(i64),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// Sees to it that the schema is there and has the present form.
pub(super) async fn prepare(connector: &Connector) -> Result<(), OpenError> {
    let place = || connector.address.place.clone();
    let unreachable = |problem| OpenError::Unreachable { place: place(), problem };
    let setup = format!("{} SET statement_timeout = {};", connector.base(), PATIENCE.as_millis());
    let (client, mut wire) = connector.connect(&setup).await.map_err(unreachable)?;
    let mut failed = None;
    let done = timeout(
        PATIENCE,
        with(&mut wire, async {
            match bring_up(&client, &connector.address).await {
                Ok(()) => Ok(()),
                Err(Failure::Database(error)) => Err(error),
                Err(other) => {
                    failed = Some(other);
                    Ok(())
                }
            }
        }),
    );
    match done.await {
        Err(_) => Err(unreachable("no answer in time".to_owned())),
        Ok(Err(error)) => Err(unreachable(failure::whole(&error))),
        Ok(Ok(())) => match failed {
            None | Some(Failure::Database(_)) => Ok(()),
            Some(Failure::Unusable(problem)) => Err(OpenError::Unusable { place: place(), problem }),
            Some(Failure::Newer(found)) => Err(OpenError::Newer { place: place(), found, known: FORM }),
        },
    }
}

async fn bring_up(client: &Client, address: &Address) -> Result<(), Failure> {
    check_server(client).await?;
    // Whoever may not create schemas can use one that is there and complete.
    if form(client, address).await? == Some(FORM) {
        return Ok(());
    }
    client.batch_execute("BEGIN").await?;
    // Pods of a fleet begin at the same time.
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('anypod ' || $1::text, 0))";
    client.execute(lock, &[&address.schema]).await?;
    let form = form(client, address).await?;
    if form.is_none() {
        let schema = &address.schema;
        let is_there = "SELECT to_regnamespace($1) IS NOT NULL";
        if !client.query_one(is_there, &[schema]).await?.try_get::<_, bool>(0)? {
            client.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await?;
        }
        client.batch_execute("CREATE TABLE form (version bigint NOT NULL); INSERT INTO form VALUES (0)").await?;
    }
    let from = usize::try_from(form.unwrap_or(0)).unwrap_or(0);
    for step in &STEPS[from..] {
        client.batch_execute(step).await?;
    }
    client.execute("UPDATE form SET version = $1", &[&FORM]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

/// Refuses servers that lack what is needed.
async fn check_server(client: &Client) -> Result<(), Failure> {
    let row = client
        .query_one("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')", &[])
        .await?;
    let (version, encoding) = (row.try_get::<_, i32>(0)?, row.try_get::<_, String>(1)?);
    if version < 130_000 {
        return Err(Failure::Unusable(format!(
            "the server is PostgreSQL {}, and 13 or later is needed",
            version / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(Failure::Unusable(format!("the encoding of the database is {encoding}, and UTF8 is needed")));
    }
    Ok(())
}

/// The form that is there; `None` where nothing is.
async fn form(client: &Client, address: &Address) -> Result<Option<i64>, Failure> {
    let count = "SELECT count(*), count(*) FILTER (WHERE relname = 'form') FROM pg_class \
                 WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'v', 'p', 'm', 'f')";
    let row = client.query_one(count, &[&address.schema]).await?;
    match (row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?) {
        (0, _) => return Ok(None),
        (_, 0) => {
            return Err(Failure::Unusable(
                "the schema has tables in it that are no store: choose another `schema`".into(),
            ));
        }
        (_, _) => {}
    }
    let versions = client.query("SELECT version::bigint FROM form", &[]).await?;
    let version = match versions.as_slice() {
        [row] => row.try_get::<_, i64>(0)?,
        _ => return Err(Failure::Unusable("its table `form` does not say which form it has".into())),
    };
    match version {
        0..=FORM => Ok(Some(version)),
        _ if version > FORM => Err(Failure::Newer(version)),
        _ => Err(Failure::Unusable(format!("its form is {version}"))),
    }
}
