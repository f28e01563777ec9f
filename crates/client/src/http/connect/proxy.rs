//! Proxies: whether one stands between, and how to get through it.
//!
//! Spec: RFC 9110, section 9.3.6 (CONNECT), and the environment variables that other programs heed.

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::settings::{HttpVersion, Proxy};
use super::target::{Target, origin};
use crate::error::{Error, Result, Source};

/// The longest answer of a proxy, in bytes.
const ANSWER: usize = 8 << 10;
/// Where SOCKS proxies listen if nothing else is said. Source: RFC 1928.
const SOCKS_PORT: u16 = 1080;

/// A proxy that speaks HTTP.
#[derive(Clone)]
pub(super) struct Via {
    /// Where it is, without credentials.
    pub(super) uri: Uri,
    pub(super) authorization: Option<HeaderValue>,
}

/// The way to a server.
pub(super) enum Route {
    Direct,
    /// Requests are given to the proxy, which sends them on.
    Forward(Via),
    /// The proxy connects, and sees no more than bytes.
    Tunnel(Via),
    /// The same, asked for in another language.
    Socks {
        uri: Uri,
        login: Option<(String, String)>,
    },
}

/// What a proxy did instead of connecting.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the proxy {0} wants (other) credentials: HTTP 407")]
    Credentials(String),
    #[error("the proxy {proxy} refused to connect: HTTP {status}")]
    Status { proxy: String, status: u16 },
    #[error("the proxy {proxy} {what}")]
    NoHttp { proxy: String, what: &'static str },
    #[error("the proxy {proxy} cannot be reached")]
    Unreachable { proxy: String, source: Source },
}

/// The way to `target`.
///
/// # Errors
/// [`Error::Misuse`] for a proxy that is set and no proxy.
pub(super) fn route(proxy: &Proxy, target: &Target, version: HttpVersion) -> Result<Route> {
    match proxy {
        _ if target.behind().is_some() => Ok(Route::Direct),
        Proxy::None => Ok(Route::Direct),
        Proxy::Environment if target.is_local() => Ok(Route::Direct),
        Proxy::Environment => by(&Matcher::from_env(), target, version).unwrap_or(Ok(Route::Direct)),
        Proxy::Url(url) => by(&Matcher::builder().all(url.as_str()).build(), target, version)
            .unwrap_or_else(|| Err(Error::Misuse("the proxy's URL is none, or of a kind that is unknown".to_owned()))),
    }
}

/// The way that `matcher` shows; `None` if it shows none.
pub(super) fn by(matcher: &Matcher, target: &Target, version: HttpVersion) -> Option<Result<Route>> {
    let proxy = matcher.intercept(target.uri())?;
    let authorization = proxy.basic_auth().cloned();
    Some(match proxy.uri().scheme_str() {
        // What is sent on is HTTP/1.1.
        Some("http" | "https") if !target.is_https() && version != HttpVersion::Http2 => {
            Ok(Route::Forward(Via { uri: proxy.uri().clone(), authorization }))
        }
        Some("http" | "https") => Ok(Route::Tunnel(Via { uri: proxy.uri().clone(), authorization })),
        Some("socks5" | "socks5h") => socks(&proxy),
        _ => Err(Error::Misuse(format!("the proxy {} is of a kind that is not supported", origin(proxy.uri())))),
    })
}

fn socks(proxy: &Intercept) -> Result<Route> {
    let login = proxy.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()));
    let misuse = |error: http::Error| Error::Misuse(format!("the proxy {}: {error}", origin(proxy.uri())));
    let uri = match proxy.uri().port() {
        Some(_) => Ok(proxy.uri().clone()),
        None => with_port(proxy.uri(), SOCKS_PORT),
    };
    Ok(Route::Socks { uri: uri.map_err(misuse)?, login })
}

/// The same place, with its port said.
fn with_port(uri: &Uri, port: u16) -> Result<Uri, http::Error> {
    let authority = Authority::try_from(format!("{}:{port}", uri.host().unwrap_or_default()))?;
    let scheme = uri.scheme().cloned().unwrap_or(Scheme::HTTP);
    Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build()
}

/// The same place, with the port that its scheme implies.
pub(super) fn explicit(uri: &Uri) -> Result<Uri, http::Error> {
    match (uri.port(), uri.scheme() == Some(&Scheme::HTTPS)) {
        (Some(_), _) => Ok(uri.clone()),
        (None, true) => with_port(uri, 443),
        (None, false) => with_port(uri, 80),
    }
}

/// Asks the proxy behind `stream` to connect to `server`, whose port is explicit.
pub(super) async fn connect<S>(stream: &mut S, via: &Via, server: &Uri) -> Result<(), Source>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let authority = server.authority().map_or("", Authority::as_str);
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
    if let Some(authorization) = &via.authorization {
        request.extend_from_slice(b"proxy-authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let proxy = || origin(&via.uri);
    let unreachable = |error: std::io::Error| Refusal::Unreachable { proxy: proxy(), source: error.into() };
    stream.write_all(&request).await.map_err(unreachable)?;
    stream.flush().await.map_err(unreachable)?;
    let head = answer(stream).await.map_err(unreachable)?;
    match head.as_deref().and_then(status) {
        Some(200..300) => Ok(()),
        Some(407) => Err(Refusal::Credentials(proxy()).into()),
        Some(status) => Err(Refusal::Status { proxy: proxy(), status }.into()),
        None => Err(Refusal::NoHttp { proxy: proxy(), what: "did not answer in HTTP" }.into()),
    }
}

/// The head of an answer; `None` if it does not end where a head ends. Servers wait for the client to begin with TLS,
/// so that nothing may follow it.
async fn answer<S: AsyncRead + Unpin>(stream: &mut S) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(256);
    loop {
        let complete = head.windows(4).position(|end| end == b"\r\n\r\n");
        if let Some(at) = complete {
            // What a refusal goes on with is of no interest.
            let refused = !matches!(status(&head), Some(200..300));
            return Ok((refused || at + 4 == head.len()).then_some(head));
        }
        if head.len() >= ANSWER || stream.take((ANSWER - head.len()) as u64).read_buf(&mut head).await? == 0 {
            return Ok(None);
        }
    }
}

/// The status of an answer.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = line.split(|byte| *byte == b' ');
    let digits = words.next().filter(|version| version.starts_with(b"HTTP/1.")).and(words.next())?;
    std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 3)?.parse().ok()
}
