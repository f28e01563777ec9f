//! Legacy calls under way. They are tasks of their own, because a client that disconnects has not cancelled;
//! a client that cancels says so in another request.
//!
//! Spec: 2025-11-25, basic/utilities/cancellation.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::{AbortHandle, JoinHandle};

/// The calls of one process, by session and request. As many as there are permits for requests, and entries
/// of a batch.
#[derive(Debug, Default)]
pub(crate) struct Running {
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    /// A call that is just being started has no handle yet.
    by_request: HashMap<Key, (u64, Option<AbortHandle>)>,
    started: u64,
}

/// A session and the id of a request in one spelling.
type Key = (u64, String);

impl Running {
    /// Runs a call to its end, whether or not anyone waits for it, unless it is cancelled. `request` is the
    /// raw JSON of its id. A client that uses an id twice at once can cancel the later call only.
    pub(crate) fn spawn<T: Send + 'static>(
        self: &Arc<Self>,
        session: u64,
        request: &str,
        call: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let key = (session, spelling(request));
        // Noted before it starts, so that a call that is through at once finds its entry to remove.
        let number = self.note(&key);
        let entry = Entry { running: Arc::clone(self), key: key.clone(), number };
        // In a box, as the runtime hands a task on several times before it runs.
        let call = Box::pin(call);
        // Not under the lock: a runtime that is about to end drops the call, and with it the entry, at once.
        let task = tokio::spawn(async move {
            let _entry = entry;
            call.await
        });
        match self.lock().by_request.get_mut(&key) {
            Some((noted, handle)) if *noted == number => *handle = Some(task.abort_handle()),
            Some(_) => {}
            // Through or cancelled already.
            None => task.abort(),
        }
        task
    }

    /// Notes a call that is about to start, and gives it a number.
    fn note(&self, key: &Key) -> u64 {
        let mut calls = self.lock();
        calls.started += 1;
        let number = calls.started;
        calls.by_request.insert(key.clone(), (number, None));
        number
    }

    /// Cancels a call; nothing happens if it does not run here.
    pub(crate) fn cancel(&self, session: u64, request: &str) {
        let call = self.lock().by_request.remove(&(session, spelling(request)));
        if let Some((_, Some(call))) = call {
            call.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // The map is consistent after every statement, so a panic elsewhere does not spoil it.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same id can be escaped in several ways; most are not, and have one spelling.
fn spelling(id: &str) -> String {
    let is_plain = match id.as_bytes() {
        [b'"', inside @ .., b'"'] => !inside.contains(&b'\\'),
        digits => digits.len() < 16 && digits.iter().all(u8::is_ascii_digit),
    };
    if is_plain {
        return id.to_owned();
    }
    serde_json::from_str::<serde_json::Value>(id).map_or_else(|_| id.to_owned(), |id| id.to_string())
}

/// Removes a call when it ends, however it ends.
struct Entry {
    running: Arc<Running>,
    key: Key,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut calls = self.running.lock();
        if calls.by_request.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            calls.by_request.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn cancels_the_call_of_that_session_and_id() {
        let running = Arc::new(Running::default());
        let call = running.spawn(1, r#""a""#, std::future::pending::<()>());
        running.cancel(2, r#""a""#);
        running.cancel(1, r#""b""#);
        tokio::task::yield_now().await;
        assert!(!call.is_finished());
        running.cancel(1, r#""\u0061""#);
        assert!(call.await.unwrap_err().is_cancelled());
        assert!(running.lock().by_request.is_empty());
    }

    #[test]
    fn what_is_plain_is_spelled_as_what_is_not() {
        for id in
            ["0", "17", "123456789012345", "9007199254740993", "-1", r#""""#, r#""a b""#, r#""\u0061""#, "\"\u{e9}\""]
        {
            let value: serde_json::Value = serde_json::from_str(id).unwrap();
            assert_eq!(spelling(id), value.to_string());
        }
    }

    #[tokio::test]
    async fn forgets_calls_that_are_through() {
        let running = Arc::new(Running::default());
        let call = running.spawn(1, "1", async { 7 });
        assert_eq!(call.await.unwrap(), 7);
        assert!(running.lock().by_request.is_empty());
    }

    #[test]
    fn a_call_that_the_runtime_no_longer_takes_is_dropped() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let (says, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _entered = handle.enter();
            let running = Arc::new(Running::default());
            drop(running.spawn(1, "1", std::future::pending::<()>()));
            says.send(running.lock().by_request.len())
        });
        assert_eq!(said.recv_timeout(std::time::Duration::from_secs(5)), Ok(0));
    }

    #[tokio::test]
    async fn a_call_that_goes_on_without_its_handle_is_still_there() {
        let running = Arc::new(Running::default());
        let (done, wait) = tokio::sync::oneshot::channel();
        drop(running.spawn(1, "1", async move { done.send(()) }));
        wait.await.unwrap();
    }
}
