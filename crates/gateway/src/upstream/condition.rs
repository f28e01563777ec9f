//! How well a pod is: failures in a row, pauses that grow, and the slow start after one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Health;

/// How well one pod is.
#[derive(Debug, Default)]
pub(super) struct Condition {
    /// Failures in a row: of requests, and of the questions of the gateway's own. They are counted apart, as a server
    /// that says that it is well may still fail every request.
    requests: AtomicU32,
    questions: AtomicU32,
    course: Mutex<Course>,
}

#[derive(Debug, Default)]
struct Course {
    /// Gets no requests until then.
    paused: Option<Instant>,
    /// Pauses without much time in between.
    pauses: u32,
    /// Since when it is new, or well again.
    since: Option<Instant>,
}

/// A pod's part in the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Gets requests; fewer at first, where it has not been well for longer than a slow start takes.
    Well { since: Option<Instant> },
    /// Gets none until then, after so many pauses.
    Paused { until: Instant, pauses: u32 },
}

impl Condition {
    /// Of a pod that is there from now on.
    pub(super) fn begun(since: Option<Instant>) -> Self {
        Self { course: Mutex::new(Course { since, ..Course::default() }), ..Self::default() }
    }

    /// A request went well. Returns whether that ends a pause.
    pub(super) fn succeeded(&self) -> bool {
        // Mostly there is nothing to change: then nothing is written that other threads would have to hear of.
        if self.requests.load(Ordering::Relaxed) == 0 {
            return false;
        }
        self.requests.store(0, Ordering::Relaxed);
        self.recover(Instant::now())
    }

    /// A question of the gateway's own was answered. Returns whether that ends a pause.
    pub(super) fn answered(&self, now: Instant) -> bool {
        self.questions.store(0, Ordering::Relaxed);
        let recovered = self.recover(now);
        if recovered {
            self.requests.store(0, Ordering::Relaxed);
        }
        recovered
    }

    /// A request failed. Returns the pause that this brings.
    pub(super) fn failed(&self, now: Instant, health: &Health) -> Option<Duration> {
        let failures = self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.pause_after(failures, now, health)
    }

    /// A question of the gateway's own was not answered. Returns the pause that this brings.
    pub(super) fn unanswered(&self, now: Instant, health: &Health) -> Option<Duration> {
        let failures = self.questions.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        self.pause_after(failures, now, health)
    }

    /// Its part in the rotation. A pause that is over becomes a slow start.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        let mut course = self.course();
        match course.paused {
            Some(until) if until > now => Standing::Paused { until, pauses: course.pauses },
            Some(until) => {
                course.paused = None;
                course.since = Some(until);
                Standing::Well { since: course.since }
            }
            None => Standing::Well { since: course.since },
        }
    }

    fn recover(&self, now: Instant) -> bool {
        let mut course = self.course();
        let paused = course.paused.take().is_some();
        if paused {
            course.since = Some(now);
        }
        paused
    }

    fn pause_after(&self, failures: u32, now: Instant, health: &Health) -> Option<Duration> {
        // The count goes on while it is paused and after: then one failure more is enough.
        if failures < health.failures.max(1) {
            return None;
        }
        let mut course = self.course();
        if course.paused.is_some_and(|until| until > now) {
            return None;
        }
        let longest = health.longest_pause.get();
        let well_since = course.paused.or(course.since);
        if well_since.is_none_or(|since| now.saturating_duration_since(since) > longest) {
            course.pauses = 0;
        }
        let doubled = 1_u32.checked_shl(course.pauses).unwrap_or(u32::MAX);
        let pause = health.pause.get().saturating_mul(doubled).min(longest);
        course.pauses = course.pauses.saturating_add(1);
        course.paused = now.checked_add(pause);
        Some(pause)
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Time;

    fn health() -> Health {
        Health { failures: 3, pause: Time::from_secs(1), longest_pause: Time::from_secs(6), ..Health::default() }
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn is_well(condition: &Condition, now: Instant) -> bool {
        matches!(condition.standing(now), Standing::Well { .. })
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_after_failures_in_a_row_only() {
        let (condition, now) = (Condition::default(), Instant::now());
        for _ in 0..5 {
            assert_eq!(condition.failed(now, &health()), None);
            assert_eq!(condition.failed(now, &health()), None);
            assert!(!condition.succeeded());
        }
        assert!(is_well(&condition, now));
        assert_eq!([(); 3].map(|()| condition.failed(now, &health())), [None, None, Some(secs(1))]);
        assert_eq!(condition.standing(now), Standing::Paused { until: now + secs(1), pauses: 1 });
        // Those that were under way do not make it longer.
        assert_eq!(condition.failed(now, &health()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_fails_right_after_a_pause_is_paused_twice_as_long_up_to_the_longest() {
        let (condition, mut now) = (Condition::default(), Instant::now());
        let _ = [(); 2].map(|()| condition.failed(now, &health()));
        for pause in [1, 2, 4, 6, 6] {
            assert_eq!(condition.failed(now, &health()), Some(secs(pause)));
            assert!(!is_well(&condition, now + secs(pause) - Duration::from_millis(1)));
            now += secs(pause);
            assert_eq!(condition.standing(now), Standing::Well { since: Some(now) });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_was_well_for_long_begins_with_the_shortest_pause_again() {
        let (condition, mut now) = (Condition::default(), Instant::now());
        let _ = [(); 3].map(|()| condition.failed(now, &health()));
        now += secs(1);
        assert_eq!(condition.failed(now, &health()), Some(secs(2)));
        now += secs(2);
        assert!(is_well(&condition, now) && !condition.succeeded());
        now += secs(7);
        assert_eq!([(); 3].map(|()| condition.failed(now, &health())), [None, None, Some(secs(1))]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answered_question_ends_a_pause_and_begins_a_slow_start() {
        let (condition, now) = (Condition::default(), Instant::now());
        let _ = [(); 3].map(|()| condition.failed(now, &health()));
        let later = now + Duration::from_millis(500);
        assert!(condition.answered(later));
        assert_eq!(condition.standing(later), Standing::Well { since: Some(later) });
        assert!(!condition.answered(later));
        assert_eq!(condition.failed(later, &health()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn answered_questions_do_not_excuse_failed_requests() {
        let (condition, now) = (Condition::default(), Instant::now());
        let failed = [(); 3].map(|()| {
            assert!(!condition.answered(now));
            condition.failed(now, &health())
        });
        assert_eq!(failed, [None, None, Some(secs(1))]);
    }

    #[tokio::test(start_paused = true)]
    async fn unanswered_questions_pause_as_failed_requests_do() {
        let (condition, now) = (Condition::default(), Instant::now());
        assert_eq!([(); 3].map(|()| condition.unanswered(now, &health())), [None, None, Some(secs(1))]);
        // A request that gets through all the same ends it.
        let _ = condition.failed(now, &health());
        assert!(condition.succeeded());
        assert!(is_well(&condition, now));
    }
}
