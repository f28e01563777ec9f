//! What the tests stand on: pods to be called, replicas to be asked, and clients that ask another replica each time.

mod admin;
mod alternate;
pub(crate) mod collector;
mod door;
mod fleet;
#[path = "../../src/observe/tests/parser.rs"]
pub(crate) mod parser;
mod pod;
mod scratch;
mod server;
pub(crate) mod tls;
mod wire;
mod wired;

use std::future::Future;
use std::time::Duration;

use anypod_client::proto::elicitation::ElicitResult;
use anypod_client::proto::tools::CallToolResult;
use anypod_client::{Client, ClientBuilder};
use anypod_server::proto::seal::Ring;
use serde_json::json;

pub(crate) use self::alternate::Alternate;
pub(crate) use self::fleet::{Fleet, Replica, config, legacy, modern, token, upstream, upstream_at};
pub(crate) use self::pod::Pod;
pub(crate) use self::scratch::Scratch;
pub(crate) use self::server::{Seen, fixture, served};
pub(crate) use self::wire::{Answered, Sent, meta};
pub(crate) use self::wired::Wired;

/// After this, what a test waits for does not come any more. Generous, as machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What comes of a future, in time.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it comes in time")
}

/// A ring that several share.
pub(crate) fn ring(of: u8) -> Ring {
    Ring::generate([of; 32])
}

/// A person who says this name, and yes to everything.
pub(crate) fn person(name: &str) -> ClientBuilder {
    let content = json!({ "action": "accept", "content": { "name": name, "color": "red" } });
    let content: ElicitResult = serde_json::from_value(content).unwrap();
    Client::builder().on_form(move |form| {
        let mut answer = content.clone();
        let wanted = serde_json::to_value(&form.requested_schema).unwrap_or_default();
        if let Some(content) = &mut answer.content {
            content.retain(|key, _| wanted["properties"].get(key).is_some());
        }
        std::future::ready(Ok::<_, std::io::Error>(answer))
    })
}

/// The text of a result.
pub(crate) fn text(result: &CallToolResult) -> String {
    let result = serde_json::to_value(result).unwrap();
    assert_ne!(result["isError"], json!(true), "{result}");
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {result}")).to_owned()
}
