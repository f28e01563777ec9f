//! One of several pods that share a store: tools whose calls are tasks, and resources that change.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use anypod_server::proto::seal::{KEY_LEN, Ring};
use anypod_server::store::{Millis, Options as Bounds, open};
use anypod_server::{Args, AsTask, Cx, Event, ResourceTemplate, Server, Tasks, Tool, Vars, form};
use clap::Parser;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// Where to listen, on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// The store's address.
    #[arg(long)]
    store: String,
    /// How many tasks may run here at once, if not as many as by default.
    #[arg(long)]
    workers: Option<usize>,
    /// How long clients should wait between two looks, in ms.
    #[arg(long, default_value_t = 100)]
    poll: u64,
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    /// What to say back, or what has changed.
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Go {
    /// Whether to go on.
    go: bool,
}

/// One recorded step.
async fn step(Args(Text { text }): Args<Text>, cx: Cx) -> anypod_server::Result<String> {
    cx.step("say", async || Ok::<_, std::fmt::Error>(text)).await
}

/// Asks, and so is at rest until somebody answers.
async fn rest(cx: Cx) -> anypod_server::Result<String> {
    let go = cx.ask("go", form::<Go>("Go on?")).await?.into_accepted();
    Ok(format!("{}", go.is_some_and(|go| go.go)))
}

/// Says that a resource has changed, or the list of tools if none is named.
async fn touch(Args(Text { text }): Args<Text>, cx: Cx) -> String {
    let event = match text.is_empty() {
        true => Event::ToolsChanged,
        false => Event::ResourceUpdated { uri: text },
    };
    cx.server().announce(event).await;
    "told".to_owned()
}

#[derive(Deserialize, JsonSchema)]
struct Item {
    name: String,
}

async fn item(Vars(Item { name }): Vars<Item>) -> String {
    name
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::parse();
    let store = open(&options.store, Bounds::default(), now).await?;
    let tasks = Tasks::new(Arc::clone(&store)).poll(Duration::from_millis(options.poll));
    let tasks = options.workers.into_iter().fold(tasks, Tasks::workers);
    let server = Server::new("tasks", "1.0.0")
        .keys(Ring::from_keys([7; KEY_LEN], []))
        .replicas(3)
        .store(store)
        .extension(tasks)
        .tool(Tool::new("step", step).task(AsTask::always()))
        .tool(Tool::new("rest", rest).task(AsTask::always()))
        .tool(Tool::new("touch", touch))
        .resource_template(ResourceTemplate::new("bench://{name}", "item", item))
        .build()?;
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    Ok(server.serve(listener, std::future::pending()).await?)
}
