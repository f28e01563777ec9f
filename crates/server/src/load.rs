//! How much a server has to do: permits for requests and streams, and the way to an orderly end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anypod_proto::reject::Rejection;
use tokio::sync::Notify;

use crate::limits::Limits;

/// After how many seconds a caller that was sent away may try again. A request takes milliseconds, a
/// restart of a pod a little more; a second is enough for both and keeps callers from hammering.
const RETRY_AFTER_SECS: u32 = 1;

/// Counts what is under way.
#[derive(Debug)]
pub(crate) struct Load {
    requests: AtomicUsize,
    streams: AtomicUsize,
    max_requests: AtomicUsize,
    max_streams: AtomicUsize,
    draining: AtomicBool,
    drain: Notify,
    idle: Notify,
}

/// What a permit is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// A request.
    Request,
    /// A stream that stays open until one side ends it.
    Stream,
}

/// A place among what may be under way; free again when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    load: Arc<Load>,
    what: What,
}

impl Load {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            requests: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            max_requests: AtomicUsize::new(limits.concurrent_requests),
            max_streams: AtomicUsize::new(limits.open_streams),
            draining: AtomicBool::new(false),
            drain: Notify::new(),
            idle: Notify::new(),
        })
    }

    /// Other bounds from now on. Where more is under way than they allow, nothing begins until enough has ended.
    pub(crate) fn bound(&self, limits: &Limits) {
        self.max_requests.store(limits.concurrent_requests, Ordering::Relaxed);
        self.max_streams.store(limits.open_streams, Ordering::Relaxed);
    }

    /// Takes a place, unless all are taken. A draining server still takes requests, because a balancer
    /// needs a moment to learn that it is not ready; it opens no streams.
    pub(crate) fn enter(self: &Arc<Self>, what: What) -> Result<Permit, Rejection> {
        let stream_at_the_end = matches!(what, What::Stream) && self.is_draining();
        self.take(what, stream_at_the_end)
    }

    fn take(self: &Arc<Self>, what: What, stream_at_the_end: bool) -> Result<Permit, Rejection> {
        let (count, max) = self.counter(what);
        let max = max.load(Ordering::Relaxed);
        // The count never goes beyond the limit, not even for a moment: who gives back the last place must
        // see that it was the last, or nobody tells those who wait for the end.
        let one_more = |taken| (taken < max && !stream_at_the_end).then_some(taken + 1);
        match count.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more) {
            Ok(_) => Ok(Permit { load: Arc::clone(self), what }),
            Err(_) => Err(Rejection::Busy { retry_after_secs: RETRY_AFTER_SECS }),
        }
    }

    /// Whether the server is on its way out.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Begins the end: streams are told, readiness goes false.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.drain.notify_waiters();
    }

    /// Completes when the server is on its way out.
    pub(crate) async fn drained(&self) {
        let notified = self.drain.notified();
        tokio::pin!(notified);
        // Registered before the flag is read, so that a drain in between is not missed.
        notified.as_mut().enable();
        if !self.is_draining() {
            notified.await;
        }
    }

    /// Completes when nothing is under way.
    pub(crate) async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.requests.load(Ordering::SeqCst) == 0 && self.streams.load(Ordering::SeqCst) == 0 {
                return;
            }
            notified.await;
        }
    }

    const fn counter(&self, what: What) -> (&AtomicUsize, &AtomicUsize) {
        match what {
            What::Request => (&self.requests, &self.max_requests),
            What::Stream => (&self.streams, &self.max_streams),
        }
    }
}

impl Permit {
    /// Gives back the place of a request while its call waits for the client, and takes that of a stream.
    pub(crate) fn wait(&mut self) -> Result<(), Rejection> {
        // At the end too: it is a request under way, and its client may answer in time.
        *self = self.load.take(What::Stream, false)?;
        Ok(())
    }

    /// Takes the place of a request again. Others may have taken it meanwhile; the client's answer, which
    /// may have cost a person's time, is not thrown away for that, so this never fails.
    pub(crate) fn resume(&mut self) {
        self.load.requests.fetch_add(1, Ordering::AcqRel);
        *self = Self { load: Arc::clone(&self.load), what: What::Request };
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (count, _) = self.load.counter(self.what);
        // One order for all: either this sees the drain, or who drains sees that nothing is left.
        if count.fetch_sub(1, Ordering::SeqCst) == 1 && self.load.is_draining() {
            self.load.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(requests: usize) -> Arc<Load> {
        Load::new(&Limits { concurrent_requests: requests, ..Limits::default() })
    }

    #[test]
    fn refuses_one_more_than_the_limit_and_takes_again_what_is_given_back() {
        let load = load(1);
        let permit = load.enter(What::Request).unwrap();
        assert!(matches!(load.enter(What::Request), Err(Rejection::Busy { .. })));
        drop(permit);
        assert!(load.enter(What::Request).is_ok());
    }

    #[test]
    fn a_call_that_waits_for_its_client_leaves_its_place_to_others() {
        let load = load(1);
        let mut permit = load.enter(What::Request).unwrap();
        permit.wait().unwrap();
        let other = load.enter(What::Request).unwrap();
        permit.resume();
        drop(other);
        assert!(load.enter(What::Request).is_err());
        drop(permit);
        assert!(load.enter(What::Request).is_ok());
    }

    #[test]
    fn other_limits_hold_for_what_begins_after() {
        let limits = |requests| Limits { concurrent_requests: requests, ..Limits::default() };
        let load = load(2);
        let permits = [load.enter(What::Request).unwrap(), load.enter(What::Request).unwrap()];
        load.bound(&limits(3));
        drop(load.enter(What::Request).unwrap());
        load.bound(&limits(1));
        let [one, other] = permits;
        drop(one);
        assert!(load.enter(What::Request).is_err());
        drop(other);
        assert!(load.enter(What::Request).is_ok());
    }

    #[tokio::test]
    async fn is_idle_when_the_last_request_ends() {
        let load = load(2);
        let permit = load.enter(What::Request).unwrap();
        load.drain();
        load.drained().await;
        let idle = tokio::spawn({
            let load = Arc::clone(&load);
            async move { load.idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!idle.is_finished());
        drop(permit);
        idle.await.unwrap();
        assert!(load.enter(What::Stream).is_err());
    }
}
