//! Legacy clients before several pods: sessions without a store, questions whose answers reach another pod.

pub(crate) mod client;
mod hops;
pub(crate) mod pods;
mod questions;
mod sessions;
mod settings;

use serde_json::{Value, json};

use client::Reply;

pub(crate) const REVISIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

pub(crate) fn accept(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

/// The question that a call asks next.
pub(crate) async fn question(reply: &mut Reply) -> Value {
    let message = reply.next().await.expect("a question");
    assert!(message["id"].is_string() && message["method"].is_string(), "{message}");
    message
}

#[track_caller]
pub(crate) fn assert_error(response: &Value, code: i32, words: &str) {
    let error = &response["error"];
    let message = error["message"].as_str().unwrap_or_else(|| panic!("{response}"));
    assert!(error["code"] == code && message.contains(words), "{response}");
}
