//! The seam for tokens that work once: something that remembers which have been used.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anypod_proto::seal::UnixSeconds;

/// Remembers what has been used, for all pods of a fleet alike.
pub trait Once: Send + Sync + 'static {
    /// Marks `token` (a digest) as used. `Ok(true)` for the first who asks, on whichever pod, `Ok(false)`
    /// ever after. The mark may be forgotten after `until`, when the token has expired anyway.
    fn claim(
        &self,
        token: [u8; 32],
        now: UnixSeconds,
        until: UnixSeconds,
    ) -> Pin<Box<dyn Future<Output = Result<bool, OnceError>> + Send + '_>>;
}

impl<O: Once + ?Sized> Once for Arc<O> {
    fn claim(
        &self,
        token: [u8; 32],
        now: UnixSeconds,
        until: UnixSeconds,
    ) -> Pin<Box<dyn Future<Output = Result<bool, OnceError>> + Send + '_>> {
        (**self).claim(token, now, until)
    }
}

/// Why it could not be told whether a token was used.
#[derive(Debug, thiserror::Error)]
#[error("the store of used tokens is unavailable: {0}")]
pub struct OnceError(pub String);

/// Remembers in the memory of one process: right for one pod, wrong for two.
#[derive(Debug)]
pub struct InMemory {
    capacity: usize,
    used: Mutex<HashMap<[u8; 32], UnixSeconds>>,
}

impl InMemory {
    /// Remembers at most `capacity` unexpired tokens; beyond that, claims fail.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, used: Mutex::default() }
    }
}

impl Once for InMemory {
    fn claim(
        &self,
        token: [u8; 32],
        now: UnixSeconds,
        until: UnixSeconds,
    ) -> Pin<Box<dyn Future<Output = Result<bool, OnceError>> + Send + '_>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= self.capacity {
            used.retain(|_, until| *until > now);
        }
        let answer = if used.contains_key(&token) {
            Ok(false)
        } else if used.len() >= self.capacity {
            Err(OnceError(format!("{} tokens are remembered already", self.capacity)))
        } else {
            used.insert(token, until);
            Ok(true)
        };
        Box::pin(std::future::ready(answer))
    }
}
