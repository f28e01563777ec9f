//! The contract, kept by the store in a database, and what a database brings with it: outages, several who begin at once,
//! forms.
//!
//! The environment variable `ANYPOD_TEST_POSTGRES` says where a server is, as `postgres://USER@HOST:PORT/DATABASE`; each
//! test has a schema of its own there, and drops it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anypod_store::contract::{Fixture, Fixtures};
use anypod_store::{Options, Postgres, Store};
use tokio_postgres::NoTls;

mod forms;
mod outages;
mod proxy;
mod together;

/// A server to test with.
#[derive(Clone)]
struct Server {
    url: String,
}

impl Server {
    /// The one that the environment names. Without one, says that the test is skipped.
    #[expect(clippy::disallowed_methods, reason = "where a server is only the environment can tell")]
    fn find() -> Option<Self> {
        match std::env::var("ANYPOD_TEST_POSTGRES") {
            Ok(url) => Some(Self { url }),
            Err(_) => {
                println!("this test was skipped: ANYPOD_TEST_POSTGRES names no server, see tests/stages/store.sh");
                None
            }
        }
    }

    /// Its host and port, as they stand in the URL.
    fn address(&self) -> String {
        let authority = self.url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
        authority.rsplit('@').next().unwrap().to_owned()
    }

    /// A connection for the test itself.
    async fn connect(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// A schema that nobody else has.
    fn schema(&self) -> Schema {
        let number = RandomState::new().hash_one(std::process::id());
        Schema { server: self.clone(), name: format!("test_{number:016x}") }
    }
}

/// A schema, until it is dropped.
struct Schema {
    server: Server,
    name: String,
}

impl Schema {
    fn url(&self) -> String {
        format!("{}?schema={}", self.server.url, self.name)
    }

    async fn open(&self, options: Options) -> Arc<Postgres> {
        Arc::new(Postgres::open(&self.url(), options).await.unwrap())
    }

    /// Executes statements in it.
    async fn execute(&self, statements: &str) {
        let statements = format!("SET search_path = {}; {statements}", self.name);
        self.server.connect().await.batch_execute(&statements).await.unwrap();
    }
}

impl Drop for Schema {
    /// A runtime cannot wait within itself.
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let drop = format!("SET client_min_messages = warning; DROP SCHEMA IF EXISTS {name} CASCADE");
                server.connect().await.batch_execute(&drop).await
            })
        });
        if let Ok(Err(error)) = dropped.join() {
            println!("{} is left behind: {error}", self.name);
        }
    }
}

/// A schema whose clock the test moves.
struct Fleet {
    schema: Schema,
    options: Options,
}

impl Fixtures for Server {
    fn fresh(&self, options: Options) -> Pin<Box<dyn Future<Output = Box<dyn Fixture>> + Send + '_>> {
        Box::pin(async {
            let fleet = Fleet { schema: self.schema(), options };
            drop(fleet.pod().await);
            let shift = "CREATE TABLE clock (shift bigint); INSERT INTO clock VALUES (0); \
                 CREATE OR REPLACE FUNCTION now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS \
                 $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + (SELECT shift FROM clock) $$";
            fleet.schema.execute(shift).await;
            Box::new(fleet) as Box<dyn Fixture>
        })
    }
}

impl Fixture for Fleet {
    fn pod(&self) -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send + '_>> {
        Box::pin(async { self.schema.open(self.options.clone()).await as Arc<dyn Store> })
    }

    fn advance(&self, by: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.schema.execute(&format!("UPDATE clock SET shift = shift + {}", by.as_millis())).await;
        })
    }
}

anypod_store::contract!(match Server::find() {
    Some(server) => server,
    None => return,
});
