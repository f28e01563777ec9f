//! The requests that are worked on, by id: what `notifications/cancelled` looks for, and what keeps two
//! requests of one id apart.
//!
//! Spec: basic/patterns/cancellation.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anypod_proto::code::Code;
use anypod_proto::jsonrpc::RequestId;
use tokio::task::AbortHandle;

use crate::completed::Failure;

/// One request that is worked on.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    cancelled: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl InFlight {
    /// Whether the client no longer wants to hear of it.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// The task that works on it.
    pub(super) fn runs_as(&self, task: AbortHandle) {
        let task = self.task.get_or_init(|| task);
        if self.is_cancelled() {
            task.abort();
        }
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// The requests of one connection that are worked on. Bounded by the permits that each of them holds.
#[derive(Debug, Default)]
pub(super) struct Register {
    calls: Mutex<HashMap<RequestId, Arc<InFlight>>>,
}

impl Register {
    /// Enters a request; `id` is the raw JSON of its id.
    ///
    /// # Errors
    /// If a request of that id is worked on.
    pub(super) fn enter(self: &Arc<Self>, id: &str) -> Result<Ticket, Failure> {
        let id = key(id);
        let call = Arc::new(InFlight::default());
        match self.lock().entry(id.clone()) {
            Entry::Occupied(_) => Err(Failure::Protocol {
                code: Code::InvalidRequest.number(),
                message: "a request with this `id` is still worked on".to_owned(),
                data: None,
            }),
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::clone(&call));
                Ok(Ticket { register: Arc::clone(self), id, call })
            }
        }
    }

    /// Ends the work on a request. Ids that are not known, or no more, are ignored.
    pub(super) fn cancel(&self, id: &RequestId) {
        if let Some(call) = self.lock().remove(id) {
            call.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, Arc<InFlight>>> {
        // Every method changes one entry, so a panic in between leaves nothing half done.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id as a value, so that `"a"` and `"\u0061"` are one id. What only looks like an id (a lone surrogate,
/// a negative zero) stands for itself.
fn key(raw: &str) -> RequestId {
    serde_json::from_str(raw).unwrap_or_else(|_| RequestId::String(raw.to_owned()))
}

/// The entry of one request. Dropping it makes the id free again.
#[derive(Debug)]
pub(super) struct Ticket {
    register: Arc<Register>,
    id: RequestId,
    call: Arc<InFlight>,
}

impl Ticket {
    pub(super) const fn call(&self) -> &Arc<InFlight> {
        &self.call
    }

    pub(super) const fn id(&self) -> &RequestId {
        &self.id
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut calls = self.register.lock();
        // After a cancellation, the id may belong to another request already.
        if calls.get(&self.id).is_some_and(|call| Arc::ptr_eq(call, &self.call)) {
            calls.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_until_its_request_ends() {
        let register = Arc::new(Register::default());
        let ticket = register.enter(r#""a""#).unwrap();
        assert!(register.enter(r#""\u0061""#).is_err());
        assert!(register.enter("1").is_ok());
        drop(ticket);
        assert!(register.enter(r#""a""#).is_ok());
    }

    #[test]
    fn a_cancelled_request_does_not_give_back_the_id_of_its_successor() {
        let register = Arc::new(Register::default());
        let cancelled = register.enter("1").unwrap();
        register.cancel(&RequestId::Integer(1));
        assert!(cancelled.call().is_cancelled());
        let successor = register.enter("1").unwrap();
        drop(cancelled);
        assert!(register.enter("1").is_err());
        assert!(!successor.call().is_cancelled());
    }
}
