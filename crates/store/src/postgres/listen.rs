//! How pods wake each other.
//!
//! Whoever has committed something that others wait for notifies them, in a transaction of its own: one that notifies holds a
//! lock over its commit, and with the flush in it all of them would commit one after the other. Who dies in between has told
//! nobody; so every pod also looks once a second how far queue and events have got.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::back_off::BackOff;
use super::failure;
use super::link::{Connector, Wire, with};

/// How often a pod looks by itself.
const LOOK: Duration = Duration::from_secs(1);

/// The shortest time between two notifications of one pod. The first comes at once; under load, each speaks for all that was
/// written meanwhile, and all pods look two hundred times a second instead of thousands.
const PACE: Duration = Duration::from_millis(5);

/// Tells this process and others that there is something to claim or to hear.
pub(super) struct Wakes {
    woken: watch::Sender<u64>,
    to_tell: Notify,
    is_listening: watch::Sender<bool>,
}

impl Wakes {
    pub(super) fn new() -> Self {
        Self { woken: watch::Sender::new(0), to_tell: Notify::new(), is_listening: watch::Sender::new(false) }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.woken.subscribe()
    }

    /// This process has committed something.
    pub(super) fn committed(&self) {
        self.wake();
        self.to_tell.notify_one();
    }

    fn wake(&self) {
        self.woken.send_modify(|count| *count += 1);
    }

    /// Waits until others are heard.
    pub(super) async fn listening(&self) {
        // It cannot fail: the sender is here.
        let _ = self.is_listening.subscribe().wait_for(|is_listening| *is_listening).await;
    }
}

/// Listens and notifies, for as long as somebody wants it.
pub(super) async fn listen(connector: Arc<Connector>, wakes: Arc<Wakes>) {
    let mut back_off = BackOff::default();
    loop {
        let reason = match connect(&connector).await {
            Ok((client, wire, process)) => {
                back_off.begin();
                wakes.is_listening.send_replace(true);
                // What was told meanwhile was not heard.
                wakes.wake();
                let mut driver = JoinSet::new();
                driver.spawn(hear(wire, process, Arc::clone(&wakes)));
                let reason = tell(&client, &connector, &wakes).await;
                wakes.is_listening.send_replace(false);
                reason
            }
            Err(reason) => reason,
        };
        tracing::info!(place = connector.address.place, reason, "other pods are not heard");
        back_off.wait().await;
    }
}

async fn connect(connector: &Connector) -> Result<(Client, Wire, i32), String> {
    let schema = &connector.address.schema;
    // Notifications outlast no crash anyway, so nobody waits for a flush of theirs.
    let setup = format!(
        "{} SET statement_timeout = {}; SET synchronous_commit = off; LISTEN \"{schema}\";",
        connector.base(),
        connector.address.deadline.as_millis(),
    );
    let (client, mut wire) = connector.connect(&setup).await?;
    let row = timeout(connector.address.deadline, with(&mut wire, client.query_one("SELECT pg_backend_pid()", &[])));
    let row = row.await.map_err(|_| "no answer".to_owned())?.map_err(|error| failure::whole(&error))?;
    let process = row.try_get(0).map_err(|error| failure::whole(&error))?;
    Ok((client, wire, process))
}

/// Wakes this process whenever another one has notified it.
async fn hear(mut wire: Wire, process: i32, wakes: Arc<Wakes>) {
    while let Some(Ok(message)) = poll_fn(|cx| wire.poll_message(cx)).await {
        if let AsyncMessage::Notification(heard) = message
            && heard.process_id() != process
        {
            wakes.wake();
        }
    }
}

/// Notifies others, and looks once a second, until the connection breaks. Gives why it did.
async fn tell(client: &Client, connector: &Connector, wakes: &Wakes) -> String {
    let notify = format!("NOTIFY \"{}\"", connector.address.schema);
    let patience = connector.address.deadline + LOOK;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pulse = Pulse::default();
    loop {
        let done = tokio::select! {
            () = wakes.to_tell.notified() => {
                let told = timeout(patience, client.batch_execute(&notify)).await;
                match told {
                    Ok(Ok(())) => sleep(PACE).await,
                    // Whoever is connected next tells it.
                    Ok(Err(_)) | Err(_) => wakes.to_tell.notify_one(),
                }
                told
            }
            _ = ticks.tick() => timeout(patience, pulse.look(client, wakes)).await,
        };
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return failure::whole(&error),
            Err(_) => return "no answer in time".to_owned(),
        }
    }
}

/// What a look has seen.
#[derive(Default)]
struct Pulse {
    seen: Option<(i64, i64)>,
    /// Whether it was different at the look before: what moves may not be committed yet.
    had_moved: bool,
}

impl Pulse {
    async fn look(&mut self, client: &Client, wakes: &Wakes) -> Result<(), tokio_postgres::Error> {
        let row = client.query_one("SELECT * FROM pulse()", &[]).await?;
        let now = (row.try_get("events")?, row.try_get("queued")?);
        let has_moved = self.seen.replace(now).is_some_and(|seen| seen != now);
        if has_moved || self.had_moved || row.try_get("is_due")? {
            wakes.wake();
        }
        self.had_moved = has_moved;
        Ok(())
    }
}
