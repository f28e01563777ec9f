//! A page of an upstream's list, cut into items that keep every byte.
//!
//! Spec: server/utilities/pagination; the members by schema, `ListToolsResult` and its like.

use std::borrow::Cow;

use anypod_proto::caching::{CacheScope, Caching};
use anypod_proto::jsonrpc::ResultType;
use anypod_proto::method::Method;
use anypod_proto::scan::{Kind, ScanError, Scanner};

use super::rules::{Rule, Step, What};

/// The longest name, URI or template that is passed on, in bytes. Cursors carry one, and so do headers, so that a longer one
/// could not be called anyway.
pub(crate) const LONGEST_KEY: usize = 8192;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ListKind {
    /// Tools.
    Tools,
    /// Prompts.
    Prompts,
    /// Resources.
    Resources,
    /// Resource templates.
    ResourceTemplates,
}

impl ListKind {
    /// Every kind.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::ResourceTemplates];

    /// What that method lists, if it lists anything.
    pub(crate) const fn of(method: Method) -> Option<Self> {
        match method {
            Method::ToolsList => Some(Self::Tools),
            Method::PromptsList => Some(Self::Prompts),
            Method::ResourcesList => Some(Self::Resources),
            Method::ResourceTemplatesList => Some(Self::ResourceTemplates),
            Method::Discover
            | Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::Complete
            | Method::SubscriptionsListen => None,
        }
    }

    /// The method that lists it.
    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Tools => Method::ToolsList,
            Self::Prompts => Method::PromptsList,
            Self::Resources => Method::ResourcesList,
            Self::ResourceTemplates => Method::ResourceTemplatesList,
        }
    }

    /// The member of the result that holds the items.
    pub(super) const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }

    /// The member of an item that identifies it.
    const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
        }
    }

    /// That member, and others that name resources, to be written anew.
    pub(super) const fn rules(self) -> &'static [Rule] {
        const NAME: Rule = Rule::new(What::Name, &[Step::Member("name")]);
        const URI: Rule = Rule::new(What::Uri, &[Step::Member("uri")]);
        const TEMPLATE: Rule = Rule::new(What::Uri, &[Step::Member("uriTemplate")]);
        // Of MCP Apps: the page that shows what the tool gives.
        const APP: Rule =
            Rule::new(What::Resource, &[Step::Member("_meta"), Step::Member("ui"), Step::Member("resourceUri")]);
        match self {
            Self::Tools => &[NAME, APP],
            Self::Prompts => &[NAME],
            Self::Resources => &[URI],
            Self::ResourceTemplates => &[TEMPLATE],
        }
    }
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed<'a> {
    /// Its own name, URI or template.
    pub(crate) own: Cow<'a, str>,
    /// The whole item, as it came.
    pub(crate) text: &'a str,
}

/// One page of an upstream's list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListPage<'a> {
    /// What is on it, in order.
    pub(crate) items: Vec<Listed<'a>>,
    /// How many items were left out, as they are none: no objects, or without a name.
    pub(crate) dropped: usize,
    /// How long, and by whom, it may be kept. Where a hint is missing or no hint, not at all.
    pub(crate) caching: Caching,
    /// Where the next page begins.
    pub(crate) next: Option<Cow<'a, str>>,
}

/// Why a result is no page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    /// It is no JSON object.
    #[error("the list is no JSON: {0}")]
    Json(#[from] ScanError),
    /// It has no array where the items should be.
    #[error("the list has no items")]
    NoItems,
    /// It is another kind of result.
    #[error("the list is not a complete result")]
    Incomplete,
    /// Its `nextCursor` is no string, so that nobody knows whether there are more pages.
    #[error("the cursor of the list is no string")]
    Cursor,
}

impl<'a> ListPage<'a> {
    /// Reads a result object.
    ///
    /// # Errors
    /// If the result as a whole is no page of such a list. Items that are none are left out and counted.
    pub(crate) fn read(kind: ListKind, result: &'a str) -> Result<Self, Unreadable> {
        let mut scanner = Scanner::new(result);
        let mut page = Self { items: Vec::new(), dropped: 0, caching: Caching::default(), next: None };
        let (mut ttl, mut scope, mut has_items) = (None, None, false);
        let mut walk = scanner.object()?;
        while let Some(key) = scanner.member(&mut walk)? {
            let kind_of_value = scanner.peek()?;
            if key.is(kind.member()) {
                if kind_of_value != Kind::Array {
                    return Err(Unreadable::NoItems);
                }
                has_items = true;
                page.read_items(kind, &mut scanner)?;
            } else if key.is("ttlMs") {
                // Of two hints the more careful one counts.
                let found = millis(scanner.value()?);
                ttl = Some(ttl.map_or(found, |ttl: u64| ttl.min(found)));
            } else if key.is("cacheScope") {
                let is_public = string(scanner.value()?).is_some_and(|scope| scope == "public") && scope.is_none();
                scope = Some(if is_public { CacheScope::Public } else { CacheScope::Private });
            } else if key.is("nextCursor") {
                page.next = match kind_of_value {
                    Kind::Null => scanner.value().map(|_| None)?,
                    Kind::String => Some(scanner.string()?.decode()),
                    Kind::Bool | Kind::Number | Kind::Array | Kind::Object => return Err(Unreadable::Cursor),
                };
            } else if key.is("resultType") {
                if !string(scanner.value()?).is_some_and(|kind| ResultType::from(&*kind) == ResultType::Complete) {
                    return Err(Unreadable::Incomplete);
                }
            } else {
                scanner.value()?;
            }
        }
        scanner.end()?;
        page.caching = Caching { ttl_ms: ttl.unwrap_or(0), scope: scope.unwrap_or_default() };
        if has_items { Ok(page) } else { Err(Unreadable::NoItems) }
    }

    fn read_items(&mut self, kind: ListKind, scanner: &mut Scanner<'a>) -> Result<(), ScanError> {
        // If the member stands there twice, the last one counts, as for most parsers.
        self.items.clear();
        let mut walk = scanner.array()?;
        while scanner.item(&mut walk)? {
            let text = scanner.value()?;
            match own_key(kind, text) {
                Some(own) if !own.is_empty() && own.len() <= LONGEST_KEY => self.items.push(Listed { own, text }),
                Some(_) | None => self.dropped += 1,
            }
        }
        Ok(())
    }
}

/// What identifies an item that has been scanned; the last one, if there are several.
fn own_key(kind: ListKind, item: &str) -> Option<Cow<'_, str>> {
    let mut scanner = Scanner::new(item);
    let mut walk = scanner.object().ok()?;
    let mut own = None;
    while let Some(key) = scanner.member(&mut walk).ok()? {
        let value = scanner.value().ok()?;
        if key.is(kind.key()) {
            own = string(value);
        }
    }
    own
}

fn string(value: &str) -> Option<Cow<'_, str>> {
    Some(anypod_proto::scan::Str::parse(value).ok()?.decode())
}

/// A number of milliseconds. What is negative, or no number, is 0; a fraction is cut off.
pub(super) fn millis(value: &str) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates at 0")]
    value.parse().unwrap_or_else(|_| value.parse::<f64>().unwrap_or(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ListPage<'_>, Unreadable> {
        ListPage::read(ListKind::Tools, text)
    }

    #[test]
    fn items_keep_every_byte() {
        let item = r#"{ "x":1e2 , "name" : "a", "x":1E+2,"_meta":{"k\u0065y":[ ]} }"#;
        let text = format!(r#"{{"tools":[ {item} ],"ttlMs":5,"cacheScope":"public","more":{{}}}}"#);
        let page = read(&text).unwrap();
        assert_eq!(page.items, [Listed { own: "a".into(), text: item }]);
        assert_eq!(page.caching, Caching { ttl_ms: 5, scope: CacheScope::Public });
        assert_eq!((page.dropped, page.next), (0, None));
    }

    #[test]
    fn what_is_no_item_is_left_out_and_the_others_stay() {
        let long = "x".repeat(LONGEST_KEY + 1);
        let text = format!(
            r#"{{"tools":[1,null,[],{{}},{{"name":1}},{{"name":""}},{{"name":"{long}"}},{{"name":"a","name":"b"}},{{"n\u0061me":"\u0063"}}]}}"#
        );
        let page = read(&text).unwrap();
        let names: Vec<_> = page.items.iter().map(|item| &*item.own).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(page.dropped, 7);
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for (text, error) in [
            (r#"{"tools":{}}"#, Unreadable::NoItems),
            (r#"{"prompts":[]}"#, Unreadable::NoItems),
            (r#"{"tools":[],"nextCursor":3}"#, Unreadable::Cursor),
            (r#"{"tools":[],"resultType":"input_required"}"#, Unreadable::Incomplete),
            (r#"{"tools":[],"resultType":1}"#, Unreadable::Incomplete),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
        for text in ["", "[]", "null", r#"{"tools":[}"#, r#"{"tools":[]} x"#, r#"{"tools":["#] {
            assert!(matches!(read(text), Err(Unreadable::Json(_))), "{text}");
        }
    }

    #[test]
    fn an_empty_cursor_is_a_cursor_and_null_is_none() {
        assert_eq!(read(r#"{"tools":[],"nextCursor":""}"#).unwrap().next.as_deref(), Some(""));
        assert_eq!(read(r#"{"tools":[],"nextCursor":null}"#).unwrap().next, None);
    }

    #[test]
    fn a_hint_that_is_none_keeps_nothing() {
        for (members, ttl_ms, scope) in [
            ("", 0, CacheScope::Private),
            (r#","ttlMs":-1,"cacheScope":"PUBLIC""#, 0, CacheScope::Private),
            (r#","ttlMs":"5","cacheScope":1"#, 0, CacheScope::Private),
            (r#","ttlMs":1.9e3,"cacheScope":"public""#, 1900, CacheScope::Public),
            (r#","ttlMs":1e99"#, u64::MAX, CacheScope::Private),
            (r#","ttlMs":9,"ttlMs":4,"ttlMs":7"#, 4, CacheScope::Private),
            (r#","cacheScope":"public","cacheScope":"private""#, 0, CacheScope::Private),
            (r#","cacheScope":"private","cacheScope":"public""#, 0, CacheScope::Private),
        ] {
            let text = format!(r#"{{"tools":[]{members}}}"#);
            assert_eq!(read(&text).unwrap().caching, Caching { ttl_ms, scope }, "{members}");
        }
    }
}
