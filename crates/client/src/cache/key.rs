//! What a kept result is the answer to: the method, the parameter that matters, and who asked.
//!
//! Spec: server/utilities/caching, "Cache Key".

use std::borrow::Cow;

use anypod_proto::caching::CacheScope;
use anypod_proto::escape;
use anypod_proto::method::Method;
use serde::Deserialize;

use crate::call::Call;

/// What a result is the answer to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// One whose results may be kept.
    pub(super) method: Method,
    /// The URI of a read, the cursor of a page.
    pub(super) subject: Option<String>,
    /// Who asked, as the credentials tell users apart.
    pub(super) context: String,
}

/// The parameters that affect a result. A call with others is never answered from the cache.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params<'a> {
    #[serde(borrow, default)]
    uri: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cursor: Option<Cow<'a, str>>,
}

impl Key {
    /// What the result of `call` would be kept under, if it may be. `context` is asked for only then.
    pub(crate) fn of(call: &Call, context: impl FnOnce() -> String) -> Option<Self> {
        let method = call.known().filter(|method| method.is_cacheable() && call.answers.is_none())?;
        let mut json = Vec::with_capacity(call.params.len() + 2);
        json.push(b'{');
        json.extend_from_slice(&call.params);
        json.push(b'}');
        let Params { uri, cursor } = serde_json::from_slice(&json).ok()?;
        let subject = match (method, uri, cursor) {
            (Method::ResourcesRead, Some(uri), None) => Some(uri.into_owned()),
            (Method::ResourcesRead, _, _) | (_, Some(_), _) | (Method::Discover, None, Some(_)) => return None,
            (_, None, cursor) => cursor.map(Cow::into_owned),
        };
        Some(Self { method, subject, context: context() })
    }

    /// Whether it is a page of a list with pages before it.
    pub(super) fn is_later_page(&self) -> bool {
        self.method != Method::ResourcesRead && self.subject.is_some()
    }

    /// Its text in the store, below what names the server. Parts that come from outside are JSON strings, which have
    /// no line breaks: no text of one part can pass for another.
    pub(super) fn text(&self, scope: CacheScope) -> String {
        match &self.subject {
            Some(uri) if self.method == Method::ResourcesRead => read(uri) + &self.scope(scope),
            Some(cursor) => self.list(scope) + &quoted(cursor) + "\n",
            None => self.list(scope) + "\n",
        }
    }

    /// The beginning of the texts of all pages of its list.
    pub(super) fn list(&self, scope: CacheScope) -> String {
        all(self.method) + &self.scope(scope)
    }

    fn scope(&self, scope: CacheScope) -> String {
        match scope {
            CacheScope::Public => "public\n".to_owned(),
            CacheScope::Private => format!("private {}\n", quoted(&self.context)),
        }
    }
}

/// The beginning of the texts of all results of a method.
pub(super) fn all(method: Method) -> String {
    format!("{method}\n")
}

/// The beginning of the texts of all reads of a URI.
pub(super) fn read(uri: &str) -> String {
    all(Method::ResourcesRead) + &quoted(uri) + "\n"
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    escape::push_string(&mut quoted, text);
    String::from_utf8(quoted).expect("a JSON string of a text is text")
}

/// A URI and what it is a sub-resource of, by its path: a server may tell of the one where the other is held.
/// `None` if it has more parts than anyone looks through.
pub(super) fn and_above(uri: &str) -> Option<Vec<&str>> {
    const MOST: usize = 32;
    let authority = uri.find("://").map_or(0, |at| at + 3);
    let mut found = vec![uri];
    for (at, _) in uri.match_indices(['/', '?', '#']).filter(|(at, _)| *at >= authority) {
        if found.len() > MOST {
            return None;
        }
        found.extend([&uri[..at], &uri[..=at]]);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_call(params: &str) -> Call {
        Call { params: params.as_bytes().to_vec(), ..Call::new(Method::ResourcesRead) }
    }

    #[test]
    fn the_same_uri_has_the_same_key_however_it_is_written() {
        let key = |params| Key::of(&read_call(params), String::new);
        assert_eq!(key(r#""uri":"file:///a""#), key(r#" "uri" : "file:\/\/\/\u0061" "#));
        assert!(key(r#""uri":"file:///a""#).is_some());
    }

    #[test]
    fn a_call_with_unknown_parameters_or_answers_has_no_key() {
        let key = |call: &Call| Key::of(call, String::new);
        assert_eq!(key(&read_call(r#""uri":"a","depth":2"#)), None);
        assert_eq!(key(&read_call("")), None);
        assert_eq!(key(&Call { answers: Some(crate::Answers::default()), ..read_call(r#""uri":"a""#) }), None);
        assert_eq!(key(&Call::new(Method::ToolsCall)), None);
        assert!(key(&Call::new(Method::ToolsList)).is_some());
    }

    #[test]
    fn no_part_of_a_text_can_pass_for_another() {
        let key = |uri: &str, context: &str| Key {
            method: Method::ResourcesRead,
            subject: Some(uri.to_owned()),
            context: context.to_owned(),
        };
        let crafted = key("a\"\npublic\n", "").text(CacheScope::Private);
        assert!(!crafted.starts_with(&read("a")));
        assert_ne!(key("a", "b").text(CacheScope::Private), key("a", "b\"\n").text(CacheScope::Private));
        assert!(!key("a", "bc").text(CacheScope::Private).starts_with(&key("a", "b").text(CacheScope::Private)));
    }

    #[test]
    fn what_is_above_a_uri_follows_its_path() {
        let mut above = and_above("file:///a/b?c").unwrap();
        above.sort_unstable();
        assert_eq!(
            above,
            ["file://", "file:///", "file:///a", "file:///a/", "file:///a/b", "file:///a/b?", "file:///a/b?c"]
        );
        assert_eq!(and_above("urn:x").unwrap(), ["urn:x"]);
        assert_eq!(and_above(&"/a".repeat(100)), None);
    }
}
