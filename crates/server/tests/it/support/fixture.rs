//! The server under test: a little of everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anypod_server::proto::logging::LoggingLevel;
use anypod_server::{
    Args, Caching, Cx, Error, Json, Partial, Prompt, Resource, ResourceTemplate, Result, Server, ServerBuilder, State,
    Tool, Vars, form,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{World, ring};

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Text {
    pub(crate) text: String,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Terms {
    a: i64,
    b: i64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Topic {
    /// What it is about.
    topic: String,
    tone: Option<Tone>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Tone {
    Warm,
    Cold,
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    book: String,
    page: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

/// A builder with a virtual world and a ring that others share.
pub(crate) fn base(world: &World) -> ServerBuilder {
    Server::new("testing", "1.2.3").outside(world.outside()).keys(ring())
}

/// The server under test.
pub(crate) fn server() -> Server {
    full(&World::default()).build().expect("it builds")
}

/// Its builder.
pub(crate) fn full(world: &World) -> ServerBuilder {
    prompts(resources(tools(base(world))))
}

fn tools(builder: ServerBuilder) -> ServerBuilder {
    #[expect(deprecated, reason = "deprecated features work until the specification removes them")]
    let builder = builder.with_logging();
    builder
        .state(Arc::new(AtomicU64::new(0)))
        .tool(Tool::new("echo", async |Args(Text { text }): Args<Text>| text).description("Says it again"))
        .tool(Tool::new("add", async |Args(Terms { a, b }): Args<Terms>| Json(Sum { sum: a + b })))
        .tool(Tool::new("boom", async || -> &'static str { panic!("boom") }))
        .tool(Tool::new("fail", async || -> Result<&'static str> { Err(Error::tool("it did not work")) }))
        .tool(Tool::new("secret", async || -> Result<&'static str> { Err(Error::internal("the password is 1234")) }))
        .tool(Tool::new("protest", async || -> Result<&'static str> {
            Err(Error::protocol(1001, "not today").with_data(json!({ "day": "Friday" })))
        }))
        .tool(Tool::new("count", async |State(count): State<Arc<AtomicU64>>| {
            (count.fetch_add(1, Ordering::Relaxed) + 1).to_string()
        }))
        .tool(Tool::new("who", async |cx: Cx| {
            cx.client_info().map_or_else(|| "nobody".to_owned(), |client| format!("{} {}", client.name, client.version))
        }))
        .tool(Tool::new("report", async |cx: Cx| report(&cx)))
        .tool(Tool::new("ask", ask))
        .tool(Tool::new("route", async || "routed").input_schema(routed()))
        .tool(Tool::new("liar", async || Json(json!({ "sum": "many" }))).output_schema(
            json!({ "type": "object", "properties": { "sum": { "type": "integer" } }, "required": ["sum"] }),
        ))
}

/// Reports progress and logs at every level.
#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
fn report(cx: &Cx) -> &'static str {
    for progress in [1.0, 2.0, 1.5, 2.0, 3.0] {
        cx.progress(progress, Some(3.0), Some("on the way"));
    }
    for level in [LoggingLevel::Debug, LoggingLevel::Info, LoggingLevel::Warning, LoggingLevel::Emergency] {
        cx.log(level, Some("fixture"), "a line");
    }
    "done"
}

async fn ask(cx: Cx) -> Result<String> {
    let name = cx.ask("name", form::<Name>("Who are you?")).await?;
    Ok(name.into_accepted().map_or_else(|| "nobody".to_owned(), |answer| answer.name))
}

fn routed() -> Value {
    json!({
        "type": "object",
        "properties": {
            "shard": { "type": "integer", "x-mcp-header": "Shard" },
            "region": { "type": "string", "x-mcp-header": "Region" },
            "dry": { "type": "boolean", "x-mcp-header": "Dry" },
        },
    })
}

fn resources(builder: ServerBuilder) -> ServerBuilder {
    builder
        .resource(Resource::new("note://one", "one", async || "the first note").mime_type("text/plain"))
        .resource(
            Resource::new("note://bytes", "bytes", async || vec![0_u8, 159, 146, 150])
                .cache(Caching::public(Duration::from_secs(60))),
        )
        .resource(Resource::new("note://broken", "broken", async || -> Result<String> {
            Err(Error::tool("the disk of user bob is full"))
        }))
        .resource(Resource::new("note://asks", "asks", ask).cache(Caching::public(Duration::from_secs(60))))
        .resource_template(
            ResourceTemplate::new("book://{book}/{page}", "page", async |Vars(Page { book, page }): Vars<Page>| {
                format!("{book}, page {page}")
            })
            .complete("book", async |partial: Partial| {
                ["dune", "dubliners", "emma"]
                    .into_iter()
                    .filter(|title| title.starts_with(&partial.value))
                    .collect::<Vec<_>>()
            }),
        )
}

fn prompts(builder: ServerBuilder) -> ServerBuilder {
    builder
        .prompt(
            Prompt::new("essay", async |Args(Topic { topic, tone }): Args<Topic>| {
                format!("Write about {topic}, {tone:?}.")
            })
            .complete("topic", async |partial: Partial| {
                (0..150).map(|n| format!("{}{n}", partial.value)).collect::<Vec<_>>()
            }),
        )
        .prompt(Prompt::new("interview", ask))
}
