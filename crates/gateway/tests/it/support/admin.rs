//! What a replica says about itself at its admin address.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::parser::Metrics;
use super::{Replica, soon};

impl Replica {
    /// What is at a path of the admin address.
    pub(crate) async fn told(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        told(self.admin.unwrap(), path).await
    }

    /// The metrics, once this is true of them: what is counted is counted after the answer.
    pub(crate) async fn metrics(&self, settled: impl Fn(&Metrics) -> bool) -> Metrics {
        soon(async {
            loop {
                let metrics = Metrics::read(&self.told("/metrics").await.2);
                if settled(&metrics) {
                    return metrics;
                }
            }
        })
        .await
    }

    pub(crate) async fn report(&self) -> Value {
        serde_json::from_str(&self.told("/report?quiet-for=1h").await.2).unwrap()
    }
}

async fn told(at: SocketAddr, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(format!("http://{at}{path}")).body(Empty::<Bytes>::new()).unwrap();
    let answer = soon(Client::builder(TokioExecutor::new()).build_http().request(request)).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = soon(body.collect()).await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}
