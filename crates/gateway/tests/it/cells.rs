//! The four cells: clients of either era before servers of either era, through two replicas that take turns.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anypod_client::proto::completion::{
    CompletionArgument, CompletionReference, PromptReference, ResourceTemplateReference,
};
use anypod_client::proto::logging::LoggingLevel;
use anypod_client::proto::version::Era;
use anypod_client::{Client, Event as Heard};
use anypod_server::Event;
use serde_json::{Value, json};

use crate::support::{Fleet, Pod, Seen, config, legacy, modern, person, served, soon, text};

/// After this, a change is announced once more.
const NOT_YET: Duration = Duration::from_millis(100);

/// A client of one era before a server of one era.
struct Cell {
    client: Client,
    pod: Pod,
    seen: Seen,
    fleet: Fleet,
}

impl Cell {
    async fn new(client: Era, server: Era) -> Self {
        let seen = Seen::default();
        let pod = Pod::start(served(&seen)).await;
        let upstream = match server {
            Era::Modern => modern([&pod]),
            Era::Legacy => legacy([&pod]),
        };
        let fleet = Fleet::of(config([upstream])).await;
        let client = fleet.client_of(person("Ann"), client);
        Self { client, pod, seen, fleet }
    }

    /// Both replicas were asked.
    #[track_caller]
    fn took_turns(&self) {
        let sent = self.fleet.way.sent();
        assert!(sent.iter().all(|sent| *sent > 0), "{sent:?}");
    }
}

/// One test a cell, for each feature.
macro_rules! cells {
    ($($feature:ident)*) => {
        mod a_modern_client_before_a_modern_server {
            use super::*;
            $(#[tokio::test] async fn $feature() { super::$feature(Cell::new(Era::Modern, Era::Modern).await).await; })*
        }
        mod a_modern_client_before_a_legacy_server {
            use super::*;
            $(#[tokio::test] async fn $feature() { super::$feature(Cell::new(Era::Modern, Era::Legacy).await).await; })*
        }
        mod a_legacy_client_before_a_modern_server {
            use super::*;
            $(#[tokio::test] async fn $feature() { super::$feature(Cell::new(Era::Legacy, Era::Modern).await).await; })*
        }
        mod a_legacy_client_before_a_legacy_server {
            use super::*;
            $(#[tokio::test] async fn $feature() { super::$feature(Cell::new(Era::Legacy, Era::Legacy).await).await; })*
        }
    };
}

cells! {
    calls_tools
    is_asked_in_the_middle_of_a_call
    is_asked_twice_in_a_call
    is_asked_before_a_prompt
    hears_of_progress
    hears_log_messages_of_the_level_it_wants
    cancels_by_leaving
    lists_tools_page_by_page
    fills_in_prompts
    reads_resources
    is_helped_to_complete
    hears_that_tools_changed
    hears_that_a_resource_changed
}

async fn calls_tools(cell: Cell) {
    for n in 0..6 {
        let said = format!("line {n} \u{1f980}");
        let result = soon(cell.client.call("echo", json!({ "text": said })).into_future()).await.unwrap();
        assert_eq!(text(&result), said);
    }
    assert_eq!(cell.seen.calls("echo"), 6);
    cell.took_turns();
}

async fn is_asked_in_the_middle_of_a_call(cell: Cell) {
    for _ in 0..3 {
        let result = soon(cell.client.call("ask", json!({})).into_future()).await.unwrap();
        assert_eq!(text(&result), "Hello, Ann!");
    }
    cell.took_turns();
}

async fn is_asked_twice_in_a_call(cell: Cell) {
    let result = soon(cell.client.call("ask_twice", json!({})).into_future()).await.unwrap();
    assert_eq!(text(&result), "Ann likes red");
    cell.took_turns();
}

async fn is_asked_before_a_prompt(cell: Cell) {
    let none: [(&str, &str); 0] = [];
    let result = soon(cell.client.prompt("interview", none).into_future()).await.unwrap();
    let result = serde_json::to_value(result).unwrap();
    assert_eq!(result["messages"][0]["content"]["text"], "Hello, Ann!", "{result}");
}

async fn hears_of_progress(cell: Cell) {
    for _ in 0..2 {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        let call = cell.client.call("report", json!({})).on_progress(move |progress| {
            into.lock().unwrap().push((progress.progress, progress.total, progress.message));
        });
        assert_eq!(text(&soon(call.into_future()).await.unwrap()), "done");
        let heard = heard.lock().unwrap().clone();
        let expected: Vec<_> = [1.0, 2.0, 3.0].map(|done| (done, Some(3.0), Some("on the way".to_owned()))).into();
        assert_eq!(heard, expected);
    }
    cell.took_turns();
}

async fn hears_log_messages_of_the_level_it_wants(cell: Cell) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&heard);
    let call = cell.client.call("report", json!({})).on_log(LoggingLevel::Info, move |message| {
        into.lock().unwrap().push((message.level, message.data));
    });
    assert_eq!(text(&soon(call.into_future()).await.unwrap()), "done");
    assert_eq!(*heard.lock().unwrap(), [(LoggingLevel::Warning, json!("a line"))]);
}

async fn cancels_by_leaving(cell: Cell) {
    for count in 1..=2 {
        let client = cell.client.clone();
        let call = tokio::spawn(async move { client.call("wait", json!({})).await });
        cell.seen.waiting(count).await;
        call.abort();
        cell.seen.cancelled(count).await;
    }
}

async fn lists_tools_page_by_page(cell: Cell) {
    let page = soon(cell.client.tools_page(None).into_future()).await.unwrap();
    assert_eq!((page.tools.len(), page.next_cursor.is_some()), (10, true));
    let tools = soon(cell.client.tools().into_future()).await.unwrap();
    let mut names: Vec<_> = tools.into_iter().map(|tool| tool.name).collect();
    assert_eq!(names.len(), 25);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 25);
    cell.took_turns();
}

async fn fills_in_prompts(cell: Cell) {
    let listed = soon(cell.client.prompts().into_future()).await.unwrap();
    assert_eq!(listed.len(), 2);
    for topic in ["bees", "trees"] {
        let result = soon(cell.client.prompt("essay", [("text", topic)]).into_future()).await.unwrap();
        let result = serde_json::to_value(result).unwrap();
        assert_eq!(result["messages"][0]["content"]["text"], format!("Write about {topic}."));
    }
    cell.took_turns();
}

async fn reads_resources(cell: Cell) {
    let listed = soon(cell.client.resources().into_future()).await.unwrap();
    assert_eq!(listed.len(), 2);
    let templates = soon(cell.client.resource_templates().into_future()).await.unwrap();
    assert_eq!(templates[0].uri_template, "book://{book}/{page}");
    for (uri, says) in [("note://one", "the first note"), ("book://emma/7", "emma, page 7")] {
        let result = soon(cell.client.read(uri).into_future()).await.unwrap();
        let result = serde_json::to_value(result).unwrap();
        assert_eq!((&result["contents"][0]["uri"], &result["contents"][0]["text"]), (&json!(uri), &json!(says)));
    }
    cell.took_turns();
}

async fn is_helped_to_complete(cell: Cell) {
    let prompt = CompletionReference::Prompt(PromptReference { name: "essay".to_owned(), title: None });
    let uri = "book://{book}/{page}".to_owned();
    let template = CompletionReference::Resource(ResourceTemplateReference { uri });
    for (reference, argument) in [(prompt, "text"), (template, "book")] {
        let argument = CompletionArgument { name: argument.to_owned(), value: "du".to_owned() };
        let result = soon(cell.client.complete(reference, argument, None).into_future()).await.unwrap();
        let result = serde_json::to_value(result).unwrap();
        assert_eq!(result["completion"]["values"], json!(["dune", "dubliners"]));
    }
}

async fn hears_that_tools_changed(cell: Cell) {
    let mut changes = changes(&cell, json!({ "toolsListChanged": true })).await;
    cell.pod.server().announce(Event::ToolsChanged).await;
    soon(async { while !matches!(changes.next().await.expect("the stream goes on"), Heard::ToolsChanged) {} }).await;
}

async fn hears_that_a_resource_changed(cell: Cell) {
    let mut changes = changes(&cell, json!({ "resourceSubscriptions": ["note://one"] })).await;
    // A legacy session's stream may be on the other replica than its subscription, and begins to listen a moment later.
    let announce = async || cell.pod.server().announce(Event::ResourceUpdated { uri: "note://one".to_owned() }).await;
    soon(async {
        loop {
            announce().await;
            match tokio::time::timeout(NOT_YET, changes.next()).await.map(|heard| heard.expect("the stream goes on")) {
                Ok(Heard::ResourceUpdated { uri }) => return assert_eq!(uri, "note://one"),
                Ok(Heard::Gap) | Err(_) => {}
                Ok(other) => panic!("{other:?}"),
            }
        }
    })
    .await;
}

async fn changes(cell: &Cell, filter: Value) -> anypod_client::Subscription {
    let filter = serde_json::from_value(filter).unwrap();
    soon(cell.client.listen(filter).into_future()).await.unwrap()
}
