//! The same on the text of a result, where it is members that go and nothing else changes: what stays is copied, not read.

use super::MODERN_FIELDS;
use crate::{
    jsonrpc::{RESULT_TYPE, ResultType},
    meta,
    method::Method,
    scan::{Kind, ScanError, Scanner, Str},
    version::Version,
};

/// More members than results have. With more, to look whether one stands twice would take too long.
const MOST_MEMBERS: usize = 16;

/// A complete result as a client of `version` knows it, as JSON on one line. `None` where a result has to be read for that:
/// what is no complete result, has members twice or changes inside is for [`downgrade`](super::downgrade).
pub fn downgraded_text(method: Method, version: Version, result: &str) -> Option<String> {
    if version >= Version::V2026_07_28 || !is_flat(method, version, result) {
        return None;
    }
    let mut text = String::with_capacity(result.len());
    text.push('{');
    let mut members = Members::default();
    let mut scanner = Scanner::new(result);
    let mut walk = scanner.object().ok()?;
    while let Some(key) = scanner.member(&mut walk).ok()? {
        members.add(key)?;
        let kind = scanner.peek().ok()?;
        let value = scanner.value().ok()?;
        match key.raw() {
            RESULT_TYPE if !is_complete(value) => return None,
            field if MODERN_FIELDS.contains(&field) => {}
            "_meta" if kind == Kind::Object => {
                let kept = without_server_info(value)?;
                if !kept.is_empty() {
                    push(&mut text, key, &["{", &kept, "}"]);
                }
            }
            // Legacy structured content is an object.
            "structuredContent" if method == Method::ToolsCall && kind != Kind::Object => return None,
            _ => push(&mut text, key, &[value]),
        }
    }
    scanner.end().ok()?;
    text.push('}');
    // Within strings, line ends are escaped.
    if text.contains(['\n', '\r']) {
        text = text.replace(['\n', '\r'], " ");
    }
    Some(text)
}

/// Whether nothing changes inside of the members of a result.
fn is_flat(method: Method, version: Version, result: &str) -> bool {
    match method {
        // Structured content came with 2025-06-18, links to resources too. A letter can be escaped.
        Method::ToolsCall | Method::PromptsGet if version < Version::V2025_11_25 => {
            version >= Version::V2025_06_18 && !result.contains("resource_link") && !result.contains("\\u")
        }
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::Complete => true,
        Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::Discover
        | Method::SubscriptionsListen => false,
    }
}

fn is_complete(value: &str) -> bool {
    Str::parse(value).is_ok_and(|kind| kind.is(ResultType::Complete.as_str()))
}

/// The members of a `_meta` but for the one that legacy clients are not told.
fn without_server_info(object: &str) -> Option<String> {
    let mut kept = String::new();
    let mut members = Members::default();
    each_member(object, |key, value| {
        members.add(key)?;
        if key.raw() != meta::SERVER_INFO {
            push(&mut kept, key, &[value]);
        }
        Some(())
    })
    .ok()??;
    Some(kept)
}

fn each_member<'a>(
    object: &'a str,
    mut see: impl FnMut(Str<'a>, &'a str) -> Option<()>,
) -> Result<Option<()>, ScanError> {
    let mut scanner = Scanner::new(object);
    let mut walk = scanner.object()?;
    while let Some(key) = scanner.member(&mut walk)? {
        let value = scanner.value()?;
        if see(key, value).is_none() {
            return Ok(None);
        }
    }
    Ok(Some(()))
}

/// The keys of an object so far.
#[derive(Default)]
struct Members<'a> {
    keys: [&'a str; MOST_MEMBERS],
    len: usize,
}

impl<'a> Members<'a> {
    /// `None` for one that may stand twice: of two, the last is what a reader sees.
    fn add(&mut self, key: Str<'a>) -> Option<()> {
        if key.is_escaped() || self.keys[..self.len].contains(&key.raw()) {
            return None;
        }
        *self.keys.get_mut(self.len)? = key.raw();
        self.len += 1;
        Some(())
    }
}

fn push(text: &mut String, key: Str<'_>, value: &[&str]) {
    if !matches!(text.as_bytes().last(), None | Some(b'{')) {
        text.push(',');
    }
    text.push('"');
    text.push_str(key.raw());
    text.push_str("\":");
    value.iter().for_each(|part| text.push_str(part));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::downgrade;
    use super::*;

    const ALL: [Method; 4] = [Method::ToolsCall, Method::PromptsGet, Method::ResourcesRead, Method::Complete];

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    fn by_reading(method: Method, version: Version, result: &str) -> Value {
        let Value::Object(mut result) = read(result) else { panic!("no object") };
        downgrade(method, version, &mut result);
        Value::Object(result)
    }

    #[test]
    fn a_usual_result_is_copied_without_what_is_modern() {
        let result = r#"{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a","version":"1"}},"resultType":"complete",
            "content":[{"type":"text","text":"a\nb"}],"structuredContent":{"a":1.50},"ttlMs":1,"cacheScope":"public"}"#;
        let text = downgraded_text(Method::ToolsCall, Version::V2025_06_18, result);
        let expected = r#"{"content":[{"type":"text","text":"a\nb"}],"structuredContent":{"a":1.50}}"#;
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn what_changes_inside_or_is_in_doubt_is_left_to_the_reader() {
        let link = r#"{"content":[{"type":"resource_link","uri":"a:b","name":"b","icons":[]}]}"#;
        let escaped = r#"{"content":[{"type":"resource\u005flink","uri":"a:b","name":"b","icons":[]}]}"#;
        for text in [link, escaped] {
            assert_eq!(downgraded_text(Method::ToolsCall, Version::V2025_06_18, text), None);
            assert_eq!(downgraded_text(Method::ToolsCall, Version::V2025_11_25, text).as_deref(), Some(text));
        }
        for text in [
            r#"{"resultType":"input_required"}"#,
            r#"{"resultType":1}"#,
            r#"{"content":[],"structuredContent":[1]}"#,
            r#"{"content":[],"content":[]}"#,
            r#"{"_meta":{"a":1,"a":2}}"#,
            r#"{"result\u0054ype":"complete"}"#,
            "[]",
            "{",
            "{} {}",
        ] {
            assert_eq!(downgraded_text(Method::ToolsCall, Version::V2025_11_25, text), None, "{text}");
        }
        assert_eq!(downgraded_text(Method::ToolsCall, Version::V2025_03_26, "{}"), None);
        assert_eq!(downgraded_text(Method::ToolsList, Version::V2025_11_25, "{}"), None);
        assert_eq!(downgraded_text(Method::ToolsCall, Version::V2026_07_28, "{}"), None);
    }

    fn members() -> impl Strategy<Value = Value> {
        let any = prop_oneof![
            Just(json!(null)),
            Just(json!([1, "a\n\u{1}"])),
            Just(json!({ "type": "text", "text": "resource_link" })),
            Just(json!([{ "type": "resource_link", "uri": "a:b", "name": "b", "icons": [{ "src": "c:d" }] }])),
            Just(json!({ meta::SERVER_INFO: { "name": "s", "version": "1" } })),
            Just(json!({ meta::SERVER_INFO: 1, "a/b": { meta::SERVER_INFO: 2 } })),
            Just(json!("complete")),
        ];
        let key = prop_oneof![
            Just("_meta"),
            Just("content"),
            Just("structuredContent"),
            Just("resultType"),
            Just("ttlMs"),
            Just("cacheScope"),
            Just("isError"),
            Just("contents"),
        ];
        proptest::collection::vec((key, any), 0..8)
            .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    proptest! {
        /// Both ways, pretty or not.
        #[test]
        fn says_what_the_reader_says_where_it_says_something(
            result in members(), method in 0..ALL.len(), version in 0..Version::LEGACY.len(), pretty: bool,
        ) {
            let (method, version) = (ALL[method], Version::LEGACY[version]);
            let text = if pretty { format!("{result:#}") } else { result.to_string() };
            if let Some(found) = downgraded_text(method, version, &text) {
                prop_assert!(!found.contains('\n'));
                prop_assert_eq!(read(&found), by_reading(method, version, &text));
            }
        }
    }
}
