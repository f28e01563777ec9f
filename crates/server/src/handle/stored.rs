//! Values in a store: the handle is an id.

use std::sync::Arc;

use anypod_store::{NewValue, Replaced, Store, ValueId};

use super::Found;
use super::kind::Kind;
use super::ttl::Ttl;
use crate::cx::Cx;
use crate::error::Result;
use crate::principal::owner;

/// 128 bits in base64url.
pub(super) const ID_LEN: usize = 22;
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
        let id = id_of(cx.server().outside().random());
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

/// Six bits in each character; the last has the two that are left.
fn id_of(random: [u8; 16]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = u128::from_be_bytes(random);
    let six = |at: usize| match at < ID_LEN - 1 {
        true => bits >> (122 - 6 * at),
        false => bits << 4,
    };
    (0..ID_LEN).map(|at| char::from(ALPHABET[(six(at) & 63) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_base64url() {
        assert_eq!(id_of([0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(id_of([255; 16]), "_____________________w");
        for seed in 0..=255_u8 {
            let bytes: [u8; 16] =
                std::array::from_fn(|at| seed.wrapping_mul(31).wrapping_add((at as u8).wrapping_mul(57)));
            assert_eq!(id_of(bytes), anypod_store::TaskId::from_random(bytes).as_str());
        }
    }
}
