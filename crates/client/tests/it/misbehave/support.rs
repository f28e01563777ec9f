//! A client of a server that is about to misbehave.

use std::future::IntoFuture;
use std::time::Duration;

use anypod_client::proto::tools::CallToolResult;
use anypod_client::{Client, Limits, Result};
use anypod_testkit::script::{Answers, Expect, Reply, Script, Server};
use serde_json::{Value, json};

/// No test waits longer than this, whatever breaks.
const LONGEST: Duration = Duration::from_secs(20);

/// How much a server may have got rid of until a client of [`limits`] gives up: its bounds, and what the network buffers.
pub(super) const BUFFERED: u64 = 16 << 20;

/// Bounds that are quickly reached.
pub(super) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.body_bytes = 64 << 10;
    limits.event_bytes = 64 << 10;
    limits.notifications = 100;
    limits.list_pages = 5;
    limits.list_items = 20;
    limits.rounds = 3;
    limits
}

/// The result of a tool.
pub(super) fn done() -> Value {
    json!({ "resultType": "complete", "content": [] })
}

/// A notification.
pub(super) fn notice() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "hello" } })
}

/// A server that misbehaves from its second answer on, and its client.
pub(super) async fn misbehaving(reply: impl Answers) -> (Server, Client) {
    misbehaving_towards(Client::builder().limits(limits()), reply).await
}

/// The same for another client.
pub(super) async fn misbehaving_towards(client: anypod_client::ClientBuilder, reply: impl Answers) -> (Server, Client) {
    let versions = json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {} });
    let script = Script::new().on(Expect::method("server/discover"), Reply::result(&versions));
    let server = script.always(Expect::any(), reply).serve().await.unwrap();
    let client = client.connect(&server.url()).unwrap();
    client.discover().await.unwrap();
    (server, client)
}

/// What a call of a tool comes to.
pub(super) async fn call(client: &Client) -> Result<CallToolResult> {
    bounded(client.call("add", json!({ "a": 1 })).into_future()).await
}

/// A future that is not waited for for ever.
pub(super) async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONGEST, future).await.expect("a client never waits for ever")
}

/// Replies to the call of a tool and the errors that they come to, each a test.
macro_rules! calls_end {
    ($($name:ident: $reply:expr => $error:pat $(if $guard:expr)?),* $(,)?) => { $(
        #[tokio::test]
        async fn $name() {
            let (server, client) = super::support::misbehaving($reply).await;
            let error = super::support::call(&client).await.unwrap_err();
            assert!(matches!(&error, $error $(if $guard)?), "{error:?}");
            let calls = server.methods().iter().filter(|method| *method == "tools/call").count();
            assert_eq!(calls, 1, "a call that may have run is not sent again");
            assert!(server.sent() < super::support::BUFFERED, "{}", server.sent());
        }
    )* };
}
