//! A collector of spans: OTLP over HTTP, as much of it as the gateway speaks.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::soon;

/// A collector. Dropped, it ends.
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    spans: watch::Sender<Vec<Span>>,
    _accepting: JoinSet<()>,
}

/// A span, with what it says as plain values.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) json: Value,
    pub(crate) says: Value,
}

impl Span {
    /// One of its texts; empty where it has none.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_default()
    }

    /// `traceparent` of what is done in it.
    pub(crate) fn parent_of_others(&self) -> String {
        format!("00-{}-{}-01", self.text("traceId"), self.text("spanId"))
    }
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let spans = watch::Sender::new(Vec::new());
        let sender = spans.clone();
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| {
                    let sender = sender.clone();
                    async move {
                        taken(request, &sender).await;
                        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::from("{}")))
                    }
                });
                let http = hyper::server::conn::http1::Builder::new();
                connections.spawn(async move { drop(http.serve_connection(TokioIo::new(stream), service).await) });
            }
        });
        Self { endpoint, spans, _accepting: accepting }
    }

    /// The first so many spans, once they are there.
    pub(crate) async fn spans(&self, count: usize) -> Vec<Span> {
        let mut spans = self.spans.subscribe();
        soon(spans.wait_for(|spans| spans.len() >= count)).await.unwrap().clone()
    }
}

async fn taken(request: Request<Incoming>, spans: &watch::Sender<Vec<Span>>) {
    assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/v1/traces"));
    assert_eq!(request.headers()["content-type"], "application/json");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let batch: Value = serde_json::from_slice(&body).unwrap();
    let of = &batch["resourceSpans"][0];
    assert_eq!(plain(&of["resource"]["attributes"])["service.name"], "anypod-gateway");
    let new = of["scopeSpans"][0]["spans"].as_array().unwrap().iter();
    let new = new.map(|span| Span { json: span.clone(), says: plain(&span["attributes"]) });
    spans.send_modify(|spans| spans.extend(new));
}

fn plain(attributes: &Value) -> Value {
    let pair = |attribute: &Value| {
        let value = attribute["value"].as_object().unwrap().values().next().unwrap();
        (attribute["key"].as_str().unwrap().to_owned(), value.clone())
    };
    attributes.as_array().unwrap().iter().map(pair).collect::<Map<_, _>>().into()
}
