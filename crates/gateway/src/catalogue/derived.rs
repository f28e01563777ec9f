//! What was made of lists and is looked up often: whose a name is, and what a tool wants mirrored into headers.
//!
//! Bounded by generations: when the younger is full it becomes the older, and what the older held is gone.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anypod_proto::param_header::ParamHeaders;
use foldhash::quality::RandomState;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::cache::Found;
use crate::federate::{ListKind, Merged};

/// Callers for whom lists of their own are remembered, in each generation.
const MOST: usize = 512;

/// Whom requests are kept apart for, by a digest.
type Apart = Option<[u8; 32]>;
/// The tools of an upstream that want something mirrored.
type Mirrored = Arc<HashMap<Box<str>, Arc<ParamHeaders>>>;

#[derive(Debug, Default)]
pub(super) struct Derived {
    merged: Mutex<Recent<(ListKind, Apart), Arc<Merged>>>,
    mirrored: Mutex<Recent<(Arc<str>, Apart), Mirrored>>,
}

#[derive(Debug)]
struct Recent<K, V> {
    young: HashMap<K, (Instant, V), RandomState>,
    old: HashMap<K, (Instant, V), RandomState>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { young: HashMap::default(), old: HashMap::default() }
    }
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.young.len() >= MOST {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, (Instant::now(), value));
    }

    fn find(&self, key: &K, within: Duration) -> Option<V> {
        let (since, value) = self.young.get(key).or_else(|| self.old.get(key))?;
        (since.elapsed() < within).then(|| value.clone())
    }

    fn forget(&mut self, which: impl Fn(&K) -> bool) {
        self.young.retain(|key, _| !which(key));
        self.old.retain(|key, _| !which(key));
    }
}

impl Derived {
    pub(super) fn put(&self, kind: ListKind, apart: Apart, merged: &Arc<Merged>) {
        lock(&self.merged).put((kind, apart), Arc::clone(merged));
    }

    pub(super) fn find(&self, kind: ListKind, apart: Apart, within: Duration) -> Option<Arc<Merged>> {
        lock(&self.merged).find(&(kind, apart), within)
    }

    /// Notes what the tools on these pages want mirrored.
    pub(super) fn learn(&self, upstream: &Arc<str>, apart: Apart, pages: &[Found]) {
        let mirrored: HashMap<_, _> = pages.iter().flat_map(|page| mirrored(&page.rest)).collect();
        lock(&self.mirrored).put((Arc::clone(upstream), apart), Arc::new(mirrored));
    }

    /// What a tool wants mirrored; the outer `None` if its list is not known.
    pub(super) fn mirrored(
        &self,
        upstream: &Arc<str>,
        apart: Apart,
        tool: &str,
        within: Duration,
    ) -> Option<Option<Arc<ParamHeaders>>> {
        let known = lock(&self.mirrored).find(&(Arc::clone(upstream), apart), within)?;
        Some(known.get(tool).cloned())
    }

    pub(super) fn forget(&self, kind: ListKind) {
        lock(&self.merged).forget(|(of, _)| *of == kind);
        if kind == ListKind::Tools {
            lock(&self.mirrored).forget(|_| true);
        }
    }
}

/// A cache: half a change is no worse than a lost one.
fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tools of a page that want something mirrored. Those whose annotations break the rules want nothing: clients do not
/// call them.
fn mirrored(page: &[u8]) -> Vec<(Box<str>, Arc<ParamHeaders>)> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(borrow, default)]
        tools: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Tool {
        name: String,
        input_schema: Value,
    }
    /// What a schema without annotations does not contain.
    const ANNOTATION: &str = "x-mcp-header";
    let Ok(page) = serde_json::from_slice::<Page<'_>>(page) else { return Vec::new() };
    let annotated = page.tools.into_iter().filter(|tool| tool.get().contains(ANNOTATION));
    annotated
        .filter_map(|tool| {
            let tool: Tool = serde_json::from_str(tool.get()).ok()?;
            let headers = ParamHeaders::from_schema(&tool.input_schema).ok().filter(|headers| !headers.is_empty())?;
            Some((tool.name.into(), Arc::new(headers)))
        })
        .collect()
}
