//! Which names of tools and prompts have series of their own. Callers can make names up, so only those count that an
//! upstream has answered to, or that are known from its lists.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use anypod_proto::code::Code;

use super::seen::{Outcome, Seen};

/// The names that are known, at most so many.
#[derive(Debug)]
pub(super) struct Names {
    known: RwLock<HashSet<Box<str>>>,
    limit: usize,
}

impl Names {
    pub(super) fn new(limit: usize) -> Self {
        Self { known: RwLock::default(), limit }
    }

    /// Whether the name has series of its own, which it may get by this request.
    pub(super) fn has(&self, name: &str, seen: &Seen) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).contains(name);
        known || proves_name(seen) && self.add(name)
    }

    /// Adds a name, and says whether there is room for it.
    pub(super) fn add(&self, name: &str) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.contains(name) || known.len() < self.limit && known.insert(name.into())
    }
}

/// Whether the upstream would have answered otherwise if there were nothing of that name. What says that a tool failed
/// proves nothing: legacy servers say the same of tools that they do not have.
fn proves_name(seen: &Seen) -> bool {
    let unknown = [Code::InvalidParams.number(), Code::MethodNotFound.number()];
    match seen.outcome {
        Outcome::Ok | Outcome::Asked => true,
        Outcome::Error => seen.code.is_some_and(|code| !unknown.contains(&code)),
        Outcome::ToolError | Outcome::Refused(_) | Outcome::Failed(_) | Outcome::Cancelled => false,
    }
}
