//! Lists, serialized once: pages are cut from ready items, and most answers are ready as a whole.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use anypod_proto::caching::{CacheScope, Caching};
use anypod_proto::reject::Rejection;
use serde::Serialize;

/// A list of things that have a name, in the order in which they were given to the server, which is the
/// same on every replica.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The member of the result that holds the items.
    member: &'static str,
    items: Vec<(String, String)>,
    positions: HashMap<String, usize>,
    cache: Caching,
    /// The result of a list that fits on one page, from the first time it was asked for.
    whole: OnceLock<Arc<str>>,
}

/// One page.
pub(crate) struct Page<'a> {
    items: &'a [(String, String)],
    /// The name after which the next page begins.
    pub(crate) next_after: Option<&'a str>,
}

impl Listing {
    pub(crate) fn new<'a, T: Serialize + 'a>(
        member: &'static str,
        items: impl Iterator<Item = (&'a str, &'a T)>,
        cache: Caching,
    ) -> serde_json::Result<Self> {
        let items: Vec<_> = items
            .map(|(name, item)| serde_json::to_string(item).map(|text| (name.to_owned(), text)))
            .collect::<Result<_, _>>()?;
        let positions = items.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        Ok(Self { member, items, positions, cache, whole: OnceLock::new() })
    }

    /// The result object of the list as a whole, if it fits on one page of `size`. A server has one identity
    /// and one size of pages, so this is written once.
    pub(crate) fn whole(&self, identity: &str, size: usize) -> Option<Arc<str>> {
        let write = || self.result(identity, &Page { items: &self.items, next_after: None }, None).into();
        (self.items.len() <= size.max(1)).then(|| Arc::clone(self.whole.get_or_init(write)))
    }

    /// The page that begins after the item of that name.
    pub(crate) fn page(&self, after: Option<&str>, size: usize) -> Result<Page<'_>, Rejection> {
        let start = match after {
            None => 0,
            // The item was removed by a newer release: there is no telling where the list went on.
            Some(name) => 1 + *self.positions.get(name).ok_or(Rejection::UnknownCursor)?,
        };
        let end = self.items.len().min(start.saturating_add(size.max(1)));
        let next_after = (end < self.items.len()).then(|| self.items[end - 1].0.as_str());
        Ok(Page { items: &self.items[start..end], next_after })
    }

    /// The result object of a page, with `identity` (members of the object) in front.
    pub(crate) fn result(&self, identity: &str, page: &Page<'_>, cursor: Option<&str>) -> String {
        let length: usize = page.items.iter().map(|(_, text)| text.len() + 1).sum();
        let mut text = String::with_capacity(length + identity.len() + 128);
        text.push('{');
        text.push_str(identity);
        text.push_str(r#","resultType":"complete",""#);
        text.push_str(self.member);
        text.push_str(r#"":["#);
        for (at, (_, item)) in page.items.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(item);
        }
        text.push(']');
        if let Some(cursor) = cursor {
            // Cursors are base64url, so they need no escaping.
            text.push_str(&format!(r#","nextCursor":"{cursor}""#));
        }
        text.push_str(&cache_members(self.cache));
        text.push('}');
        text
    }
}

/// The caching members of a result, with a comma in front.
pub(crate) fn cache_members(hint: Caching) -> String {
    let scope = match hint.scope {
        CacheScope::Public => "public",
        CacheScope::Private => "private",
    };
    format!(r#","ttlMs":{},"cacheScope":"{scope}""#, hint.ttl_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let items = ["a", "b", "c"];
        Listing::new("tools", items.iter().map(|name| (*name, name)), Caching::default()).unwrap()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let listing = listing();
        let first = listing.page(None, 2).unwrap();
        assert_eq!(first.next_after, Some("b"));
        let text = listing.result(r#""_meta":{}"#, &first, Some("C"));
        assert_eq!(
            text,
            r#"{"_meta":{},"resultType":"complete","tools":["a","b"],"nextCursor":"C","ttlMs":0,"cacheScope":"private"}"#
        );
        let last = listing.page(first.next_after, 2).unwrap();
        assert_eq!((last.items.len(), last.next_after), (1, None));
    }

    #[test]
    fn a_list_on_one_page_is_written_once_and_is_that_page() {
        let listing = listing();
        assert_eq!(listing.whole(r#""_meta":{}"#, 2), None);
        let whole = listing.whole(r#""_meta":{}"#, 3).unwrap();
        assert_eq!(*whole, *listing.result(r#""_meta":{}"#, &listing.page(None, 3).unwrap(), None));
        assert!(Arc::ptr_eq(&whole, &listing.whole(r#""_meta":{}"#, 3).unwrap()));
    }

    #[test]
    fn a_cursor_to_an_item_that_is_gone_is_refused() {
        assert!(listing().page(Some("gone"), 2).is_err());
    }
}
