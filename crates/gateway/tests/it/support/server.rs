//! The server behind the gateway: a little of everything, and a memory of what was asked of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anypod_server::proto::logging::LoggingLevel;
use anypod_server::{
    Args, Caching, Cx, Limits, Partial, Prompt, Resource, ResourceTemplate, Result, Server, ServerBuilder, State, Tool,
    Vars, form,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::ring;

/// What the handlers remember.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Memory>);

#[derive(Default)]
struct Memory {
    calls: Mutex<BTreeMap<String, usize>>,
    waiting: watch::Sender<usize>,
    dropped: watch::Sender<usize>,
    go: Notify,
}

impl Seen {
    fn note(&self, tool: &str) {
        *self.0.calls.lock().unwrap().entry(tool.to_owned()).or_default() += 1;
    }

    /// How often a handler ran.
    pub(crate) fn calls(&self, tool: &str) -> usize {
        self.0.calls.lock().unwrap().get(tool).copied().unwrap_or_default()
    }

    /// Waits until so many calls of `wait` are under way or were.
    pub(crate) async fn waiting(&self, count: usize) {
        super::soon(self.0.waiting.subscribe().wait_for(|waiting| *waiting >= count)).await.unwrap();
    }

    /// Waits until so many calls of `wait` were cancelled.
    pub(crate) async fn cancelled(&self, count: usize) {
        super::soon(self.0.dropped.subscribe().wait_for(|dropped| *dropped >= count)).await.unwrap();
    }

    /// Lets one call of `wait` end.
    pub(crate) fn go(&self) {
        self.0.go.notify_one();
    }
}

/// Tells when a handler is dropped before its end.
struct Guard(Seen, bool);

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.1 {
            self.0.0.dropped.send_modify(|dropped| *dropped += 1);
        }
    }
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Name {
    name: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Colour {
    color: String,
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    book: String,
    page: u32,
}

/// A server of tools, prompts and resources that all are made up, in pages of ten, whose clients may keep nothing.
pub(crate) fn fixture(name: &str, seen: &Seen) -> ServerBuilder {
    let mut limits = Limits::default();
    limits.page_items = 10;
    #[expect(deprecated, reason = "clients still try the deprecated features")]
    let server = Server::new(name, "1.0.0").with_logging();
    let server = server.keys(ring(2)).state(seen.clone()).limits(limits);
    resources(prompts(tools(server)))
}

/// The same, built.
pub(crate) fn served(seen: &Seen) -> Server {
    fixture("fixture", seen).build().unwrap()
}

fn tools(server: ServerBuilder) -> ServerBuilder {
    let server = server
        .tool(Tool::new("echo", async |State(seen): State<Seen>, Args(Text { text }): Args<Text>| {
            seen.note("echo");
            text
        }))
        .tool(Tool::new("ask", ask))
        .tool(Tool::new("ask_twice", ask_twice))
        .tool(Tool::new("report", async |cx: Cx| report(&cx)))
        .tool(Tool::new("wait", wait));
    (0..20).fold(server, |server, n| server.tool(Tool::new(format!("more_{n}"), async || "more")))
}

async fn ask(State(seen): State<Seen>, cx: Cx) -> Result<String> {
    let name = cx.ask("name", form::<Name>("Who are you?")).await?;
    seen.note("ask");
    Ok(name.into_accepted().map_or_else(|| "nobody".to_owned(), |Name { name }| format!("Hello, {name}!")))
}

async fn ask_twice(cx: Cx) -> Result<String> {
    let name = cx.ask("name", form::<Name>("Who are you?")).await?.into_accepted();
    let colour = cx.ask("colour", form::<Colour>("What do you like?")).await?.into_accepted();
    Ok(format!(
        "{} likes {}",
        name.map_or_else(String::new, |name| name.name),
        colour.map_or_else(String::new, |it| it.color)
    ))
}

#[expect(deprecated, reason = "clients still try the deprecated features")]
fn report(cx: &Cx) -> &'static str {
    for progress in [1.0, 2.0, 3.0] {
        cx.progress(progress, Some(3.0), Some("on the way"));
    }
    for level in [LoggingLevel::Debug, LoggingLevel::Warning] {
        cx.log(level, Some("fixture"), "a line");
    }
    "done"
}

async fn wait(State(seen): State<Seen>) -> &'static str {
    let mut guard = Guard(seen.clone(), false);
    seen.note("wait");
    seen.0.waiting.send_modify(|waiting| *waiting += 1);
    seen.0.go.notified().await;
    guard.1 = true;
    "waited"
}

fn prompts(server: ServerBuilder) -> ServerBuilder {
    let essay = Prompt::new("essay", async |Args(Text { text }): Args<Text>| format!("Write about {text}."));
    server
        .prompt(essay.complete("text", async |partial: Partial| starting(&partial.value)))
        .prompt(Prompt::new("interview", ask))
}

fn starting(with: &str) -> Vec<&'static str> {
    ["dune", "dubliners", "emma"].into_iter().filter(|title| title.starts_with(with)).collect()
}

fn resources(server: ServerBuilder) -> ServerBuilder {
    let page = async |Vars(Page { book, page }): Vars<Page>| format!("{book}, page {page}");
    server
        .resource(Resource::new("note://one", "one", async |State(seen): State<Seen>| {
            seen.note("note");
            "the first note"
        }))
        .resource(
            Resource::new("note://kept", "kept", async |State(seen): State<Seen>| {
                seen.note("kept");
                "for a while"
            })
            .cache(Caching::public(Duration::from_secs(60))),
        )
        .resource_template(
            ResourceTemplate::new("book://{book}/{page}", "page", page)
                .complete("book", async |partial: Partial| starting(&partial.value)),
        )
}
