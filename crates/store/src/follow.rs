//! One reader for all followers of a process: what one of them has the store asked for, the others have, too.
//!
//! Nobody is spawned for that. A follower that has nothing to give asks the store itself, unless another one has asked since there may
//! be something; what comes is there for all, until each of them has given it.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::StoreError;
use crate::event::{Event, Follower, Heard};
use crate::store::Later;

/// Events that wait for followers at most, and bytes of them. Who is further behind has missed some, and is told so.
const WAITING: usize = 20_000;
const BYTES_WAITING: usize = 8 << 20;

/// Asks a store.
pub(crate) trait Source: Send + 'static {
    /// How often it is asked if nobody says that there may be something; never, without.
    const EVERY: Option<Duration>;
    /// The shortest time between two times that it is asked: under load, one hears of what many have written.
    const PACE: Duration;

    /// What was written since it was asked last, without waiting for it. Dropping the future loses nothing.
    fn look(&mut self) -> impl Future<Output = Result<Look, StoreError>> + Send;
}

/// What there is.
pub(crate) struct Look {
    pub(crate) heard: Heard,
    /// Whether there is more, to be asked for at once.
    pub(crate) more: bool,
}

/// The followers of one process.
pub(crate) struct Followers<S>(tokio::sync::Mutex<Weak<Shared<S>>>);

/// What they have in common, as long as there is one.
struct Shared<S> {
    reader: tokio::sync::Mutex<Reader<S>>,
    log: Mutex<Log>,
}

struct Reader<S> {
    source: S,
    /// What `woken` was before the store was asked last; none if that failed, or there is more.
    seen: Option<u64>,
    asked: Instant,
}

/// What was heard and not yet given by all.
#[derive(Default)]
struct Log {
    /// With the bytes of each.
    heard: VecDeque<(Heard, usize)>,
    /// How many were there before.
    passed: u64,
    /// How far each follower is.
    positions: BTreeMap<u64, u64>,
    next: u64,
}

struct Following<S> {
    shared: Arc<Shared<S>>,
    number: u64,
    woken: watch::Receiver<u64>,
}

impl<S> Default for Followers<S> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::const_new(Weak::new()))
    }
}

impl<S: Source> Followers<S> {
    /// One more, which hears of what is written from now on. `woken` changes whenever there may be something; `begin` makes the
    /// source that hears from now on, if nobody follows yet.
    pub(crate) async fn add(
        &self,
        woken: watch::Receiver<u64>,
        begin: impl Future<Output = Result<S, StoreError>>,
    ) -> Result<Box<dyn Follower>, StoreError> {
        // Whoever comes at the same time waits, and finds what is made here.
        let mut slot = self.0.lock().await;
        let shared = match slot.upgrade() {
            Some(shared) => {
                // What was written before is for the others.
                let mut reader = shared.reader.lock().await;
                while reader.look(&shared.log).await? {}
                drop(reader);
                shared
            }
            None => {
                let reader = Reader { source: begin.await?, seen: None, asked: Instant::now() };
                let shared = Arc::new(Shared { reader: tokio::sync::Mutex::new(reader), log: Mutex::default() });
                *slot = Arc::downgrade(&shared);
                shared
            }
        };
        let number = lock(&shared.log).enter();
        Ok(Box::new(Following { shared, number, woken }))
    }
}

impl<S: Source> Reader<S> {
    /// Asks the store, and says whether there is more.
    async fn look(&mut self, log: &Mutex<Log>) -> Result<bool, StoreError> {
        let Look { heard, more } = self.source.look().await?;
        // Without a pause from here on, so that nothing is lost with a future.
        self.asked = Instant::now();
        if heard.gap || !heard.events.is_empty() {
            lock(log).push(heard);
        }
        Ok(more)
    }
}

impl Log {
    /// The number of a new follower, which has heard all that was heard so far.
    fn enter(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.positions.insert(number, self.end());
        number
    }

    fn leave(&mut self, number: u64) {
        self.positions.remove(&number);
        self.forget();
    }

    fn end(&self) -> u64 {
        self.passed + self.heard.len() as u64
    }

    fn push(&mut self, heard: Heard) {
        let bytes = heard.events.iter().map(size).sum();
        self.heard.push_back((heard, bytes));
        let (mut events, mut all) = (0, 0);
        let fit = self.heard.iter().rev().take_while(|(heard, bytes)| {
            events += heard.events.len();
            all += bytes;
            events <= WAITING && all <= BYTES_WAITING
        });
        // The last is kept however large it is: it was read for those who wait now.
        let kept = fit.count().max(1);
        self.drop_first(self.heard.len() - kept);
    }

    /// Whether there is something that a follower has not given yet.
    fn has(&self, number: u64) -> bool {
        self.positions.get(&number).is_some_and(|position| *position < self.end())
    }

    /// What a follower has not given yet.
    fn take(&mut self, number: u64) -> Option<Heard> {
        let position = self.positions.get_mut(&number)?;
        let missed = *position < self.passed;
        let at = (*position).max(self.passed);
        let (heard, _) = self.heard.get(usize::try_from(at - self.passed).ok()?)?;
        let heard = Heard { events: heard.events.clone(), gap: heard.gap || missed };
        *position = at + 1;
        self.forget();
        Some(heard)
    }

    /// Forgets what all have given.
    fn forget(&mut self) {
        let given = self.positions.values().min().map_or(self.end(), |slowest| *slowest);
        let given = usize::try_from(given.saturating_sub(self.passed)).unwrap_or(usize::MAX);
        self.drop_first(given.min(self.heard.len()));
    }

    fn drop_first(&mut self, count: usize) {
        self.heard.drain(..count);
        self.passed += count as u64;
    }
}

/// What an event takes, about.
fn size(event: &Event) -> usize {
    match event {
        Event::Task(id) => id.as_str().len(),
        Event::Told(text) => text.len(),
    }
}

impl<S: Source> Following<S> {
    async fn wait_and_hear(&mut self) -> Result<Heard, StoreError> {
        loop {
            if let Some(heard) = lock(&self.shared.log).take(self.number) {
                return Ok(heard);
            }
            if let Some(until) = self.ask().await? {
                self.wait(until).await;
            }
        }
    }

    /// Asks the store if that is due, and gives until when there is nothing to ask for otherwise.
    async fn ask(&mut self) -> Result<Option<Option<Instant>>, StoreError> {
        let mut reader = self.shared.reader.lock().await;
        // Another one may have asked while this one waited for its turn.
        if lock(&self.shared.log).has(self.number) {
            return Ok(None);
        }
        let next = S::EVERY.map(|every| reader.asked + every);
        let is_due =
            reader.seen != Some(*self.woken.borrow_and_update()) || next.is_some_and(|next| next <= Instant::now());
        if !is_due {
            return Ok(Some(next));
        }
        if !S::PACE.is_zero() {
            sleep_until(reader.asked + S::PACE).await;
        }
        let woken = *self.woken.borrow_and_update();
        let more = reader.look(&self.shared.log).await?;
        reader.seen = (!more).then_some(woken);
        Ok(None)
    }

    /// Waits for something to be written, or for the time to ask anyway.
    async fn wait(&mut self, until: Option<Instant>) {
        let changed = self.woken.changed();
        match until {
            Some(until) => {
                // The sender goes with the store, which a source may outlast; then there is the time.
                if let Ok(Err(_)) = timeout_at(until, changed).await {
                    sleep_until(until).await;
                }
            }
            None => {
                if changed.await.is_err() {
                    pending::<()>().await;
                }
            }
        }
    }
}

impl<S: Source> Follower for Following<S> {
    fn next(&mut self) -> Later<'_, Heard> {
        Box::pin(self.wait_and_hear())
    }
}

impl<S> Drop for Following<S> {
    fn drop(&mut self) {
        lock(&self.shared.log).leave(self.number);
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    // No change stops halfway, so what a panic elsewhere has left behind is whole.
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(number: usize) -> Event {
        Event::Told(number.to_string())
    }

    fn heard(events: impl IntoIterator<Item = Event>) -> Heard {
        Heard { events: events.into_iter().collect(), gap: false }
    }

    #[test]
    fn each_is_given_everything_once_and_what_all_have_given_is_forgotten() {
        let mut log = Log::default();
        let one = log.enter();
        log.push(heard([told(1)]));
        let other = log.enter();
        assert!(log.has(one) && !log.has(other));
        log.push(heard([told(2), told(3)]));
        assert_eq!(log.take(other), Some(heard([told(2), told(3)])));
        assert_eq!((log.take(other), log.heard.len()), (None, 2));
        assert_eq!(log.take(one), Some(heard([told(1)])));
        assert_eq!(log.heard.len(), 1);
        assert_eq!(log.take(one), Some(heard([told(2), told(3)])));
        assert!(log.heard.is_empty());
        log.push(heard([told(4)]));
        log.take(other);
        log.leave(one);
        assert!(log.heard.is_empty());
    }

    #[test]
    fn who_is_too_far_behind_is_told_so_and_goes_on_with_what_there_is() {
        let mut log = Log::default();
        let (slow, quick) = (log.enter(), log.enter());
        for number in 0..WAITING + 5 {
            log.push(heard([told(number)]));
            assert_eq!(log.take(quick), Some(heard([told(number)])));
        }
        assert_eq!(log.heard.len(), WAITING);
        assert_eq!(log.take(slow), Some(Heard { gap: true, ..heard([told(5)]) }));
        assert_eq!(log.take(slow), Some(heard([told(6)])));
        // Bytes have a bound of their own. What is larger by itself is given all the same.
        let long = || Event::Told("x".repeat(BYTES_WAITING));
        log.push(heard([long()]));
        assert_eq!(log.heard.len(), 1);
        log.push(heard([long(), told(0)]));
        assert_eq!(log.heard.len(), 1);
        assert!(log.take(slow).is_some_and(|heard| heard.gap && heard.events.len() == 2));
    }
}
