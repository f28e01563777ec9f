//! A server in the test's own process, for the calling subcommands to call.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anypod_server::proto::content::{ContentBlock, TextResourceContents};
use anypod_server::proto::logging::LoggingLevel;
use anypod_server::{Args, Cx, Error, Event, Prompt, Resource, Result, Server, State, Tool, form_with_schema, url};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

/// What a hostile server writes: clears the screen, sets the title, colours, goes back.
pub(crate) const HOSTILE: &str = "before\x1b[2J\x1b]0;owned\x07\u{9b}31m\rafter";

/// A server that runs for as long as this lives.
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    gate: Arc<Semaphore>,
    server: Server,
    runtime: tokio::runtime::Runtime,
    _stop: oneshot::Sender<()>,
}

impl Remote {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let gate = Arc::new(Semaphore::new(0));
        let server = build(Arc::clone(&gate));
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        runtime.spawn(server.clone().serve(listener, async {
            let _ = stopped.await;
        }));
        Self { address, gate, server, runtime, _stop: stop }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Lets the tool `wait` go on.
    pub(crate) fn release(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) fn announce(&self, event: Event) {
        self.runtime.block_on(self.server.announce(event));
    }

    pub(crate) fn drain(&self) {
        self.runtime.block_on(self.server.drain());
    }
}

#[expect(deprecated, reason = "servers still log so")]
fn build(gate: Arc<Semaphore>) -> Server {
    Server::new("remote", "1.0.0")
        .state(gate)
        .with_logging()
        .tool(Tool::new("add", add).description("Adds two numbers"))
        .tool(Tool::new("hostile", async || HOSTILE).description("Says what no terminal should hear"))
        .tool(Tool::new("fail", async || Err::<String, _>(Error::tool(format!("broken {HOSTILE}")))))
        .tool(Tool::new("mixed", mixed).description("Answers with content of all kinds"))
        .tool(Tool::new("long", async || "a line\n".repeat(200_000)))
        .tool(Tool::new("wait", wait).description("Reports progress and waits"))
        .tool(Tool::new("log", log).description("Logs"))
        .tool(Tool::new("stay", stay).description("Asks for a stay"))
        .tool(Tool::new("visit", visit).description("Asks to visit a page"))
        .tool(Tool::new("model", model).description("Asks the model"))
        .tool(Tool::new("where", roots).description("Asks for the roots"))
        .resource(
            Resource::new("note://one", "one", async || Ok::<_, Error>(HOSTILE.to_owned())).mime_type("text/plain"),
        )
        .prompt(Prompt::new("greet", greet).description("Greets"))
        .build()
        .unwrap()
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

async fn add(Args(Add { a, b }): Args<Add>) -> String {
    (a + b).to_string()
}

async fn mixed() -> Vec<ContentBlock> {
    vec![
        ContentBlock::text("a text"),
        ContentBlock::image(&[0; 2048], "image/png"),
        ContentBlock::embedded(TextResourceContents::new("note://two", "inside")),
    ]
}

async fn wait(State(gate): State<Arc<Semaphore>>, cx: Cx) -> Result<&'static str> {
    cx.progress(1.0, Some(2.0), Some("half of it"));
    gate.acquire().await.map_err(Error::internal)?.forget();
    Ok("all of it")
}

#[expect(deprecated, reason = "servers still log so")]
async fn log(cx: Cx) -> &'static str {
    cx.log(LoggingLevel::Debug, None, "too little to say");
    cx.log(LoggingLevel::Warning, Some("disk"), HOSTILE);
    "logged"
}

async fn stay(cx: Cx) -> Result<String> {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "title": "Name", "description": "for the booking", "minLength": 2 },
            "nights": { "type": "integer", "minimum": 1, "maximum": 30, "default": 2 },
            "room": { "type": "string", "oneOf": [
                { "const": "s", "title": "Single" }, { "const": "d", "title": "Double" },
            ] },
            "extras": { "type": "array", "items": { "type": "string", "enum": ["tea", "bath", "bike"] } },
            "breakfast": { "type": "boolean" },
        },
        "required": ["name", "nights", "room"],
    });
    let reply = cx.ask("stay", form_with_schema("What shall it be?", schema)).await?;
    Ok(format!("{reply:?}"))
}

async fn visit(cx: Cx) -> Result<String> {
    Ok(format!("{:?}", cx.ask("page", url("Sign in", "http://xn--pple-43d.example/in?x=1")).await?))
}

#[expect(deprecated, reason = "servers still ask")]
async fn model(cx: Cx) -> Result<String> {
    use anypod_server::proto::sampling::{CreateMessageRequestParams, SamplingMessage};
    let params = CreateMessageRequestParams::new(vec![SamplingMessage::user("hello")], 10);
    Ok(cx.ask("model", anypod_server::sample(params)).await?.content.texts().collect())
}

#[expect(deprecated, reason = "servers still ask")]
async fn roots(cx: Cx) -> Result<String> {
    let roots = cx.ask("roots", anypod_server::roots()).await?;
    Ok(roots.into_iter().map(|root| root.uri).collect::<Vec<_>>().join("\n"))
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

async fn greet(Args(Name { name }): Args<Name>) -> String {
    format!("Hello, {name}!")
}
