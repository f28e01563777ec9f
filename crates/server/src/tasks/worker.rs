//! Runs tasks on this pod: takes them up, keeps their leases good, gives them away at the end.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::tasks::EXTENSION;
use anypod_store::{Claim, Event, Heard, Lease, TaskId};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::AsTask;
use super::engine::{Begun, Engine};
use super::keeper::until_written;
use super::run::{leaving, run};
use crate::backend::BoxFuture;
use crate::server::Server;

/// The least time between two looks for tasks: what is written meanwhile anywhere is seen by one look.
const LEAST: Duration = Duration::from_millis(5);
/// The longest time between two looks.
const LONGEST: Duration = Duration::from_secs(30);
/// How long to wait when the store is away.
const AWAY: Duration = Duration::from_secs(1);
/// How often what is over is deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// How much of it at once.
const SWEEP: usize = 500;
/// How often a pod gives room back to the disk that was needed once, if something was deleted meanwhile.
const COMPACT_EVERY: Duration = Duration::from_secs(3600);

/// Runs tasks until the server drains, and what runs has been given away.
pub(super) fn work(engine: Arc<Engine>, server: Server) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let tools = server.marked::<AsTask>();
        let Some(mut begun) = engine.begin() else { return };
        let mut runs = JoinSet::new();
        let mut helpers = JoinSet::new();
        helpers.spawn(renew(Arc::clone(&engine)));
        helpers.spawn(sweep(Arc::clone(&engine), server.clone()));
        let mut woken = engine.store.woken();
        let mut look = Instant::now();
        let mut calm = Calm::default();
        loop {
            let has_place = engine.slots.available_permits() > 0;
            let may_look = has_place && !tools.is_empty();
            tokio::select! {
                biased;
                () = server.drained() => break,
                Some(task) = begun.recv() => start(&mut runs, &engine, &server, task),
                Some(_) = runs.join_next(), if !runs.is_empty() => {}
                // What waits may wait because there was no place, whoever had them.
                Ok(place) = engine.slots.acquire(), if !has_place && !tools.is_empty() => {
                    drop(place);
                    look = calm.soon(look);
                }
                changed = woken.changed(), if may_look => {
                    if changed.is_err() {
                        break;
                    }
                    look = calm.soon(look);
                }
                () = sleep_until(look), if may_look => {
                    let pause = match calm.is_there(&engine).await {
                        Ok(()) => claim(&engine, &server, &tools, &mut runs).await,
                        Err(Pause(pause)) => Ok(pause),
                    };
                    look = Instant::now() + pause.unwrap_or_else(|Away| calm.is_away()).clamp(LEAST, LONGEST);
                }
            }
        }
        engine.end();
        begun.close();
        while let Some(task) = begun.recv().await {
            start(&mut runs, &engine, &server, task);
        }
        while runs.join_next().await.is_some() {}
    })
}

/// Keeps from taking up tasks for a while when the store was away: by the time that it is back, all leases are over, and those
/// who are well are to renew theirs before others take their tasks from them.
#[derive(Default)]
struct Calm {
    is_away: bool,
    until: Option<Instant>,
}

/// How long to wait before the next look.
struct Pause(Duration);

/// The store is away.
struct Away;

impl Calm {
    /// The store is away. Gives how long to wait.
    const fn is_away(&mut self) -> Duration {
        self.is_away = true;
        AWAY
    }

    /// Whether tasks may be taken up. What the store was away for is renewed as soon as it is back.
    async fn is_there(&mut self, engine: &Engine) -> Result<(), Pause> {
        if !self.is_away {
            return Ok(());
        }
        if engine.store.now().await.is_err() {
            return Err(Pause(AWAY));
        }
        renew_now(engine, None).await;
        self.is_away = false;
        // The others find that it is back at about the same time, and within this they renew theirs as ever.
        let pause = engine.settings.lease / 3;
        self.until = Some(Instant::now() + pause);
        Err(Pause(pause))
    }

    /// When to look, now that there may be something: at that moment at the latest, unless it is too early to take up tasks.
    fn soon(&self, look: Instant) -> Instant {
        let soon = look.min(Instant::now() + LEAST);
        self.until.map_or(soon, |until| soon.max(until))
    }
}

/// Takes up as many tasks as there are places for. Gives how long it is until there may be more.
async fn claim(
    engine: &Arc<Engine>,
    server: &Server,
    tools: &[String],
    runs: &mut JoinSet<()>,
) -> Result<Duration, Away> {
    let most = engine.slots.available_permits();
    let claim = Claim {
        worker: engine.worker(server.outside()).to_owned(),
        tools: tools.to_vec(),
        most,
        lease: engine.settings.lease,
    };
    let good_until = Instant::now() + engine.settings.lease;
    match engine.store.claim(claim).await {
        Ok(claims) => {
            engine.is_crowded(claims.tasks.len() == most);
            for claimed in claims.tasks {
                match Arc::clone(&engine.slots).try_acquire_owned() {
                    Ok(slot) => start(runs, engine, server, Begun { claimed: Box::new(claimed), good_until, slot }),
                    // Creators were quicker. What they have created holds the places, and waits for this loop.
                    Err(_) => give_back(engine, runs, claimed.lease),
                }
            }
            Ok(claims.next.unwrap_or(LONGEST))
        }
        Err(error) => {
            tracing::warn!(%error, "tasks cannot be taken up");
            Err(Away)
        }
    }
}

/// Gives away a task that there is no place for after all.
fn give_back(engine: &Arc<Engine>, runs: &mut JoinSet<()>, lease: Lease) {
    let engine = Arc::clone(engine);
    runs.spawn(async move {
        if let Err(error) = until_written(|| engine.store.hand_back(lease.clone(), leaving())).await {
            tracing::warn!(task = ?lease.id, %error, "a task was not given back");
        }
    });
}

fn start(runs: &mut JoinSet<()>, engine: &Arc<Engine>, server: &Server, begun: Begun) {
    runs.spawn(run(Arc::clone(engine), server.clone(), begun));
}

/// Keeps the leases of what runs here good.
async fn renew(engine: Arc<Engine>) {
    let mut ticks = interval(engine.settings.lease / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        renew_now(&engine, None).await;
    }
}

/// Renews leases. That it could not be done costs nothing yet: nothing that another pod writes meanwhile can be undone by this one.
async fn renew_now(engine: &Engine, only: Option<&TaskId>) {
    if let Err(error) = engine.renew(only).await {
        tracing::warn!(%error, "leases were not renewed");
    }
}

/// Tells the listeners of this pod what becomes of tasks on any, and ends runs that were cancelled elsewhere.
pub(super) fn follow(engine: Arc<Engine>, server: Server) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let mut follower = loop {
            tokio::select! {
                () = server.drained() => return,
                follower = engine.store.follow() => match follower {
                    Ok(follower) => break follower,
                    Err(error) => {
                        tracing::warn!(%error, "what becomes of tasks cannot be heard");
                        sleep(AWAY).await;
                    }
                },
            }
        };
        loop {
            let heard = tokio::select! {
                () = server.drained() => return,
                heard = follower.next() => heard,
            };
            match heard {
                Ok(Heard { events, gap }) => {
                    for event in events {
                        let Event::Task(id) = event else { continue };
                        server.tell(EXTENSION, id.as_str());
                        engine.watched.tell(&id);
                        renew_now(&engine, Some(&id)).await;
                    }
                    if gap {
                        server.tell_all();
                        engine.watched.tell_all();
                        renew_now(&engine, None).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "what becomes of tasks cannot be heard");
                    sleep(AWAY).await;
                }
            }
        }
    })
}

/// Deletes what is over, again and again.
async fn sweep(engine: Arc<Engine>, server: Server) {
    let (mut compacted, mut has_deleted) = (Instant::now(), false);
    loop {
        sleep(server.outside().jitter(SWEEP_EVERY)).await;
        loop {
            match engine.store.sweep(SWEEP).await {
                Ok(swept) => {
                    has_deleted |= swept.tasks > 0;
                    if !swept.more {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    tracing::debug!(%error, "what is over was not deleted");
                    break;
                }
            }
        }
        if has_deleted && compacted.elapsed() >= COMPACT_EVERY {
            (compacted, has_deleted) = (Instant::now(), false);
            if let Err(error) = engine.store.compact().await {
                tracing::debug!(%error, "no room was given back");
            }
        }
    }
}
