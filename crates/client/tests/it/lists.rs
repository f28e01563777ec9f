//! Whole lists: pages, and servers whose pages do not end.

use anypod_client::{Broken, Error};
use serde_json::{Value, json};

use crate::legacy::server::{Server, limits};
use crate::modern::{client, pinned, result};

/// A page of resources that leads to `next`.
fn page(count: usize, next: Option<&str>) -> Value {
    let resources: Vec<_> = (0..count).map(|at| json!({ "uri": format!("a:{at}"), "name": "a" })).collect();
    let mut page = json!({ "resources": resources, "ttlMs": 0, "cacheScope": "private" });
    if let Some(next) = next {
        page["nextCursor"] = json!(next);
    }
    page
}

#[tokio::test]
async fn pages_are_asked_for_with_the_cursor_as_it_came() {
    let server = Server::new(|heard| {
        let page = match heard.body["params"].get("cursor").map(|cursor| cursor.as_str().unwrap()) {
            None => page(2, Some("\"é\\\u{0}")),
            // Spec: server/utilities/pagination: an empty cursor is not the end.
            Some("\"é\\\u{0}") => page(0, Some("")),
            Some("") => page(1, None),
            Some(other) => panic!("{other}"),
        };
        Some(result(heard, page))
    });
    assert_eq!(client(&server).resources().await.unwrap().len(), 3);
    assert_eq!(server.log().len(), 3);
}

#[tokio::test]
async fn gives_up_on_a_list_whose_cursor_repeats() {
    let server = Server::new(|heard| {
        let next = match heard.body["params"]["cursor"].as_str() {
            None | Some("c") => "a",
            Some("a") => "b",
            Some(_) => "c",
        };
        Some(result(heard, page(1, Some(next))))
    });
    let error = client(&server).resources().await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::EndlessList)), "{error}");
    assert_eq!(server.log().len(), 4);
}

/// A server whose every page leads to another one.
fn endless(items: usize) -> Server {
    Server::new(move |heard| {
        let next = heard.id().to_string();
        Some(result(heard, page(items, Some(&next))))
    })
}

#[tokio::test]
async fn gives_up_on_a_list_of_too_many_pages() {
    let server = endless(0);
    let client = pinned(anypod_client::Client::builder().limits(limits(|limits| limits.list_pages = 7)), &server);
    let error = client.resources().await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 7, .. })), "{error}");
    assert_eq!(server.log().len(), 7);
}

#[tokio::test]
async fn gives_up_on_a_list_of_too_many_items() {
    let server = endless(10);
    let client = pinned(anypod_client::Client::builder().limits(limits(|limits| limits.list_items = 25)), &server);
    let error = client.resources().await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 25, .. })), "{error}");
    assert_eq!(server.log().len(), 3);
}

#[tokio::test]
async fn a_server_that_refuses_headers_and_lists_for_ever_is_given_up() {
    let server = Server::new(|heard| {
        Some(if heard.is("tools/list") {
            let next = heard.id().to_string();
            result(heard, json!({ "tools": [], "nextCursor": next, "ttlMs": 0, "cacheScope": "private" }))
        } else {
            crate::modern::error(heard, 400, -32020)
        })
    });
    let client = pinned(anypod_client::Client::builder().limits(limits(|limits| limits.list_pages = 7)), &server);
    let error = client.call("query", ()).await.unwrap_err();
    assert!(matches!(error, Error::Answered(_)), "{error}");
    assert_eq!(server.log().len(), 9);
}
