//! Lists of several upstreams as one, in the order of the route, and within an upstream in its own.

use std::collections::HashSet;

use anypod_proto::caching::{CacheScope, Caching};
use anypod_proto::reject::Rejection;

use super::cursor::Position;
use super::edit::{edit, push_json};
use super::names::{Directory, Naming};
use super::page::{ListKind, ListPage, Listed};
use super::rules::What;
use super::unavailable::{Unavailable, caching, push_caching, push_meta};
use super::{Upstreams, uris};

/// What one upstream gives to a merged list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part<'a> {
    /// The result objects of all of its pages, in order; none if it has no such things. A list with a page missing is not
    /// to be given at all: names would depend on which.
    pub(crate) pages: Vec<&'a str>,
    /// Why it could not be asked. It may still have pages: those of an earlier answer.
    pub(crate) unavailable: Option<Unavailable>,
}

/// What became of an item, or of a whole part, on the way. For the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// A page of this upstream is no page of such a list, and therefore its whole part is missing.
    Unreadable {
        /// The place of the upstream.
        upstream: usize,
        /// What is wrong.
        error: super::page::Unreadable,
    },
    /// Items of this upstream were left out, because they are none, or came a second time.
    Dropped {
        /// The place of the upstream.
        upstream: usize,
        /// How many.
        items: usize,
    },
    /// An item of this upstream has no public name, because another item has it.
    Hidden {
        /// The place of the upstream.
        upstream: usize,
        /// Its own name.
        own: String,
    },
}

/// The bounds of a page. Each page has one item at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageSize {
    /// The most items.
    pub(crate) items: usize,
    /// The most bytes of items.
    pub(crate) bytes: usize,
}

/// Which public names, URIs or templates a principal may see. `None` where nothing is filtered.
pub(crate) type Filter<'a> = Option<&'a dyn Fn(&str) -> bool>;

/// A whole merged list. Takes as much memory as the pages it was made of, and some for the names.
#[derive(Debug)]
pub(crate) struct Merged {
    kind: ListKind,
    upstreams: Upstreams,
    items: Vec<Item>,
    /// Places in `items`, by upstream and own name.
    sorted: Vec<usize>,
    directory: Option<Directory>,
    caching: Caching,
    missing: Vec<(usize, Unavailable)>,
    notes: Vec<Note>,
}

#[derive(Debug)]
struct Item {
    upstream: usize,
    own: Box<str>,
    public: Box<str>,
    /// The item under its public name.
    text: Box<str>,
}

/// A piece of a [`Merged`] list.
#[derive(Debug)]
pub(crate) struct MergedPage<'a> {
    list: &'a Merged,
    items: Vec<&'a Item>,
    caching: Caching,
    has_next: bool,
}

impl Merged {
    /// Merges the parts of all upstreams, which are in the route's order; beyond those are none. What is wrong with one part costs that part, what is
    /// wrong with an item costs that item.
    pub(crate) fn new(kind: ListKind, naming: &Naming, parts: &[Part<'_>]) -> Self {
        let mut merged = Self {
            kind,
            upstreams: naming.upstreams().clone(),
            items: Vec::new(),
            sorted: Vec::new(),
            directory: None,
            caching: Caching::default(),
            missing: Vec::new(),
            notes: Vec::new(),
        };
        let parts = parts.iter().take(merged.upstreams.names().len());
        let (lists, hints): (Vec<_>, Vec<_>) = parts.enumerate().map(|part| merged.read(part)).unzip();
        merged.caching = caching(hints.into_iter().flatten(), !merged.missing.is_empty());
        merged.directory = match kind {
            ListKind::Tools | ListKind::Prompts => Some(directory(naming, &lists)),
            ListKind::Resources | ListKind::ResourceTemplates => None,
        };
        for (upstream, list) in lists.into_iter().enumerate() {
            for listed in list.into_iter().flatten() {
                merged.add(upstream, &listed);
            }
        }
        merged.sorted = (0..merged.items.len()).collect();
        merged.sorted.sort_by(|one, other| merged.items[*one].key().cmp(&merged.items[*other].key()));
        merged
    }

    /// The items of a part, `None` if they are not known, and the caching hints of its pages.
    fn read<'a>(&mut self, (upstream, part): (usize, &Part<'a>)) -> (Option<Vec<Listed<'a>>>, Vec<Caching>) {
        let pages: Result<Vec<_>, _> = part.pages.iter().map(|page| ListPage::read(self.kind, page)).collect();
        let (pages, unavailable) = match pages {
            Ok(pages) => (pages, part.unavailable),
            Err(error) => {
                self.notes.push(Note::Unreadable { upstream, error });
                (Vec::new(), Some(part.unavailable.unwrap_or(Unavailable::Unreadable)))
            }
        };
        self.missing.extend(unavailable.map(|reason| (upstream, reason)));
        let is_known = unavailable.is_none() || !pages.is_empty();
        let hints = pages.iter().map(|page| page.caching).collect();
        let listed: usize = pages.iter().map(|page| page.dropped + page.items.len()).sum();
        let mut seen = HashSet::new();
        let items = pages.into_iter().flat_map(|page| page.items);
        let items: Vec<_> = items.filter(|item| seen.insert(item.own.clone())).collect();
        if items.len() < listed {
            self.notes.push(Note::Dropped { upstream, items: listed - items.len() });
        }
        (is_known.then_some(items), hints)
    }

    fn add(&mut self, upstream: usize, listed: &Listed<'_>) {
        let public = match &self.directory {
            Some(directory) => directory.public(upstream, &listed.own).map(Into::into),
            // The only upstream of a route has its URIs to itself.
            None if self.is_only() => Some(listed.own.clone().into_owned()),
            None => Some(uris::wrap(&self.upstreams, upstream, &listed.own)),
        };
        let Some(public): Option<String> = public else {
            self.notes.push(Note::Hidden { upstream, own: listed.own.clone().into_owned() });
            return;
        };
        let text = edit(listed.text, self.kind.rules(), |what, own| match what {
            What::Resource if self.is_only() => None,
            What::Resource => Some(uris::wrap(&self.upstreams, upstream, own)),
            What::Name | What::Uri | What::TaskId => Some(public.clone()),
        });
        let text = text.expect("an item was scanned when its page was read").into();
        self.items.push(Item { upstream, own: (*listed.own).into(), public: public.into(), text });
    }

    fn is_only(&self) -> bool {
        self.upstreams.names().len() == 1
    }

    /// The names of the tools or prompts. `None` for resources and templates, whose URIs need none.
    pub(crate) const fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref()
    }

    /// What was left out, and why.
    pub(crate) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// How long, and by whom, it may be kept where nothing is filtered.
    #[cfg(test)]
    pub(crate) const fn caching(&self) -> Caching {
        self.caching
    }

    /// Where the page after `position` begins.
    fn start(&self, position: &Position) -> Result<usize, Rejection> {
        let upstream = self.upstreams.place(&position.upstream).ok_or(Rejection::UnknownCursor)?;
        let key = (upstream, &*position.own);
        match self.sorted.binary_search_by(|at| self.items[*at].key().cmp(&key)) {
            Ok(found) => Ok(self.sorted[found] + 1),
            Err(_) => {
                let from = self.items.partition_point(|item| item.upstream < upstream);
                let has_others = self.items.get(from).is_some_and(|item| item.upstream == upstream);
                // Where the whole upstream is away, so is what would have followed.
                let is_missing = self.missing.iter().any(|(missing, _)| *missing == upstream);
                if is_missing && !has_others { Ok(from) } else { Err(Rejection::UnknownCursor) }
            }
        }
    }

    /// The page behind `position`, or the first one, with only what `filter` allows.
    ///
    /// # Errors
    /// [`Rejection::UnknownCursor`] if the item at that position is not in the list any more: there is no telling where the
    /// list went on.
    pub(crate) fn page(
        &self,
        position: Option<&Position>,
        size: PageSize,
        filter: Filter<'_>,
    ) -> Result<MergedPage<'_>, Rejection> {
        let start = position.map_or(Ok(0), |position| self.start(position))?;
        let mut items: Vec<&Item> = Vec::new();
        let mut bytes = 0_usize;
        let mut has_next = false;
        for item in &self.items[start..] {
            if filter.is_some_and(|allows| !allows(&item.public)) {
                continue;
            }
            bytes = bytes.saturating_add(item.text.len());
            if !items.is_empty() && (items.len() >= size.items || bytes > size.bytes) {
                has_next = true;
                break;
            }
            items.push(item);
        }
        let scope = if filter.is_some() { CacheScope::Private } else { self.caching.scope };
        Ok(MergedPage { list: self, items, caching: Caching { scope, ..self.caching }, has_next })
    }
}

impl Item {
    fn key(&self) -> (usize, &str) {
        (self.upstream, &self.own)
    }
}

fn directory(naming: &Naming, lists: &[Option<Vec<Listed<'_>>>]) -> Directory {
    let names = |list: &Option<Vec<Listed<'_>>>| {
        list.as_ref().map(|items| items.iter().map(|item| item.own.to_string()).collect::<Vec<_>>())
    };
    Directory::new(naming, &lists.iter().map(names).collect::<Vec<_>>())
}

impl MergedPage<'_> {
    /// Where the next page begins, to be sealed. `None` on the last one.
    pub(crate) fn next(&self) -> Option<Position> {
        let last = self.items.last().filter(|_| self.has_next)?;
        let upstream = self.list.upstreams.names()[last.upstream].clone();
        Some(Position { kind: self.list.kind, upstream, own: last.own.clone() })
    }

    /// How long, and by whom, it may be kept.
    #[cfg(test)]
    pub(crate) const fn caching(&self) -> Caching {
        self.caching
    }

    /// The result object: who answers, as JSON of an implementation, and the sealed [`MergedPage::next`].
    pub(crate) fn result(&self, server_info: &str, next_cursor: Option<&str>) -> String {
        let length: usize = self.items.iter().map(|item| item.text.len() + 1).sum();
        let mut text = String::with_capacity(length + server_info.len() + 256);
        text.push('{');
        push_meta(&mut text, server_info, &self.list.missing, &self.list.upstreams);
        text.push_str(r#","resultType":"complete",""#);
        text.push_str(self.list.kind.member());
        text.push_str(r#"":["#);
        for (at, item) in self.items.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&item.text);
        }
        text.push(']');
        if let Some(cursor) = next_cursor {
            text.push_str(r#","nextCursor":"#);
            push_json(&mut text, cursor);
        }
        push_caching(&mut text, self.caching);
        text.push('}');
        text
    }
}

#[cfg(test)]
mod tests;
