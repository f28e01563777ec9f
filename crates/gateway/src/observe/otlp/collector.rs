//! The connection to a collector.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

/// How long the collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most of its answer that is read, in bytes.
const ANSWER_BYTES: usize = 64 * 1024;
/// How long a connection is kept unused.
const IDLE: Duration = Duration::from_secs(30);

/// A collector.
pub(super) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Uri,
}

/// Why nothing can be sent to an endpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadEndpoint {
    /// It is no URL.
    #[error("{0:?} is no endpoint: write a URL such as http://127.0.0.1:4318/v1/traces")]
    NoUrl(String),
    /// There is nobody to trust.
    #[error("https needs authorities to trust, and this machine has none: install its ca-certificates")]
    NobodyToTrust,
    /// TLS cannot be had.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// What a collector took of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    All,
    /// All but so many spans.
    AllBut(u64),
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("the collector cannot be reached: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the collector answers {0}")]
    Status(StatusCode),
    #[error("the collector takes longer than {} s", PATIENCE.as_secs())]
    Slow,
}

impl Collector {
    pub(super) fn new(endpoint: &str) -> Result<Self, BadEndpoint> {
        let no_url = || BadEndpoint::NoUrl(endpoint.to_owned());
        let uri: Uri = endpoint.parse().map_err(|_| no_url())?;
        let roots = match uri.scheme_str() {
            Some("http") => RootCertStore::empty(),
            Some("https") => authorities()?,
            Some(_) | None => return Err(no_url()),
        };
        // The program's choice, if it made one. Another crate's features must not make this one ambiguous.
        let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { client, endpoint: uri })
    }

    /// Sends a batch.
    pub(super) async fn send(&self, json: Vec<u8>) -> Result<Taken, NotTaken> {
        let mut request = Request::new(Full::from(json));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        timeout(PATIENCE, self.exchange(request)).await.unwrap_or(Err(NotTaken::Slow))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Taken, NotTaken> {
        let answer = self.client.request(request).await?;
        if !answer.status().is_success() {
            return Err(NotTaken::Status(answer.status()));
        }
        // The status has said that it was taken. What cannot be read says nothing more.
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        Ok(body.map_or(Taken::All, |body| taken(&body.to_bytes())))
    }
}

fn authorities() -> Result<RootCertStore, BadEndpoint> {
    let mut roots = RootCertStore::empty();
    // Stores do have a few that cannot be read; they are no reason to trust none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(BadEndpoint::NobodyToTrust) } else { Ok(roots) }
}

/// What an `ExportTraceServiceResponse` says. A 64-bit number may stand there as a text.
fn taken(body: &[u8]) -> Taken {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Response {
        partial_success: Partial,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Partial {
        rejected_spans: Value,
    }
    let response: Response = serde_json::from_slice(body).unwrap_or_default();
    let rejected = match &response.partial_success.rejected_spans {
        Value::String(text) => text.parse().unwrap_or(0),
        number => number.as_u64().unwrap_or(0),
    };
    if rejected == 0 { Taken::All } else { Taken::AllBut(rejected) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_is_read_however_its_number_is_written() {
        for (body, expected) in [
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#, Taken::AllBut(3)),
            (r#"{"partialSuccess":{"rejectedSpans":2}}"#, Taken::AllBut(2)),
            (r#"{"partialSuccess":{}}"#, Taken::All),
            ("{}", Taken::All),
            ("", Taken::All),
            ("[", Taken::All),
        ] {
            assert_eq!(taken(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn an_endpoint_is_an_http_url() {
        for wrong in ["", "127.0.0.1:4318", "/v1/traces", "grpc://127.0.0.1:4317", "http://"] {
            assert!(matches!(Collector::new(wrong), Err(BadEndpoint::NoUrl(_))), "{wrong}");
        }
        assert!(Collector::new("http://127.0.0.1:4318/v1/traces").is_ok());
    }
}
