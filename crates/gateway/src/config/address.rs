//! Where a listener is: a host and a port, or a socket.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// What the address of a socket begins with.
pub(super) const SOCKET: &str = "unix:";

/// Where a listener is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host, which may be a name, and a port.
    Tcp {
        /// A name or an IP address; one of IPv6 without its brackets.
        host: String,
        /// Port 0 is any free one.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why a text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address: write HOST:PORT, such as 127.0.0.1:8080 or [::]:8080, or unix:PATH")]
pub struct NoAddress(String);

impl Address {
    /// Whether no two listeners can be at both: the port is the same, and so is the host, or one of them is all hosts.
    pub(super) fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp { host: one, port }, Self::Tcp { host: two, port: other }) => {
                let same = one.eq_ignore_ascii_case(two) || is_any(one) || is_any(two);
                port == other && *port != 0 && same
            }
            (Self::Unix(one), Self::Unix(two)) => one == two,
            (Self::Tcp { .. }, Self::Unix(_)) | (Self::Unix(_), Self::Tcp { .. }) => false,
        }
    }

    /// Whether only this machine reaches it.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Tcp { host, .. } if host.eq_ignore_ascii_case("localhost") => true,
            Self::Tcp { host, .. } => host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
            Self::Unix(_) => true,
        }
    }

    /// Whether others can use it as it stands: it names one host, and a port.
    pub(super) fn is_definite(&self) -> bool {
        match self {
            Self::Tcp { host, port } => *port != 0 && !is_any(host),
            Self::Unix(_) => false,
        }
    }
}

fn is_any(host: &str) -> bool {
    host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified())
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let no_address = || NoAddress(text.chars().take(128).collect());
        if let Some(path) = text.strip_prefix(SOCKET) {
            return if path.is_empty() { Err(no_address()) } else { Ok(Self::Unix(PathBuf::from(path))) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(no_address)?;
        let port = port.parse().map_err(|_| no_address())?;
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_name = |host: &str| {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        match literal {
            Some(literal) if literal.parse::<std::net::Ipv6Addr>().is_ok() => {
                Ok(Self::Tcp { host: literal.to_owned(), port })
            }
            None if is_name(host) => Ok(Self::Tcp { host: host.to_owned(), port }),
            Some(_) | None => Err(no_address()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{SOCKET}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in ["127.0.0.1:8080", "[::1]:0", "localhost:65535", "gateway.internal:80", "unix:/run/mcp.sock"] {
            assert_eq!(address(text).to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in
            ["", "8080", ":8080", "127.0.0.1", "::1:8080", "[::1]", "[x]:1", "a:65536", "http://a:1", "a b:1", "unix:"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_wildcard_collides_with_every_host_on_its_port() {
        for (one, other, collides) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("localhost:80", "LOCALHOST:80", true),
            ("0.0.0.0:80", "10.0.0.1:80", true),
            ("10.0.0.1:80", "[::]:80", true),
            ("127.0.0.1:80", "[::1]:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:/a", "unix:/a", true),
            ("unix:/a", "unix:/b", false),
            ("unix:/a", "127.0.0.1:80", false),
        ] {
            assert_eq!(address(one).collides(&address(other)), collides, "{one} {other}");
        }
    }
}
