//! How long something is waited for, at next to no cost where it comes in time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that outlives what is waited for. It is made at the first wait, and not moved when a wait ends: a later wait
/// ends later, so that an early ring is looked at and set right. That way a request in time costs no change to the
/// runtime's timers.
#[derive(Debug, Default)]
pub(crate) struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    /// Ready once it is `limit` after `since`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, since: Instant, limit: Duration) -> Poll<()> {
        let Some(due) = since.checked_add(limit) else { return Poll::Pending };
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn each_wait_has_its_whole_time() {
        let mut patience = Patience::default();
        let begun = Instant::now();
        poll_fn(|cx| patience.poll(cx, begun, LIMIT)).await;
        assert_eq!(begun.elapsed(), LIMIT);
        // One that was in time, and the next on the same timer.
        let begun = Instant::now();
        let first = poll_fn(|cx| patience.poll(cx, begun, LIMIT));
        assert!(tokio::time::timeout(LIMIT / 2, first).await.is_err());
        let begun = Instant::now();
        poll_fn(|cx| patience.poll(cx, begun, LIMIT)).await;
        assert_eq!(begun.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_wait_after_a_longer_one_is_shorter() {
        let mut patience = Patience::default();
        let begun = Instant::now();
        let long = poll_fn(|cx| patience.poll(cx, begun, LIMIT));
        assert!(tokio::time::timeout(Duration::from_secs(1), long).await.is_err());
        let begun = Instant::now();
        poll_fn(|cx| patience.poll(cx, begun, LIMIT / 5)).await;
        assert_eq!(begun.elapsed(), LIMIT / 5);
    }
}
