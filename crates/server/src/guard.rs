//! Who may call at all: `Origin` and `Host`, against DNS rebinding.
//!
//! Spec: basic/transports/streamable-http, "Security & Endpoint".

use std::collections::BTreeSet;

use anypod_proto::header::{Found, Headers, plain};
use anypod_proto::reject::Rejection;
use http::header::{HOST, ORIGIN};
use http::{HeaderName, Uri};

use crate::build_error::{BuildError, Problem};

/// The names that a machine gives itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The hosts and origins that a server answers to: loopback names, and those that it is told.
///
/// A [`Server`](crate::Server) has one of its own. What stands before a server and answers some requests itself
/// checks them with the same guard, see [`ServerBuilder::guard`](crate::ServerBuilder::guard).
#[derive(Debug, Clone, Default)]
pub struct Guard {
    any_host: bool,
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
}

impl Guard {
    /// Allows a host, such as `mcp.example.com`.
    pub fn allow_host(&mut self, host: impl Into<String>) {
        self.hosts.insert(host.into().to_ascii_lowercase());
    }

    /// Allows the pages of an origin, such as `https://app.example.com`.
    pub fn allow_origin(&mut self, origin: impl Into<String>) {
        self.origins.insert(origin.into().to_ascii_lowercase());
    }

    /// Allows any host, see [`ServerBuilder::dangerously_allow_any_host`](crate::ServerBuilder::dangerously_allow_any_host).
    pub fn dangerously_allow_any_host(&mut self) {
        self.any_host = true;
    }

    /// What was allowed and could never match, if there is such a thing.
    pub fn mistake(&self) -> Option<BuildError> {
        let host = self.hosts.iter().find(|host| !is_authority(host));
        let host = host.map(|host| BuildError::new(format!("allowed host `{host}`"), Problem::NotAHost));
        let is_origin = |origin: &str| {
            // What browsers send for pages without an origin of their own.
            origin == "null" || origin.split_once("://").is_some_and(|(_, authority)| is_authority(authority))
        };
        let origin = self.origins.iter().find(|origin| !is_origin(origin));
        host.or(origin.map(|origin| BuildError::new(format!("allowed origin `{origin}`"), Problem::NotAnOrigin)))
    }

    /// Checks the headers of a request; `uri` carries the host where HTTP/2 has no `Host` header, and where a
    /// client talks as if to a proxy.
    ///
    /// Any port of an allowed host will do: a rebound name is what gives an attack away, not a port, and
    /// the port that the client used is that of a balancer. An `Origin` is allowed if it is listed or if it
    /// names the host that was called, which is allowed itself.
    ///
    /// # Errors
    /// If the host or the origin is not allowed, stands twice, or is no text.
    pub fn check(&self, headers: &dyn Headers, uri: &Uri) -> Result<(), Rejection> {
        let named = single(headers, HOST)?;
        // RFC 9112, section 3.2.2: what the target says goes before the header.
        let host = uri.authority().map_or(named.unwrap_or_default(), |authority| authority.as_str());
        if !self.knows_host(host) {
            return Err(forbidden(HOST, host));
        }
        let Some(origin) = single(headers, ORIGIN)? else { return Ok(()) };
        let own = origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
        if own && !self.any_host || self.origins.contains(&origin.to_ascii_lowercase()) {
            Ok(())
        } else {
            Err(forbidden(ORIGIN, origin))
        }
    }

    fn knows_host(&self, host: &str) -> bool {
        let name = without_port(host);
        self.any_host
            || LOOPBACK.iter().any(|known| known.eq_ignore_ascii_case(name))
            || self.hosts.contains(&name.to_ascii_lowercase())
            || self.hosts.contains(&host.to_ascii_lowercase())
    }
}

/// The text of a header; nothing else is to read another line of it than we do.
fn single(headers: &dyn Headers, name: HeaderName) -> Result<Option<&str>, Rejection> {
    match headers.find(&name) {
        Found::Nothing => Ok(None),
        Found::One(line) => plain(line).map(Some).ok_or_else(|| forbidden(name, "?")),
        Found::Several => Err(Rejection::HeaderRepeated(name)),
    }
}

/// A host with or without a port; no user, no path, no wildcard.
fn is_authority(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']');
    !text.is_empty() && text.bytes().all(allowed)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

fn forbidden(header: HeaderName, value: &str) -> Rejection {
    Rejection::Forbidden { header, value: value.chars().take(128).collect() }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn check(guard: &Guard, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        guard.check(&headers, &Uri::from_static("/mcp")).is_ok()
    }

    #[test]
    fn answers_to_loopback_names_on_any_port() {
        let guard = Guard::default();
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"] {
            assert!(check(&guard, host, None), "{host}");
        }
        for host in
            ["", "evil.example.com", "evil.example.com:8080", "localhost.evil.example.com", "127.0.0.1.evil.com"]
        {
            assert!(!check(&guard, host, None), "{host}");
        }
    }

    #[test]
    fn refuses_pages_of_other_origins() {
        let guard = Guard::default();
        assert!(check(&guard, "localhost:8080", Some("http://localhost:8080")));
        for origin in ["http://evil.example.com", "null", "http://localhost:9999", "localhost:8080"] {
            assert!(!check(&guard, "localhost:8080", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn refuses_two_hosts_and_two_origins() {
        for name in [HOST, ORIGIN] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "localhost".parse().unwrap());
            headers.insert(ORIGIN, "http://localhost".parse().unwrap());
            assert_eq!(Guard::default().check(&headers, &Uri::from_static("/mcp")), Ok(()));
            headers.append(&name, "evil.example.com".parse().unwrap());
            let refused = Guard::default().check(&headers, &Uri::from_static("/mcp"));
            assert_eq!(refused, Err(Rejection::HeaderRepeated(name)));
        }
    }

    #[test]
    fn the_host_of_the_target_goes_before_the_header() {
        let check = |target: &'static str, host: &str| {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            Guard::default().check(&headers, &Uri::from_static(target)).is_ok()
        };
        assert!(!check("http://evil.example.com/mcp", "localhost"));
        assert!(check("http://localhost/mcp", "evil.example.com"));
    }

    #[test]
    fn answers_to_what_it_is_told_to() {
        let mut guard = Guard::default();
        guard.allow_host("mcp.example.com");
        guard.allow_origin("https://app.example.com");
        assert!(check(&guard, "mcp.example.com", Some("https://mcp.example.com")));
        assert!(check(&guard, "MCP.example.com:443", Some("https://app.example.com")));
        assert!(!check(&guard, "other.example.com", None));
    }

    #[test]
    fn what_could_never_match_is_a_mistake() {
        for (host, origin, sound) in [
            ("mcp.example.com", "https://app.example.com", true),
            ("10.0.0.5:8080", "http://[::1]:3000", true),
            ("[::1]", "null", true),
            ("https://mcp.example.com", "null", false),
            ("mcp.example.com/mcp", "null", false),
            ("*.example.com", "null", false),
            ("", "null", false),
            ("mcp.example.com", "https://app.example.com/", false),
            ("mcp.example.com", "app.example.com", false),
            ("mcp.example.com", "https://", false),
        ] {
            let mut guard = Guard::default();
            guard.allow_host(host);
            guard.allow_origin(origin);
            assert_eq!(guard.mistake().is_none(), sound, "{host} {origin}");
        }
    }

    #[test]
    fn an_unchecked_host_vouches_for_no_origin() {
        let mut guard = Guard::default();
        guard.dangerously_allow_any_host();
        assert!(check(&guard, "evil.example.com", None));
        assert!(!check(&guard, "evil.example.com", Some("http://evil.example.com")));
    }
}
