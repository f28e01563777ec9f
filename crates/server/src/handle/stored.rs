//! Values in a store: the handle is an id.

use std::sync::Arc;

use anypod_store::{NewValue, Replaced, Store, TaskId, ValueId};

use super::Found;
use super::kind::Kind;
use super::ttl::Ttl;
use crate::cx::Cx;
use crate::error::Result;
use crate::principal::owner;

/// 128 bits in hexadecimal, as the ids of tasks.
pub(super) const ID_LEN: usize = 32;
/// One creation in so many deletes what is over.
const SWEEPS: u8 = 32;
/// How much of it at most. More than the creations in between, so that nothing piles up.
const SWEEP: usize = 200;

/// A store, and how long it keeps values of one kind.
pub(super) struct Stored<'a> {
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) kind: Kind,
    pub(super) ttl: Ttl,
}

impl Stored<'_> {
    /// Stores a text for the caller, and gives its id.
    pub(super) async fn create(&self, cx: &Cx, text: String) -> Result<String> {
        let id = TaskId::from_random(cx.server().outside().random()).as_str().to_owned();
        let value = NewValue { id: self.value_id(cx, &id), text, ttl: self.ttl.lasts, sliding: self.ttl.slides };
        match self.store.put(value).await {
            Ok(true) => {}
            Ok(false) => return Err(self.kind.too_many()),
            Err(error) => return Err(self.kind.failed(error)),
        }
        self.sweep(cx).await;
        Ok(id)
    }

    /// What the caller has under an id.
    pub(super) async fn load(&self, cx: &Cx, id: &str) -> Result<Option<Found>> {
        if id.len() != ID_LEN {
            return Ok(None);
        }
        let value = self.store.value(self.value_id(cx, id)).await.map_err(|error| self.kind.failed(error))?;
        Ok(value.map(|value| Found { text: value.text, mark: value.version }))
    }

    /// Changes a text that still has this version, and gives its id; `None` if it has another one.
    pub(super) async fn replace(&self, cx: &Cx, id: &str, version: u64, text: String) -> Result<Option<String>> {
        match self.store.replace(self.value_id(cx, id), version, text).await {
            Ok(Replaced::Done(_)) => Ok(Some(id.to_owned())),
            Ok(Replaced::Changed) => Ok(None),
            Ok(Replaced::Gone) => Err(self.kind.unknown()),
            Err(error) => Err(self.kind.failed(error)),
        }
    }

    /// Deletes a text. Gives whether it was there.
    pub(super) async fn remove(&self, cx: &Cx, id: &str) -> Result<bool> {
        self.store.remove(self.value_id(cx, id)).await.map_err(|error| self.kind.failed(error))
    }

    fn value_id(&self, cx: &Cx, id: &str) -> ValueId {
        ValueId { kind: self.kind.name.to_owned(), id: id.to_owned(), owner: owner(cx.principal()) }
    }

    /// Now and then deletes what is over: a server need not have anything else that looks after its store.
    async fn sweep(&self, cx: &Cx) {
        let [chance] = cx.server().outside().random();
        if chance % SWEEPS == 0
            && let Err(error) = self.store.sweep(SWEEP).await
        {
            tracing::warn!(%error, "what is over cannot be deleted");
        }
    }
}
