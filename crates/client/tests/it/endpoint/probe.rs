//! Finding out what is there, and whether anything is.

use anypod_client::proto::version::Era;
use anypod_client::{Broken, Client, Endpoint, Error, Probed};
use anypod_server::{Server as Own, Tool};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::json;

use super::{at, named};
use crate::legacy::server::{Heard, Reply, Server, initialized, json as whole, never, status};
use crate::modern::{error, result};
use crate::scripted::{Scripted, plain};

async fn probed(endpoint: &Endpoint, known: Option<Era>) -> Probed {
    endpoint.probe(&named("gateway"), &HeaderMap::new(), known).await
}

/// The messages that were sent, HTTP methods where there is none.
fn messages(server: &Server) -> Vec<String> {
    let name = |heard: &Heard| heard.body["method"].as_str().map_or_else(|| heard.verb.to_string(), str::to_owned);
    server.log().iter().map(name).collect()
}

/// How a legacy server with sessions answers; `None` for what the handshake needs.
fn legacy(heard: &Heard) -> Option<Reply> {
    let is_new = heard.header("mcp-session-id").is_none() && !heard.is("initialize");
    is_new.then(|| status(StatusCode::BAD_REQUEST))
}

fn discovered(heard: &Heard) -> Option<Reply> {
    let known = heard.is("server/discover");
    known.then(|| result(heard, json!({ "supportedVersions": ["2026-07-28"], "capabilities": {} })))
}

#[tokio::test]
async fn a_modern_server_is_asked_once() {
    let server = Server::new(discovered);
    let is_modern = |probed: &Probed| matches!(probed, Probed::Speaks(Era::Modern));
    let found = probed(&at(&server), None).await;
    assert!(is_modern(&found), "{found:?}");
    assert_eq!(messages(&server), ["server/discover"]);
    async fn hello() -> &'static str {
        "hello"
    }
    let own = Own::new("own", "1.0.0").tool(Tool::new("hello", hello)).build().unwrap();
    let found = probed(&Client::builder().service_endpoint(own), Some(Era::Modern)).await;
    assert!(is_modern(&found), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_legacy_server_is_left_without_a_session() {
    for known in [None, Some(Era::Modern)] {
        let server = Server::new(legacy);
        let found = probed(&at(&server), known).await;
        assert!(matches!(found, Probed::Speaks(Era::Legacy)), "{found:?}");
        assert_eq!(messages(&server), ["server/discover", "initialize", "notifications/initialized", "DELETE"]);
        assert_eq!(server.log()[3].header("mcp-session-id"), Some("session-1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_known_to_be_legacy_is_not_asked_for_what_it_does_not_have() {
    let server = Server::new(legacy);
    let found = probed(&at(&server), Some(Era::Legacy)).await;
    assert!(matches!(found, Probed::Speaks(Era::Legacy)), "{found:?}");
    assert_eq!(messages(&server), ["initialize", "notifications/initialized", "DELETE"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_become_modern_is_found_out() {
    let server = Server::new(|heard| discovered(heard).or_else(|| Some(error(heard, 400, -32022))));
    let found = probed(&at(&server), Some(Era::Legacy)).await;
    assert!(matches!(found, Probed::Speaks(Era::Modern)), "{found:?}");
}

#[tokio::test]
async fn nobody_is_at_a_port_that_is_closed() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    drop(listener);
    for known in [None, Some(Era::Modern), Some(Era::Legacy)] {
        let found = probed(&Client::builder().endpoint(&url).unwrap(), known).await;
        assert!(matches!(found, Probed::Unreachable(Error::Unreachable { .. })), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_nobody() {
    for known in [None, Some(Era::Legacy)] {
        let found = probed(&at(&Server::new(|_| Some(never()))), known).await;
        assert!(matches!(found, Probed::Unreachable(Error::TimedOut(_))), "{found:?}");
    }
    let mute = Server::new(|heard| if heard.is("initialize") { Some(never()) } else { legacy(heard) });
    let found = probed(&at(&mute), None).await;
    assert!(matches!(found, Probed::Unreachable(Error::TimedOut(_))), "{found:?}");
}

#[tokio::test]
async fn a_page_is_no_server() {
    for (status, body) in [(200, "<html>Welcome</html>"), (404, "<html>Not Found</html>"), (500, "oops")] {
        let server = Scripted::http(move |_, _| plain(status, "text/html", body));
        let endpoint = Client::builder().service_endpoint(server.clone());
        let found = probed(&endpoint, None).await;
        assert!(matches!(found, Probed::Neither(_)), "{found:?}");
        assert_eq!(server.methods(), ["server/discover", "initialize"]);
    }
}

#[tokio::test]
async fn a_server_without_time_says_nothing_of_its_era() {
    for busy in [429, 502, 503, 504] {
        for known in [None, Some(Era::Legacy)] {
            let server = Scripted::http(move |_, _| plain(busy, "text/plain", "later"));
            let found = probed(&Client::builder().service_endpoint(server.clone()), known).await;
            assert!(matches!(found, Probed::NotNow(Error::Refused { .. })), "{found:?}");
            assert_eq!(server.asked().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_server_that_wants_credentials_is_there() {
    let unauthorized = |_: &HeaderMap, _: &serde_json::Value| {
        let mut answer = plain(401, "text/plain", "who are you");
        answer.headers_mut().insert("www-authenticate", HeaderValue::from_static("Bearer"));
        answer
    };
    let server = Scripted::http(unauthorized);
    let endpoint = Client::builder().service_endpoint(server.clone());
    let found = probed(&endpoint, None).await;
    assert!(matches!(&found, Probed::Unauthorized(challenge) if challenge.www_authenticate == ["Bearer"]), "{found:?}");
    assert_eq!(server.methods(), ["server/discover"]);
    // With credentials, it may be the session that it misses.
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer a"))]);
    let found = endpoint.probe(&named("gateway"), &headers, None).await;
    assert!(matches!(found, Probed::Unauthorized(_)), "{found:?}");
    assert_eq!(server.methods(), ["server/discover", "server/discover", "initialize"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_unknown_revisions_speaks_neither_era() {
    let data = json!({ "supported": ["2099-01-01"], "requested": "2026-07-28" });
    let later = Scripted::new(move |_| Err(json!({ "code": -32022, "message": "no", "data": data })));
    let found = probed(&Client::builder().service_endpoint(later), None).await;
    assert!(matches!(&found, Probed::Neither(Error::Broken(Broken::NoCommonVersion(of))) if of == &["2099-01-01"]));
    let older = Server::new(|heard| match heard.is("initialize") {
        true => Some(initialized(heard, "2024-11-05", "s")),
        false => legacy(heard),
    });
    let found = probed(&at(&older), None).await;
    assert!(matches!(&found, Probed::Neither(Error::Broken(Broken::NoCommonVersion(of))) if of == &["2024-11-05"]));
    assert_eq!(older.log().last().unwrap().verb, Method::DELETE, "the session is closed all the same");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_shows_no_era_is_in_doubt_legacy() {
    let obliging = Server::new(|heard| {
        let result = json!({ "jsonrpc": "2.0", "id": heard.id(), "result": {} });
        heard.is("server/discover").then(|| whole(&result))
    });
    let found = probed(&at(&obliging), None).await;
    assert!(matches!(found, Probed::Speaks(Era::Legacy)), "{found:?}");
}
