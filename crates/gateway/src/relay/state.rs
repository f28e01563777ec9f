//! The state of a round in an answer that passes by: found, sealed and put back, the rest byte for byte as it came.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anypod_proto::escape;
use anypod_proto::scan::{Kind, ScanError, Scanner};
use anypod_server::Principal;
use memchr::memmem::Finder;

use crate::failure::Failure;
use crate::observe::Outcome;
use crate::owner::Owner;
use crate::rounds::{Of, State};
use crate::seal::Sealer;

/// The member of a result that holds the state.
const STATE: &str = "requestState";
// To prepare a search costs more than to search a short text.
static MENTIONED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(STATE));
static ASKED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""resultType":"input_required""#));
static FAILED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""isError":true"#));
static RESULT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""result""#));
/// The `resultType` of results without one.
const COMPLETE: &str = "complete";

/// Seals the states in the answers to one request.
#[derive(Debug)]
pub(crate) struct Rewriter {
    pub(crate) sealer: Sealer,
    pub(crate) ttl: Duration,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) method: Cow<'static, str>,
    /// The name or URI as the client knows it.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) owner: Owner,
}

impl Rewriter {
    /// The message with its state sealed; `None` if it has none and goes on as it is.
    ///
    /// # Errors
    /// If the state is too long to be sealed: it must not reach the client as it is.
    pub(crate) fn message(&self, message: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        if !self.concerns(message) {
            return Ok(None);
        }
        // What is no JSON is no result, and whoever reads it will say so.
        let Ok(text) = std::str::from_utf8(message) else { return Ok(None) };
        match self.owner.response(&self.method, text) {
            Some(translated) => Ok(Some(self.sealed(&translated)?.unwrap_or_else(|| translated.into_bytes()))),
            None if mentions_state(message) => self.sealed(text),
            None => Ok(None),
        }
    }

    /// Whether there may be something in a message that is not to go on as it is.
    pub(crate) fn concerns(&self, message: &[u8]) -> bool {
        self.owner.translates() || mentions_state(message)
    }

    /// Whether everything has to be read, however it begins.
    pub(crate) const fn reads_all(&self) -> bool {
        self.owner.translates()
    }

    fn sealed(&self, text: &str) -> Result<Option<Vec<u8>>, Failure> {
        let message = text.as_bytes();
        let Ok(found) = states(text) else { return Ok(None) };
        let mut out = Vec::with_capacity(message.len() + 256 * found.len());
        let mut at = 0;
        for (place, inner) in &found {
            out.extend_from_slice(&message[at..place.start]);
            escape::push_string(&mut out, &self.seal(inner)?);
            at = place.end;
        }
        out.extend_from_slice(&message[at..]);
        Ok((!found.is_empty()).then_some(out))
    }

    fn seal(&self, inner: &str) -> Result<String, Failure> {
        let of = Of {
            principal: self.principal.as_ref().map(|principal| principal.id()),
            method: &self.method,
            name: self.name.as_deref().unwrap_or_default(),
        };
        let state = State { upstream: self.owner.reach.name().to_string(), held: None, inner: Some(inner.to_owned()) };
        Ok(of.seal(&self.sealer, self.ttl, &state)?)
    }
}

/// What a result comes to besides a plain one, told by its words: this is for what is counted, and no more.
pub(crate) fn came_to(text: &[u8]) -> Option<Outcome> {
    if ASKED.find(text).is_some() {
        return Some(Outcome::Asked);
    }
    FAILED.find(text).is_some().then_some(Outcome::ToolError)
}

/// The code of a whole message that is an error, told by its words as well.
pub(crate) fn error_code(text: &[u8]) -> Option<i32> {
    let after = |text: &'_ [u8], word: &str| memchr::memmem::find(text, word.as_bytes()).map(|at| at + word.len());
    if RESULT.find(text).is_some() {
        return None;
    }
    let error = text.get(after(text, r#""error""#)?..)?;
    let code = std::str::from_utf8(error.get(after(error, r#""code":"#)?..)?).ok()?.trim_ascii_start();
    let end = code.find(|char: char| char != '-' && !char.is_ascii_digit()).unwrap_or(code.len());
    code.get(..end)?.parse().ok()
}

/// Whether the text may have a state in it.
pub(crate) fn mentions_state(text: &[u8]) -> bool {
    MENTIONED.find(text).is_some()
}

/// Where the states stand in a response, quotes included, and what they are. Every occurrence: readers differ in which of
/// several they take.
fn states(text: &str) -> Result<Vec<(Range<usize>, String)>, ScanError> {
    let mut found = Vec::new();
    let mut scanner = Scanner::new(text);
    if scanner.peek()? != Kind::Object {
        return Ok(found);
    }
    let mut message = scanner.object()?;
    while let Some(key) = scanner.member(&mut message)? {
        if !key.is("result") || scanner.peek()? != Kind::Object {
            scanner.value()?;
            continue;
        }
        let mut result = scanner.object()?;
        while let Some(key) = scanner.member(&mut result)? {
            if !key.is(STATE) || scanner.peek()? != Kind::String {
                scanner.value()?;
                continue;
            }
            let start = scanner.offset();
            let state = scanner.string()?.decode().into_owned();
            found.push((start..scanner.offset(), state));
        }
    }
    scanner.end()?;
    Ok(found)
}

/// Where the result stands in a response; of several the last, which is what most readers take.
pub(crate) fn result_of(text: &str) -> Option<Range<usize>> {
    let mut scanner = Scanner::new(text);
    let mut message = scanner.object().ok()?;
    let mut found = None;
    while let Some(key) = scanner.member(&mut message).ok()? {
        scanner.peek().ok()?;
        let start = scanner.offset();
        scanner.value().ok()?;
        if key.is("result") {
            found = Some(start..scanner.offset());
        }
    }
    scanner.end().ok()?;
    found
}

/// What the beginning of a response says about its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It is complete, so that no state is in it.
    Complete,
    /// It is something else, or does not say so yet.
    Other,
}

/// Looks for `resultType` in the beginning of a response.
pub(crate) fn beginning(text: &[u8]) -> Beginning {
    let complete = || -> Option<bool> {
        let valid = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).ok()?,
        };
        let mut scanner = Scanner::new(valid);
        let mut message = scanner.object().ok()?;
        while let Some(key) = scanner.member(&mut message).ok()? {
            if !key.is("result") {
                scanner.value().ok()?;
                continue;
            }
            let mut result = scanner.object().ok()?;
            while let Some(key) = scanner.member(&mut result).ok()? {
                if key.is("resultType") {
                    return Some(scanner.string().ok()?.is(COMPLETE));
                }
                scanner.value().ok()?;
            }
        }
        None
    };
    if complete() == Some(true) { Beginning::Complete } else { Beginning::Other }
}

#[cfg(test)]
mod tests {
    use anypod_proto::seal::Ring;
    use anypod_server::{Outside, Tokens};
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_error_is_told_by_its_code() {
        for (text, code) in [
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no"}}"#, Some(-32602)),
            ("event: message\ndata: {\"id\":1,\"error\":{\"message\":\"no\",\"code\": 7 }}\n\n", Some(7)),
            (r#"{"id":1,"result":{"structuredContent":{"error":{"code":1}}}}"#, None),
            (r#"{"id":1,"error":{"message":"no"}}"#, None),
            (r#"{"id":1,"error":{"code":"x"}}"#, None),
            (r#"{"id":1,"error":{"code":99999999999}}"#, None),
            ("", None),
        ] {
            assert_eq!(error_code(text.as_bytes()), code, "{text}");
        }
    }

    /// An upstream that is never called.
    fn reach() -> Arc<crate::reach::Reach> {
        let mut config = crate::config::Upstream::new("db");
        config.pods = vec!["http://127.0.0.1:9/mcp".to_owned()];
        config.health.every = crate::config::Time::from_secs(0);
        let observer = crate::observe::Observer::new(&crate::config::Observe::default(), Outside::real()).unwrap();
        let upstream = crate::upstream::Upstream::start(&config, &Outside::real()).unwrap();
        crate::reach::Reach::new(&config, &crate::config::Limits::default(), upstream, &observer, None).unwrap()
    }

    fn rewriter() -> Rewriter {
        Rewriter {
            sealer: Sealer { tokens: Arc::new(Tokens::new(Ring::generate([1; 32]), "r")), outside: Outside::real() },
            ttl: Duration::from_secs(60),
            principal: None,
            method: "tools/call".into(),
            name: Some("x".into()),
            owner: Owner::only(&reach()),
        }
    }

    #[tokio::test]
    async fn seals_the_state_and_leaves_the_rest_as_it_came() {
        let text = r#"{ "jsonrpc":"2.0","id":1, "result":{"a":{"requestState":"not this"},"requestState":"s1" ,"resultType":"input_required"} }"#;
        let rewriter = rewriter();
        let sealed = String::from_utf8(rewriter.message(text.as_bytes()).unwrap().unwrap()).unwrap();
        let value: Value = serde_json::from_str(&sealed).unwrap();
        let token = value["result"]["requestState"].as_str().unwrap();
        assert_eq!(sealed.replace(token, "s1"), text);
        let of = Of { principal: None, method: "tools/call", name: "x" };
        assert_eq!(of.open(&rewriter.sealer, token).unwrap().inner.as_deref(), Some("s1"));
    }

    #[tokio::test]
    async fn leaves_what_has_no_state() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"text":"requestState"}]}}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":{"requestState":"s"}}"#,
            r#"["requestState"]"#,
            r#"{"result":{"requestState":"s""#,
            "",
        ] {
            assert_eq!(rewriter().message(text.as_bytes()).unwrap(), None, "{text}");
        }
    }

    #[tokio::test]
    async fn every_spelling_of_a_state_is_sealed() {
        let text = r#"{"result":{"requestState":"a","request\u0053tate":"b","requestState":"c"}}"#;
        let sealed = String::from_utf8(rewriter().message(text.as_bytes()).unwrap().unwrap()).unwrap();
        for raw in ["\"a\"", "\"b\"", "\"c\""] {
            assert!(!sealed.contains(raw), "{sealed}");
        }
    }

    #[test]
    fn tells_a_complete_result_by_its_beginning() {
        let complete =
            br#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{},"resultType":"complete","content":[{"type":"text","te"#;
        assert_eq!(beginning(complete), Beginning::Complete);
        for other in [
            &br#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","#[..],
            br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"te"#,
            br#"{"jsonrpc":"2.0","id":1,"error":{"resultType":"complete""#,
            b"\xff",
            b"",
        ] {
            assert_eq!(beginning(other), Beginning::Other, "{}", String::from_utf8_lossy(other));
        }
    }
}
