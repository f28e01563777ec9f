//! `--trace`: what goes over the wire, on standard error, with secrets masked.

use anypod_client::Observe;
use anypod_client::proto::header::SESSION_ID;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request, response};
use serde_json::Value;

use crate::output::{self, Way, clean};

/// What stands in place of a secret.
const MASK: &str = "***";
/// Parts of names whose values are secrets.
const SECRET: [&str; 8] = ["authorization", "cookie", "token", "secret", "key", "password", "credential", "signature"];
/// How much of a session's id is shown, so that sessions can be told apart.
const SHOWN: usize = 6;

/// Prints every exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace;

impl Observe for Trace {
    fn request(&self, number: u64, head: &request::Parts, body: &Bytes) {
        let line = format!("#{number} {} {} {:?}\n", head.method, masked_uri(&head.uri), head.version);
        output::traced(Way::Sent, &format!("{line}{}\n{}", headers(&head.headers), body_text(body)));
    }

    fn response(&self, number: u64, head: &response::Parts) {
        let line = format!("#{number} {:?} {}\n", head.version, head.status);
        output::traced(Way::Received, &format!("{line}{}", headers(&head.headers)));
    }

    fn received(&self, number: u64, text: &[u8]) {
        // Lines of a child process have no number.
        let head = if number == 0 { String::new() } else { format!("#{number}\n") };
        output::traced(Way::Received, &format!("{head}{}", body_text(text)));
    }

    fn line(&self, text: &[u8]) {
        output::traced(Way::Sent, &body_text(text));
    }
}

/// JSON is indented; what is none is shown as it is.
fn body_text(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => clean::pretty(&value),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

fn headers(headers: &HeaderMap) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {}\n", masked(name, value))).collect()
}

fn masked(name: &HeaderName, value: &HeaderValue) -> String {
    let text = String::from_utf8_lossy(value.as_bytes());
    if name == SESSION_ID {
        let shown: String = text.chars().take(SHOWN.min(text.chars().count() / 2)).collect();
        return format!("{shown}{MASK}");
    }
    if name == header::AUTHORIZATION || name == header::PROXY_AUTHORIZATION {
        // The scheme says what kind of credentials were sent, and is no secret.
        return text.split_once(' ').map_or(MASK.to_owned(), |(scheme, _)| format!("{scheme} {MASK}"));
    }
    if name == header::LOCATION {
        return text.parse::<Uri>().map_or_else(|_| MASK.to_owned(), |uri| masked_uri(&uri));
    }
    if value.is_sensitive() || is_secret(name.as_str()) { MASK.to_owned() } else { text.into_owned() }
}

/// A URI without the credentials and secrets that it may carry.
fn masked_uri(uri: &Uri) -> String {
    let mut out = String::new();
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        let authority = authority.as_str();
        let host = authority.rsplit_once('@').map_or(authority.to_owned(), |(_, host)| format!("{MASK}@{host}"));
        out.push_str(&format!("{scheme}://{host}"));
    }
    out.push_str(uri.path());
    if let Some(query) = uri.query() {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
            Some(_) | None => pair.to_owned(),
        });
        out.push('?');
        out.push_str(&pairs.collect::<Vec<_>>().join("&"));
    }
    out
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `code` and `state` of a sign-in are as good as the token that they become.
    SECRET.iter().any(|part| name.contains(part)) || matches!(name.as_str(), "code" | "state" | "sig")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_travel() {
        let table = [
            ("authorization", "Bearer sesame", "Bearer ***"),
            ("authorization", "sesame", "***"),
            ("proxy-authorization", "Basic sesame", "Basic ***"),
            ("cookie", "id=sesame", "***"),
            ("set-cookie", "id=sesame; Secure", "***"),
            ("x-api-key", "sesame", "***"),
            ("mcp-param-access-token", "sesame", "***"),
            ("mcp-session-id", "0123456789abcdef", "012345***"),
            ("mcp-session-id", "abcd", "ab***"),
            ("location", "https://u:sesame@a.example/b?token=sesame&x=1", "https://***@a.example/b?token=***&x=1"),
            ("location", "/b?x=1&API_KEY=sesame", "/b?x=1&API_KEY=***"),
            ("content-type", "application/json", "application/json"),
            ("mcp-name", "add", "add"),
        ];
        for (name, value, expected) in table {
            let name: HeaderName = name.parse().unwrap();
            assert_eq!(masked(&name, &value.parse().unwrap()), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_header_marked_as_sensitive_is_masked_whatever_its_name() {
        let mut value = HeaderValue::from_static("sesame");
        value.set_sensitive(true);
        assert_eq!(masked(&HeaderName::from_static("x-colour"), &value), "***");
    }

    #[test]
    fn bodies_are_indented_if_they_are_json() {
        assert_eq!(body_text(br#"{"a":"\u001b"}"#), "{\n  \"a\": \"\\u001b\"\n}");
        assert_eq!(body_text(b"<html>"), "<html>");
    }
}
