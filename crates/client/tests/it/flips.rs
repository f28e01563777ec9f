//! Which era a server is of, while it is called: found out, remembered, and found out anew when it changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anypod_client::era::{EraStore, Eras, ServerName};
use anypod_client::proto::version::Era;
use anypod_client::{Client, Error};
use http::StatusCode;
use serde_json::json;

use crate::legacy::server::{Heard, Reply, Server, done, json as whole, status};
use crate::modern::{error, result, text};

fn is_modern(heard: &Heard) -> bool {
    heard.body["params"]["_meta"].get("io.modelcontextprotocol/protocolVersion").is_some()
}

/// How a modern server answers.
fn modern(heard: &Heard) -> Reply {
    match heard.body["method"].as_str() {
        _ if !is_modern(heard) => {
            let data = json!({ "supported": ["2026-07-28"], "requested": "2025-11-25" });
            let error = json!({ "code": -32022, "message": "Unsupported protocol version", "data": data });
            let mut reply = whole(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": error }));
            *reply.status_mut() = StatusCode::BAD_REQUEST;
            reply
        }
        Some("server/discover") => result(heard, json!({ "supportedVersions": ["2026-07-28"], "capabilities": {} })),
        Some("tools/call") => text(heard, "modern"),
        _ => error(heard, 404, -32601),
    }
}

/// How a legacy server with sessions answers; `None` for what the handshake needs.
fn legacy(heard: &Heard) -> Option<Reply> {
    match heard.header("mcp-session-id") {
        None if !heard.is("initialize") => Some(status(StatusCode::BAD_REQUEST)),
        Some(_) if heard.is("tools/call") => Some(whole(&done(&heard.id(), "legacy"))),
        None | Some(_) => None,
    }
}

/// A server of the one era or the other.
fn changing() -> (Server, Arc<AtomicBool>) {
    let is_modern = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&is_modern);
    let server =
        Server::new(move |heard| if now.load(Ordering::Relaxed) { Some(modern(heard)) } else { legacy(heard) });
    (server, is_modern)
}

async fn called(client: &Client) -> String {
    client.call("t", ()).await.unwrap().content[0].as_text().unwrap().to_owned()
}

fn ran(server: &Server) -> usize {
    server.heard(|heard| heard.is("tools/call")).len()
}

#[tokio::test]
async fn a_call_that_comes_first_reaches_a_server_of_either_era_once() {
    for modern in [false, true] {
        let (server, is_modern) = changing();
        is_modern.store(modern, Ordering::Relaxed);
        let client = Client::builder().service(server.clone());
        called(&client).await;
        called(&client).await;
        assert_eq!(ran(&server), 2, "each once");
        assert_eq!(client.era(), Some(if modern { Era::Modern } else { Era::Legacy }));
        assert_eq!(server.heard(|heard| heard.is("server/discover")).len(), 1, "asked once");
    }
}

#[tokio::test]
async fn a_careless_legacy_server_runs_the_first_call_once() {
    // It looks neither at sessions nor at versions, and answers what it does not know with an error.
    let server = Server::new(|heard| match heard.body["method"].as_str() {
        Some("tools/call") => Some(whole(&done(&heard.id(), "legacy"))),
        Some("server/discover") => Some(error(heard, 200, -32601)),
        _ => None,
    });
    let client = Client::builder().service(server.clone());
    assert_eq!(called(&client).await, "legacy");
    assert_eq!(ran(&server), 1);
    assert_eq!(client.era(), Some(Era::Legacy));
}

#[tokio::test]
async fn a_server_that_becomes_modern_is_called_as_modern_at_once() {
    let (server, is_modern) = changing();
    let client = Client::builder().service(server.clone());
    assert_eq!(called(&client).await, "legacy");
    is_modern.store(true, Ordering::Relaxed);
    assert_eq!(called(&client).await, "modern");
    assert_eq!(client.era(), Some(Era::Modern));
    assert_eq!(called(&client).await, "modern");
}

#[tokio::test]
async fn a_server_that_becomes_legacy_is_called_as_legacy_at_once() {
    let (server, is_modern) = changing();
    is_modern.store(true, Ordering::Relaxed);
    let client = Client::builder().service(server.clone());
    assert_eq!(called(&client).await, "modern");
    is_modern.store(false, Ordering::Relaxed);
    assert_eq!(called(&client).await, "legacy");
    assert_eq!(client.era(), Some(Era::Legacy));
}

/// A store that many clients share.
#[derive(Clone, Default)]
struct Shared(Arc<Eras>);

impl EraStore for Shared {
    fn get(&self, server: &ServerName) -> Option<Era> {
        self.0.get(server)
    }

    fn put(&self, server: &ServerName, era: Era) {
        self.0.put(server, era);
    }

    fn remove(&self, server: &ServerName) {
        self.0.remove(server);
    }
}

/// A small server behind a real socket, as only those have names that are remembered.
async fn served(server: anypod_server::Server) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(server.serve(listener, std::future::pending()));
    url
}

#[tokio::test]
async fn a_pinned_era_is_not_put_in_question() {
    let (server, _) = changing();
    let client = Client::builder().era(Era::Modern).service(server.clone());
    let error = client.call("t", ()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(server.log().len(), 1);
    let (server, is_modern) = changing();
    is_modern.store(true, Ordering::Relaxed);
    let client = Client::builder().era(Era::Legacy).service(server.clone());
    client.call("t", ()).await.unwrap_err();
    assert_eq!(server.heard(is_modern_request).len(), 0);
    assert_eq!(ran(&server), 0);
}

fn is_modern_request(heard: &Heard) -> bool {
    is_modern(heard)
}

/// A server of both eras behind something that answers some requests itself.
fn behind(page: impl Fn(usize) -> Option<Reply> + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    Server::new(move |heard| match page(count.fetch_add(1, Ordering::Relaxed)) {
        Some(page) => Some(page),
        None if is_modern(heard) => Some(modern(heard)),
        None => legacy(heard),
    })
}

#[tokio::test]
async fn the_error_page_of_a_proxy_does_not_make_a_server_of_both_eras_legacy() {
    for code in [400, 403, 404, 405, 408, 500, 502, 503, 504] {
        // The first call comes through, and of the second only the probe.
        let server = behind(move |at| (at == 2).then(|| status(StatusCode::from_u16(code).unwrap())));
        let client = Client::builder().service(server.clone());
        assert_eq!(called(&client).await, "modern");
        let error = client.call("t", ()).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{code}: {error}");
        assert_eq!(client.era(), Some(Era::Modern), "{code}");
        assert_eq!(called(&client).await, "modern");
        assert_eq!(ran(&server), 3, "{code}: none twice");
        assert_eq!(server.heard(|heard| heard.is("initialize")).len(), 0, "{code}");
    }
}

#[tokio::test]
async fn a_busy_server_is_of_no_era_yet() {
    for code in [429, 503] {
        let server = behind(move |at| (at == 0).then(|| status(StatusCode::from_u16(code).unwrap())));
        let client = Client::builder().service(server.clone());
        let error = client.call("t", ()).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{code}: {error}");
        assert_eq!(client.era(), None, "{code}");
        assert_eq!(ran(&server), 0);
        assert_eq!(called(&client).await, "modern");
    }
}

#[tokio::test]
async fn a_verdict_is_kept_for_the_next_client() {
    let server = anypod_server::Server::new("kept", "1.0.0")
        .tool(anypod_server::Tool::new("t", || async { "x" }))
        .build()
        .unwrap();
    let url = served(server).await;
    let name = ServerName::url(&url.parse().unwrap());
    let eras = Shared::default();
    let client = || Client::builder().eras(eras.clone()).connect(&url).unwrap();
    called(&client()).await;
    assert_eq!(eras.get(&name), Some(Era::Modern));
    assert_eq!(client().era(), Some(Era::Modern), "without a round trip");
}

#[tokio::test]
async fn an_answer_in_doubt_is_never_asked_for_twice() {
    // Known as modern, it is now a legacy server that runs what it gets, and answers in ways of its own.
    for answer in [r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"?"}}"#, "[]", "<html>", ""] {
        let became = Arc::new(AtomicBool::new(false));
        let now = Arc::clone(&became);
        let server = Server::new(move |heard| match (now.load(Ordering::Relaxed), heard.is("tools/call")) {
            (false, _) => Some(modern(heard)),
            (true, true) => {
                let (events, mut reply) = crate::legacy::server::events();
                if !answer.is_empty() {
                    events.write(answer);
                }
                let kind = if answer == "<html>" { "text/html" } else { "application/json" };
                reply.headers_mut().insert("content-type", kind.parse().unwrap());
                Some(reply)
            }
            (true, false) if heard.is("server/discover") => Some(status(StatusCode::BAD_REQUEST)),
            (true, false) => None,
        });
        let client = Client::builder().service(server.clone());
        called(&client).await;
        became.store(true, Ordering::Relaxed);
        let error = client.call("t", ()).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{answer}: {error}");
        assert_eq!(ran(&server), 2, "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_version_it_offers_is_asked_once_more() {
    let refusals = AtomicUsize::new(0);
    let server = Server::new(move |heard| {
        if heard.is("tools/call") && refusals.fetch_add(1, Ordering::Relaxed) == 0 {
            let error =
                json!({ "code": -32022, "message": "no", "data": { "supported": ["2026-07-28"], "requested": "x" } });
            return Some(whole(&json!({ "jsonrpc": "2.0", "id": heard.id(), "error": error })));
        }
        Some(modern(heard))
    });
    let client = Client::builder().service(server.clone());
    assert_eq!(called(&client).await, "modern");
    assert_eq!(ran(&server), 2);
}
