//! One connection.

use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{MaybeDone, maybe_done, poll_fn};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Connection, Error, Row, Socket, Statement};

use super::address::Address;
use super::call::{Call, Request};
use super::failure;
use super::tls::{Stream, Tls};

/// How long it may take to connect to one host.
const CONNECTING: Duration = Duration::from_secs(5);

/// How much longer than the server this side waits for a statement, so that it is the server that says what was wrong.
const GRACE: Duration = Duration::from_secs(1);

/// Makes connections.
pub(super) struct Connector {
    pub(super) address: Address,
    pub(super) tls: Tls,
}

/// The half of a connection that does the work.
pub(super) type Wire = Connection<Socket, Stream>;

impl Connector {
    /// A connection that is set up with these statements. Gives why there is none, for people.
    pub(super) async fn connect(&self, setup: &str) -> Result<(Client, Wire), String> {
        let connected = async {
            let (client, mut wire) = self.address.config.connect(self.tls.clone()).await?;
            with(&mut wire, client.batch_execute(setup)).await?;
            Ok((client, wire))
        };
        let hosts = self.address.config.get_hosts().len().clamp(1, 10);
        let patience = CONNECTING * hosts as u32;
        match timeout(patience, connected).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(failure::whole(&error)),
            Err(_) => Err(format!("no answer within {} s", patience.as_secs())),
        }
    }

    /// How a connection for requests is set up. No statistics are needed to know that everything goes by an index, so none
    /// that are missing or old can lead the planner to think otherwise, and each statement is planned once.
    pub(super) fn setup(&self) -> String {
        format!(
            "{} SET statement_timeout = {deadline}; SET idle_in_transaction_session_timeout = {deadline}; \
             SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; SET jit = off; \
             SET plan_cache_mode = force_generic_plan;",
            self.base(),
            deadline = self.address.deadline.as_millis(),
        )
    }

    /// What every connection needs: the functions name tables without their schema, and lock rows in the belief that every
    /// statement sees what is committed when it begins.
    pub(super) fn base(&self) -> String {
        format!(
            "SET search_path = \"{}\", pg_temp; SET default_transaction_isolation = 'read committed'; \
             SET client_min_messages = warning;",
            self.address.schema
        )
    }
}

/// Drives a connection for as long as something is done with it.
pub(super) async fn with<T>(wire: &mut Wire, done: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let mut done = pin!(done);
    tokio::select! {
        biased;
        result = &mut done => result,
        end = &mut *wire => {
            end?;
            // It has ended well, so what was asked for has been answered.
            done.await
        }
    }
}

/// What is done by one connection, and which statements it has prepared.
pub(super) struct Link {
    client: Client,
    statements: [Option<Statement>; Call::COUNT],
    deadline: Duration,
}

/// Why requests were not executed.
pub(super) enum Broken {
    /// The database has refused one of them, or the connection broke.
    Failed(Error),
    /// There was no answer in time.
    Late,
}

impl Link {
    pub(super) fn new(client: Client, deadline: Duration) -> Self {
        Self { client, statements: [const { None }; Call::COUNT], deadline: deadline + GRACE }
    }

    /// Executes requests, in one round trip and in their order; all together or none. Where they only read, or there is but
    /// one, that needs no transaction around them.
    pub(super) async fn execute(&mut self, requests: &[&Request], in_one: bool) -> Result<Vec<Vec<Row>>, Broken> {
        let deadline = self.deadline;
        let executed = async {
            for request in requests {
                self.prepare(request.call).await?;
            }
            self.send(requests, in_one && requests.len() > 1).await
        };
        match timeout(deadline, executed).await {
            Ok(done) => done.map_err(Broken::Failed),
            Err(_) => Err(Broken::Late),
        }
    }

    async fn prepare(&mut self, call: Call) -> Result<(), Error> {
        let place = &mut self.statements[call as usize];
        if place.is_none() {
            *place = Some(self.client.prepare(call.statement()).await?);
        }
        Ok(())
    }

    async fn send(&self, requests: &[&Request], in_one: bool) -> Result<Vec<Vec<Row>>, Error> {
        let begin = in_one.then(|| maybe_done(self.client.batch_execute("BEGIN")));
        let commit = in_one.then(|| maybe_done(self.client.batch_execute("COMMIT")));
        let (mut begin, mut commit) = (Box::pin(begin), Box::pin(commit));
        let mut asked: Vec<_> = requests.iter().map(|request| Box::pin(maybe_done(self.query(request)))).collect();
        // What is polled for the first time is sent, and what is sent is executed in that order.
        poll_fn(|cx| {
            if let Some(begin) = begin.as_mut().as_pin_mut() {
                let _ = begin.poll(cx);
            }
            for one in &mut asked {
                let _ = one.as_mut().poll(cx);
            }
            if let Some(commit) = commit.as_mut().as_pin_mut() {
                let _ = commit.poll(cx);
            }
            std::task::Poll::Ready(())
        })
        .await;
        if let Some(begin) = begin.as_mut().as_pin_mut() {
            outcome(begin).await?;
        }
        let mut results = Vec::with_capacity(asked.len());
        for one in &mut asked {
            results.push(outcome(one.as_mut()).await);
        }
        // After an error, this has rolled everything back.
        if let Some(commit) = commit.as_mut().as_pin_mut() {
            outcome(commit).await?;
        }
        results.into_iter().collect()
    }

    async fn query(&self, request: &Request) -> Result<Vec<Row>, Error> {
        let parameters: Vec<&(dyn ToSql + Sync)> =
            request.parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
        match &self.statements[request.call as usize] {
            Some(statement) => self.client.query(statement, &parameters).await,
            None => self.client.query(request.call.statement(), &parameters).await,
        }
    }
}

/// What came of something that is under way.
async fn outcome<F: Future>(mut one: Pin<&mut MaybeDone<F>>) -> F::Output {
    one.as_mut().await;
    one.take_output().expect("it is done, and nobody else has taken what came of it")
}
