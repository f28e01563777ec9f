//! Lists that do not end.

use anypod_client::{Broken, Error};
use anypod_testkit::script::{Received, Reply};
use serde_json::{Value, json};

use super::support::{bounded, misbehaving};

fn page(tools: &Value, next: &str) -> Reply {
    Reply::result(&json!({ "resultType": "complete", "tools": tools, "nextCursor": next }))
}

async fn list(reply: impl anypod_testkit::script::Answers) -> (usize, Error) {
    let (server, client) = misbehaving(reply).await;
    let error = bounded(std::future::IntoFuture::into_future(client.tools())).await.unwrap_err();
    (server.methods().iter().filter(|method| *method == "tools/list").count(), error)
}

#[tokio::test]
async fn gives_up_on_a_list_whose_cursor_repeats() {
    let (pages, error) = list(page(&json!([]), "again")).await;
    assert!(matches!(error, Error::Broken(Broken::EndlessList)), "{error:?}");
    assert_eq!(pages, 2);
}

#[tokio::test]
async fn gives_up_on_a_list_whose_cursors_go_round() {
    let reply = |received: &Received| match received.json()["params"]["cursor"].as_str() {
        Some("b") => page(&json!([]), "c"),
        Some("c") => page(&json!([]), "a"),
        Some(_) | None => page(&json!([]), "b"),
    };
    let (pages, error) = list(reply).await;
    assert!(matches!(error, Error::Broken(Broken::EndlessList)), "{error:?}");
    assert_eq!(pages, 4);
}

#[tokio::test]
async fn gives_up_on_a_list_whose_cursors_never_end() {
    let (pages, error) = list(|received: &Received| page(&json!([]), &format!("after {}", received.id()))).await;
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 5, .. })), "{error:?}");
    assert_eq!(pages, 5);
}

#[tokio::test]
async fn gives_up_on_a_list_of_too_many_items() {
    let tools: Value =
        (0..9).map(|number| json!({ "name": format!("t{number}"), "inputSchema": { "type": "object" } })).collect();
    let (pages, error) = list(move |received: &Received| page(&tools, &format!("after {}", received.id()))).await;
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 20, .. })), "{error:?}");
    assert_eq!(pages, 3);
}
