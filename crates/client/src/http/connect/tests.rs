//! Connections to real servers on this machine.

mod bodies;
mod bounds;
mod http1;
mod http2;
mod proxies;
mod secured;
mod server;
mod targets;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, Uri};
use http_body_util::Full;

use super::{Connection, Settings, Target, Tls};
use crate::error::{Error, Result};
use crate::http::{Body, Turn};
use crate::limits::Limits;

pub(super) const AUTHORITY: &[u8] = include_bytes!("../../../tests/tls/authority.pem");

/// When what would hang is taken to hang.
const DEADLINE: Duration = Duration::from_secs(20);

/// A POST of `body`.
fn post(uri: &Uri, body: &'static str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::from(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    request
}

/// A server, seen from its client.
struct Peer {
    connection: Arc<Connection>,
    uri: Uri,
}

impl Peer {
    fn new(target: &str, settings: &Settings, limits: &Limits) -> Self {
        let target = Target::parse(target).unwrap();
        let connection = Connection::new(&target, settings, limits).unwrap();
        Self { connection: Arc::new(connection), uri: target.uri().clone() }
    }

    fn plain(target: &str) -> Self {
        Self::new(target, &Settings::default(), &Limits::default())
    }

    async fn send(&self, body: &'static str, turn: Turn) -> Result<Response<Body>> {
        self.connection.send(post(&self.uri, body), turn).await
    }

    /// The text that answers `body`.
    async fn echo(&self, body: &'static str) -> Result<String> {
        let response = self.send(body, Turn::Waits).await?;
        let whole = response.into_body().whole(1 << 20).await?;
        Ok(String::from_utf8(whole.to_vec()).unwrap())
    }

    /// Why there is no answer, the request not having been sent.
    async fn unreachable(&self) -> String {
        match self.send("{}", Turn::Waits).await.map(|_| ()).unwrap_err() {
            Error::Unreachable { origin, source } => format!("{origin}: {source}"),
            error => panic!("{error:?}"),
        }
    }
}

/// Settings that trust the test's authority.
fn trusting() -> Settings {
    Settings { tls: Tls::default().trust(AUTHORITY), ..Settings::default() }
}
