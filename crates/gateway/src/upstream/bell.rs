//! Whom a connection wakes: the one who waits for it, and nobody while it is being moved along or kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// A waker that is handed out once and stays the same, whoever waits.
///
/// A connection that is driven by who waits for it would otherwise wake that task from within, whenever it hands
/// something over, and when it is used next, the task that used it last. Each of these is a poll for nothing.
#[derive(Debug)]
pub(super) struct Bell {
    waker: Waker,
    rope: Arc<Rope>,
}

#[derive(Debug, Default)]
struct Rope {
    who: AtomicWaker,
    /// Whether it was pulled while nobody listened.
    missed: AtomicBool,
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.missed.store(true, Ordering::SeqCst);
        self.who.wake();
    }
}

impl Bell {
    pub(super) fn new() -> Self {
        let rope = Arc::new(Rope::default());
        Self { waker: Waker::from(Arc::clone(&rope)), rope }
    }

    /// Nobody is woken from now on. Whatever has happened so far is about to be looked at, or does not matter.
    pub(super) fn silence(&self) {
        self.rope.who.take();
        self.rope.missed.store(false, Ordering::SeqCst);
    }

    /// What the connection is polled with.
    pub(super) fn context(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    /// The task of `cx` is woken from now on, and at once if something has happened since it was last silent.
    pub(super) fn ring_for(&self, cx: &Context<'_>) {
        self.rope.who.register(cx.waker());
        if self.rope.missed.load(Ordering::SeqCst) {
            self.rope.who.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn wakes_who_waits_and_nobody_else() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let task = Context::from_waker(&waker);
        let woken = || count.0.load(Ordering::SeqCst);
        let bell = Bell::new();
        // Before a poll it does not matter.
        bell.context().waker().wake_by_ref();
        bell.silence();
        bell.ring_for(&task);
        assert_eq!(woken(), 0);
        bell.context().waker().wake_by_ref();
        assert_eq!(woken(), 1);
        // Once is enough.
        bell.context().waker().wake_by_ref();
        assert_eq!(woken(), 1);
        // What happens during a poll is not missed.
        bell.silence();
        bell.context().waker().wake_by_ref();
        assert_eq!(woken(), 1);
        bell.ring_for(&task);
        assert_eq!(woken(), 2);
        // Kept: nobody waits.
        bell.silence();
        bell.context().waker().wake_by_ref();
        assert_eq!(woken(), 2);
    }
}
