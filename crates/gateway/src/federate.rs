//! One endpoint for many servers: whose a name or a URI is, lists of several servers as one list, and what of results
//! has to be written anew. Everything here is a pure function or a small type over raw JSON; others fetch, seal and keep.
//!
//! In the order in which a list comes about: pages of upstreams are read ([`ListPage`]), their names are decided
//! ([`Directory`]) or their URIs wrapped ([`uris`]), and the whole is cut into pages ([`Merged`]) between which a
//! [`Position`] travels. What is called by such a name or URI goes to its upstream under its own, and the URIs in the
//! result are wrapped again ([`rules`], [`edit`]).

pub(crate) mod completion;
pub(crate) mod discover;
pub(crate) mod edit;
pub(crate) mod rules;
pub(crate) mod uris;

mod cursor;
mod merge;
mod names;
mod page;
mod unavailable;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use cursor::Position;
pub(crate) use merge::{Merged, PageSize, Part};
pub(crate) use names::{Naming, Resolved, is_delimiter};
pub(crate) use page::ListKind;
pub(crate) use unavailable::Unavailable;

/// The upstreams of a route, in its order. Everything else here speaks of an upstream by its place in it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Upstreams(Arc<Order>);

#[derive(Debug)]
struct Order {
    names: Box<[Box<str>]>,
    places: HashMap<Box<str>, usize>,
}

impl Upstreams {
    /// Upstreams of these names, which differ: of two that are alike, the second is never found.
    pub(crate) fn new<S: Into<Box<str>>>(names: impl IntoIterator<Item = S>) -> Self {
        let names: Box<[Box<str>]> = names.into_iter().map(Into::into).collect();
        let mut places = HashMap::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            places.entry(name.clone()).or_insert(place);
        }
        Self(Arc::new(Order { names, places }))
    }

    /// The names, in the route's order.
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.0.names
    }

    /// The place of the upstream of that name.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.0.places.get(name).copied()
    }
}
