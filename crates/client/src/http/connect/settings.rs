//! How connections are made: by which proxy, with whose certificates, in which version of HTTP.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;

/// How connections are made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) proxy: Proxy,
    pub(crate) tls: Tls,
    pub(crate) version: HttpVersion,
    /// What the server's name stands for, if it is not resolved.
    pub(crate) address: Option<IpAddr>,
}

/// Which proxy stands between.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxy {
    /// What `HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` say, except for hosts that `NO_PROXY` names and for servers on
    /// this machine; in capitals or not. Nothing in a CGI program, where callers can set `HTTP_PROXY`.
    #[default]
    Environment,
    /// None.
    None,
    /// This one, for every server that is not behind a Unix socket: `http://`, `https://` or `socks5://`, then
    /// optionally `USER:PASSWORD@`, and `HOST:PORT`. Names are resolved by a SOCKS proxy, not here.
    Url(String),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Environment => "Environment",
            Self::None => "None",
            // It may have a password in it.
            Self::Url(_) => "Url(…)",
        })
    }
}

/// Which version of HTTP is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/2 where a server offers it during the TLS handshake, else HTTP/1.1.
    #[default]
    Negotiated,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, without TLS too: the server must be known to speak it.
    Http2,
}

/// Whom to trust, and as whom to appear. By default the authorities of the platform, and nobody.
#[derive(Clone, Default)]
pub struct Tls {
    pub(super) authorities: Vec<u8>,
    pub(super) identity: Option<Vec<u8>>,
    pub(super) config: Option<Arc<ClientConfig>>,
}

impl Tls {
    /// Trusts the authorities in this PEM text as well. Where the platform has none, only them.
    #[must_use]
    pub fn trust(mut self, pem: &[u8]) -> Self {
        self.authorities.extend_from_slice(pem);
        self.authorities.push(b'\n');
        self
    }

    /// Appears with this certificate, its chain and its private key, all in one PEM text.
    #[must_use]
    pub fn identity(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.identity = Some(pem.into());
        self
    }

    /// Takes all of this, but for the application protocols, and nothing else that was set here.
    #[must_use]
    pub fn config(mut self, config: Arc<ClientConfig>) -> Self {
        self.config = Some(config);
        self
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}
