//! Upstreams before real servers on this machine.

mod balancing;
mod finding;
mod http1;
mod http2;
mod probing;
mod secured;
mod server;
mod starting;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::answer::AnswerError;
use super::chance::seeded;
use super::{Answer, Outbound, Outgoing, Pod, SendError, StartError, Tried, Upstream};
use crate::config::{self, Health, Time};
use crate::head::Reply;

/// When what would hang is taken to hang. Only for tests on the machine's own time.
const DEADLINE: Duration = Duration::from_secs(20);

/// An upstream of these pods, which is not asked how it is.
fn configured(pods: &[&str]) -> config::Upstream {
    let text = format!("name = \"a\"\npods = {pods:?}\n[health]\nevery = \"0s\"\n");
    toml::from_str(&text).unwrap()
}

fn started(config: &config::Upstream) -> Arc<Upstream> {
    start(config).unwrap()
}

fn start(config: &config::Upstream) -> Result<Arc<Upstream>, StartError> {
    Upstream::start(config, &seeded(7))
}

/// The only pod of an upstream. It lives as long as the upstream, or longer.
fn pod(config: &config::Upstream) -> Arc<Pod> {
    Arc::clone(&started(config).pods()[0])
}

/// The only pod of an upstream that is at `url`.
fn pod_at(url: &str) -> Arc<Pod> {
    pod(&configured(&[url]))
}

fn post(body: Outgoing) -> Outbound {
    Request::post("/mcp").body(body).unwrap().into()
}

fn whole(text: &'static str) -> Outgoing {
    Outgoing::Whole(Bytes::from_static(text.as_bytes()))
}

async fn send(pod: &Arc<Pod>, text: &'static str) -> Result<Reply<Answer>, SendError> {
    pod.send(&mut post(whole(text))).await
}

async fn read(response: Reply<Answer>) -> Result<String, AnswerError> {
    let bytes = response.body.collect().await?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

/// What a pod answers to `text`.
async fn echo(pod: &Arc<Pod>, text: &'static str) -> String {
    let exchange = async { read(send(pod, text).await.unwrap()).await.unwrap() };
    timeout(DEADLINE, exchange).await.unwrap()
}

/// Why nothing was sent.
fn unsent(outcome: Result<Reply<Answer>, SendError>) -> String {
    let error = outcome.map(|_| ()).unwrap_err();
    assert!(matches!(error, SendError::NotSent(_) | SendError::Full), "{error}");
    error.to_string()
}

/// A URL where nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/mcp", listener.local_addr().unwrap())
}

/// One of the certificates that the tests of the client have as well.
fn certificate(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../client/tests/tls").join(name)
}

/// A path in the directory for temporary files. What is there goes with it.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("anypod-{}-{name}", std::process::id())))
    }

    fn holding(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let file = Self::new(name);
        std::fs::write(&file.0, bytes).unwrap();
        file
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
