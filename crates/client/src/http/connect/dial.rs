//! Making one connection: name resolution, TCP or a socket, the proxy, TLS.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::places::Places;
use super::proxy::{self, Refusal, Route, Via};
use super::settings::{HttpVersion, Settings};
use super::socket::{Socket, Tcp};
use super::target::{Target, origin};
use super::tls;
use crate::credentials::BoxFuture;
use crate::error::{Result, Source};

/// How long a connection is silent before the operating system asks whether the other side is still there.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Makes connections to one server.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    dial: Dial,
    tls: Option<HttpsConnector<Dial>>,
    version: HttpVersion,
    deadline: Duration,
    places: Arc<Places>,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("no connection within {0:?}")]
    Deadline(Duration),
    #[error("the server does not offer HTTP/2")]
    NoHttp2,
    #[cfg(not(unix))]
    #[error("this system has no Unix sockets")]
    NoSockets,
}

impl Connector {
    /// Connections to `target` by `route`.
    ///
    /// # Errors
    /// [`crate::Error::Misuse`] for TLS that cannot be configured as `settings` say.
    pub(super) fn new(
        target: &Target,
        route: Route,
        settings: &Settings,
        deadline: Duration,
        places: Arc<Places>,
    ) -> Result<Self> {
        let dial = Dial(Arc::new(Way::new(target, route, settings, deadline)?));
        let tls = match target.is_https() {
            true => Some(HttpsConnector::from((dial.clone(), tls::config(&settings.tls, settings.version)?))),
            false => None,
        };
        Ok(Self(Arc::new(Inner { dial, tls, version: settings.version, deadline, places })))
    }
}

impl Inner {
    async fn connect(&self, server: Uri) -> Result<MaybeHttpsStream<Socket>, Source> {
        let connecting = async {
            match &self.tls {
                Some(tls) => self.check(call(tls.clone(), server).await?),
                None => Ok(MaybeHttpsStream::Http(self.dial.0.connect(server).await?)),
            }
        };
        let connected = tokio::time::timeout(self.deadline, connecting).await;
        let connected = connected.unwrap_or_else(|_| Err(Failure::Deadline(self.deadline).into()));
        if connected.is_err() {
            self.places.learn_failure();
        }
        connected
    }

    /// What the handshake has shown of the server.
    fn check(&self, mut stream: MaybeHttpsStream<Socket>) -> Result<MaybeHttpsStream<Socket>, Source> {
        let MaybeHttpsStream::Https(secured) = &mut stream else { return Ok(stream) };
        let (socket, tls) = secured.inner_mut().get_mut();
        let http2 = tls.alpn_protocol() == Some(tls::HTTP2);
        match (self.version, http2) {
            (HttpVersion::Negotiated, true) => socket.inner_mut().keep(self.places.learn_http2()),
            (HttpVersion::Negotiated, false) => self.places.learn_http1(),
            (HttpVersion::Http2, false) => return Err(Failure::NoHttp2.into()),
            (HttpVersion::Http2, true) | (HttpVersion::Http1, _) => {}
        }
        Ok(stream)
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Socket>;
    type Error = Source;
    type Future = BoxFuture<'static, Result<Self::Response, Source>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Source>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { inner.connect(server).await })
    }
}

/// Connects, but does not speak TLS with the server.
#[derive(Clone)]
struct Dial(Arc<Way>);

enum Way {
    Direct(HttpConnector, Option<IpAddr>),
    #[cfg_attr(not(unix), expect(dead_code, reason = "there are no such sockets"))]
    Socket(PathBuf),
    Forward(ToProxy),
    Tunnel(ToProxy),
    Socks(SocksV5<HttpConnector>, Uri),
}

/// Connects to a proxy that speaks HTTP.
struct ToProxy {
    via: Via,
    http: HttpConnector,
    tls: Option<HttpsConnector<HttpConnector>>,
}

impl Way {
    fn new(target: &Target, route: Route, settings: &Settings, deadline: Duration) -> Result<Self> {
        if let Some(socket) = target.behind() {
            return Ok(Self::Socket(socket.clone()));
        }
        let http = tcp(deadline);
        Ok(match route {
            Route::Direct => Self::Direct(http, settings.address),
            Route::Forward(via) => Self::Forward(ToProxy::new(via, http, settings)?),
            Route::Tunnel(via) => Self::Tunnel(ToProxy::new(via, http, settings)?),
            Route::Socks { uri, login } => {
                let socks = SocksV5::new(uri.clone(), http);
                let socks = match login {
                    Some((user, password)) => socks.with_auth(user, password),
                    None => socks,
                };
                Self::Socks(socks, uri)
            }
        })
    }

    async fn connect(&self, server: Uri) -> Result<Socket, Source> {
        match self {
            Self::Direct(http, address) => {
                let server = address.map_or(Ok(server.clone()), |address| behind(&server, address))?;
                Ok(Socket::tcp(Tcp::Http(call(http.clone(), server).await?)))
            }
            #[cfg(unix)]
            Self::Socket(path) => Ok(Socket::unix(tokio::net::UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Self::Socket(_) => Err(Failure::NoSockets.into()),
            Self::Forward(proxy) => Ok(Socket::forwarded(proxy.reach().await?)),
            Self::Tunnel(proxy) => {
                let mut stream = TokioIo::new(proxy.reach().await?);
                proxy::connect(&mut stream, &proxy.via, &proxy::explicit(&server)?).await?;
                Ok(Socket::tcp(stream.into_inner()))
            }
            Self::Socks(socks, uri) => {
                let stream = call(socks.clone(), proxy::explicit(&server)?).await;
                let stream = stream.map_err(|source| Refusal::Unreachable { proxy: origin(uri), source })?;
                Ok(Socket::tcp(Tcp::Http(stream)))
            }
        }
    }
}

impl ToProxy {
    fn new(via: Via, http: HttpConnector, settings: &Settings) -> Result<Self> {
        let tls = match via.uri.scheme_str() {
            Some("https") => {
                Some(HttpsConnector::from((http.clone(), tls::config(&settings.tls, HttpVersion::Http1)?)))
            }
            _ => None,
        };
        Ok(Self { via, http, tls })
    }

    async fn reach(&self) -> Result<Tcp, Source> {
        let uri = self.via.uri.clone();
        let stream = match &self.tls {
            Some(tls) => call(tls.clone(), uri).await,
            None => call(self.http.clone(), uri).await.map(Tcp::Http),
        };
        stream.map_err(|source| Refusal::Unreachable { proxy: origin(&self.via.uri), source }.into())
    }
}

impl Service<Uri> for Dial {
    type Response = Socket;
    type Error = Source;
    type Future = BoxFuture<'static, Result<Socket, Source>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Source>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let way = Arc::clone(&self.0);
        Box::pin(async move { way.connect(server).await })
    }
}

/// The same server, with the address that its name is to stand for.
fn behind(server: &Uri, address: IpAddr) -> Result<Uri, Source> {
    let port = server.port_u16().unwrap_or(if server.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 });
    let authority = SocketAddr::new(address, port).to_string();
    Ok(Uri::builder().scheme("http").authority(authority).path_and_query("/").build()?)
}

/// TCP as small requests want it. Both families of addresses are tried, the second a little later.
fn tcp(deadline: Duration) -> HttpConnector {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(TCP_KEEP_ALIVE));
    // Divided among the addresses of a name, so that one that does not answer leaves time for the next.
    http.set_connect_timeout(Some(deadline));
    http
}

async fn call<S>(mut service: S, uri: Uri) -> Result<S::Response, Source>
where
    S: Service<Uri>,
    S::Error: Into<Source>,
{
    std::future::poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
    service.call(uri).await.map_err(Into::into)
}
