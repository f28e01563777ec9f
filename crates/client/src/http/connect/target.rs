//! Where a server is: a URL, or a socket on this machine.

use std::fmt;
use std::path::PathBuf;

use anypod_proto::uri::without_credentials;
use http::Uri;
use http::uri::Scheme;

use crate::error::{Error, Result};

/// Where a server listens on a socket, if the socket's name says nothing else.
const DEFAULT_PATH: &str = "/mcp";

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What requests are sent to. Behind a socket its host is `localhost`, as with other programs.
    uri: Uri,
    socket: Option<PathBuf>,
}

impl Target {
    /// Reads `http://HOST/PATH`, `https://HOST/PATH` or `unix:SOCKET:/PATH`, where the path may be left out if it is
    /// `/mcp`: `unix:/run/mcp.sock`.
    ///
    /// # Errors
    /// [`Error::Misuse`] for everything else, and for URLs with a user or password: credentials have a place of their
    /// own, where no log shows them.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if let Some(socket) = text.strip_prefix("unix:") {
            return Self::socket(socket.strip_prefix("//").unwrap_or(socket));
        }
        let misuse = |what: &str| Error::Misuse(format!("{:?} {what}", without_credentials(text)));
        if text.starts_with("http+unix:") {
            return Err(misuse("is not understood: write unix:/path/to/socket:/mcp"));
        }
        let uri: Uri = text.parse().map_err(|error| misuse(&format!("is no URL: {error}")))?;
        if ![Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme()) {
            return Err(misuse("does not begin with http://, https:// or unix:"));
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => Err(misuse("has credentials in it: set them apart")),
            Some(authority) if authority.host().is_empty() => Err(misuse("names no host")),
            Some(_) => Ok(Self { uri, socket: None }),
            None => Err(misuse("names no host")),
        }
    }

    fn socket(text: &str) -> Result<Self> {
        let (socket, path) = match text.split_once(":/") {
            Some((socket, path)) => (socket, format!("/{path}")),
            None => (text, DEFAULT_PATH.to_owned()),
        };
        if socket.is_empty() {
            return Err(Error::Misuse(format!("\"unix:{text}\" names no socket")));
        }
        let uri = format!("http://localhost{path}");
        let uri = uri.parse().map_err(|error| Error::Misuse(format!("{path:?} is no path: {error}")))?;
        Ok(Self { uri, socket: Some(PathBuf::from(socket)) })
    }

    /// What requests are sent to.
    pub(crate) const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The socket, if it is behind one.
    pub(super) const fn behind(&self) -> Option<&PathBuf> {
        self.socket.as_ref()
    }

    /// What tells this server from others, and is shown: `https://HOST:PORT` or `unix:SOCKET`.
    pub(crate) fn origin(&self) -> String {
        match &self.socket {
            Some(socket) => format!("unix:{}", socket.display()),
            None => origin(&self.uri),
        }
    }

    pub(super) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Whether it is on this machine.
    pub(super) fn is_local(&self) -> bool {
        let host = self.uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        self.socket.is_some()
            || name == "localhost"
            || name.ends_with(".localhost")
            || bare.parse().is_ok_and(|address: std::net::IpAddr| address.to_canonical().is_loopback())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "unix:{}:{}", socket.display(), self.uri.path()),
            None => self.uri.fmt(f),
        }
    }
}

/// The scheme and the authority.
pub(super) fn origin(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}", uri.scheme_str().unwrap_or_default())
}
