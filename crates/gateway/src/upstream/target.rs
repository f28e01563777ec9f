//! Where a pod is: a URL, an address that a name was resolved to, or a socket on this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anypod_proto::uri::without_credentials;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;

/// Where a server behind a socket is called, if the socket's name says nothing else.
const DEFAULT_PATH: &str = "/mcp";

/// Where a pod is, and how a request to it is addressed.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    id: Arc<str>,
    place: Place,
    /// The name that its certificate has to bear; `None` without TLS.
    secured: Option<ServerName<'static>>,
    host: HeaderValue,
    /// With scheme and authority, as HTTP/2 has it.
    uri: Uri,
    path: PathAndQuery,
}

/// What is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A name, resolved anew for each connection.
    Name(Box<str>, u16),
    Address(SocketAddr),
    Socket(PathBuf),
}

/// Why a text is no [`Target`]. Credentials in it are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {what}")]
pub(crate) struct NoTarget {
    text: String,
    what: &'static str,
}

impl Target {
    /// Reads `http://HOST:PORT/PATH`, `https://…` or `unix:SOCKET:/PATH`. The path of a socket may be left out if it is
    /// `/mcp`.
    ///
    /// # Errors
    /// For everything else, and for URLs with a user or password: credentials have a place of their own, where no log
    /// shows them.
    pub(crate) fn parse(text: &str) -> Result<Self, NoTarget> {
        let wrong = |what| NoTarget { text: without_credentials(text), what };
        if let Some(socket) = text.strip_prefix("unix:") {
            return Self::socket(socket.strip_prefix("//").unwrap_or(socket)).map_err(wrong);
        }
        let uri: Uri = text.parse().map_err(|_| wrong("is no URL"))?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(_) | None => return Err(wrong("does not begin with http://, https:// or unix:")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("has credentials in it: set them among the headers"));
        }
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = bare(authority.host()).to_ascii_lowercase();
        if host.is_empty() || authority.as_str().ends_with(':') {
            return Err(wrong("names no host or an empty port"));
        }
        let place = match host.parse::<IpAddr>() {
            Ok(address) => Place::Address(SocketAddr::new(address, port)),
            Err(_) => Place::Name(host.clone().into(), port),
        };
        let secured = match secure {
            true => Some(ServerName::try_from(host).map_err(|_| wrong("names a host that no certificate can bear"))?),
            false => None,
        };
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| wrong("is no URL"))?;
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { id: id(&uri, &place, &path), place, secured, host, path, uri })
    }

    fn socket(text: &str) -> Result<Self, &'static str> {
        let (socket, path) = match text.split_once(":/") {
            Some((socket, path)) => (socket, format!("/{path}")),
            None => (text, DEFAULT_PATH.to_owned()),
        };
        if socket.is_empty() {
            return Err("names no socket");
        }
        let path: PathAndQuery = path.parse().map_err(|_| "has a path that is none")?;
        let uri: Uri = format!("http://localhost{path}").parse().map_err(|_| "has a path that is none")?;
        let place = Place::Socket(PathBuf::from(socket));
        let host = HeaderValue::from_static("localhost");
        Ok(Self { id: id(&uri, &place, &path), place, secured: None, host, path, uri })
    }

    /// The same server at one of the addresses of its name.
    pub(super) fn at(&self, address: SocketAddr) -> Self {
        let place = Place::Address(address);
        Self { id: id(&self.uri, &place, &self.path), place, ..self.clone() }
    }

    /// The same, called by another name, as servers behind one address want it.
    pub(super) fn known_as(self, host: HeaderValue) -> Self {
        Self { host, ..self }
    }

    /// What tells it from others and stays the same, on every replica: `SCHEME://ADDRESS:PORT/PATH`.
    pub(crate) const fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Its URL, with the name that its certificate bears.
    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::Name(..) | Place::Socket(_) => self.id.to_string(),
            Place::Address(_) => self.uri.to_string(),
        }
    }

    /// The address that it is reached at, whatever the name in its URL.
    pub(crate) const fn address(&self) -> Option<IpAddr> {
        match &self.place {
            Place::Address(address) => Some(address.ip()),
            Place::Name(..) | Place::Socket(_) => None,
        }
    }

    /// What is connected to.
    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// The name and the port to resolve, where it is a name.
    pub(super) fn name(&self) -> Option<(&str, u16)> {
        match &self.place {
            Place::Name(name, port) => Some((name, *port)),
            Place::Address(_) | Place::Socket(_) => None,
        }
    }

    /// The name that its certificate has to bear; `None` without TLS.
    pub(super) const fn secured(&self) -> Option<&ServerName<'static>> {
        self.secured.as_ref()
    }

    /// Its `Host`.
    pub(crate) const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// The request target in origin form. A query is taken over from `asked` unless the URL has one.
    pub(super) fn origin_form(&self, asked: &Uri) -> PathAndQuery {
        let with_query = match asked.query() {
            Some(query) if self.path.query().is_none() => self.with_query(query),
            Some(_) | None => None,
        };
        with_query.unwrap_or_else(|| self.path.clone())
    }

    /// The request target with scheme and authority, as HTTP/2 has it.
    pub(super) fn absolute_form(&self, asked: &Uri) -> Uri {
        let mut parts = self.uri.clone().into_parts();
        parts.authority = self.host.to_str().ok().and_then(|host| host.parse().ok()).or(parts.authority);
        parts.path_and_query = Some(self.origin_form(asked));
        Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone())
    }

    fn with_query(&self, query: &str) -> Option<PathAndQuery> {
        format!("{}?{query}", self.path.path()).parse().ok()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// A host without the brackets of IPv6.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn id(uri: &Uri, place: &Place, path: &PathAndQuery) -> Arc<str> {
    let scheme = uri.scheme_str().unwrap_or("http");
    match place {
        Place::Name(name, port) => format!("{scheme}://{name}:{port}{path}"),
        Place::Address(address) => format!("{scheme}://{address}{path}"),
        Place::Socket(socket) => format!("unix:{}:{path}", socket.display()),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    #[test]
    fn an_id_names_address_port_and_path() {
        for (text, id) in [
            ("http://10.0.0.5:9000/mcp", "http://10.0.0.5:9000/mcp"),
            ("http://Example.COM/mcp?a=b", "http://example.com:80/mcp?a=b"),
            ("https://example.com", "https://example.com:443/"),
            ("http://[2001:db8::1]:81/mcp", "http://[2001:db8::1]:81/mcp"),
            ("unix:/run/a.sock", "unix:/run/a.sock:/mcp"),
            ("unix:///run/a.sock:/b", "unix:/run/a.sock:/b"),
        ] {
            assert_eq!(&**target(text).id(), id, "{text}");
        }
    }

    #[test]
    fn one_of_a_names_addresses_keeps_name_and_certificate() {
        let named = target("https://pods.example:8443/mcp");
        let pod = named.at("[2001:db8::1]:8443".parse().unwrap());
        assert_eq!(&**pod.id(), "https://[2001:db8::1]:8443/mcp");
        assert_eq!(pod.host(), "pods.example:8443");
        assert_eq!(pod.secured(), named.secured());
        assert_eq!(named.name(), Some(("pods.example", 8443)));
        assert_eq!(pod.name(), None);
    }

    #[test]
    fn a_request_is_addressed_in_the_form_of_its_protocol() {
        let pod = target("http://10.0.0.5:9000/a/mcp");
        let asked = Uri::from_static("/mcp");
        assert_eq!(pod.origin_form(&asked), "/a/mcp");
        assert_eq!(pod.absolute_form(&asked), "http://10.0.0.5:9000/a/mcp");
        assert_eq!(pod.known_as(HeaderValue::from_static("b.example")).absolute_form(&asked), "http://b.example/a/mcp");
    }

    #[test]
    fn a_query_is_passed_on_unless_the_url_has_one() {
        let asked = Uri::from_static("http://gateway/mcp?key=1");
        assert_eq!(target("http://a/x").origin_form(&asked), "/x?key=1");
        assert_eq!(target("http://a/x?key=2").origin_form(&asked), "/x?key=2");
        assert_eq!(target("http://a/x").absolute_form(&asked), "http://a/x?key=1");
    }

    #[test]
    fn refuses_what_is_no_place_and_does_not_repeat_credentials() {
        for (text, what) in [
            ("localhost:9000", "does not begin with"),
            ("ftp://a/mcp", "does not begin with"),
            ("/mcp", "does not begin with"),
            ("http://", "is no URL"),
            ("http://a:/mcp", "empty port"),
            ("unix:", "names no socket"),
            ("", "is no URL"),
            ("https://a_b..c/mcp", "no certificate"),
        ] {
            let error = Target::parse(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
        let error = Target::parse("http://user:secret@a/mcp").unwrap_err().to_string();
        assert!(error.contains("credentials") && !error.contains("secret"), "{error}");
    }
}
