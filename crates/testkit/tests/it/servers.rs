//! A server that is right, with something of everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anypod_server::{
    Args, BuildError, Cx, Error, Event, Json, Limits, Partial, Prompt, Reply, Resource, ResourceTemplate, Server,
    ServerBuilder, State, Tool, Vars, form,
};
use anypod_testkit::Replica;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// How often money moved.
#[derive(Clone, Default)]
pub(crate) struct Payments(pub(crate) Arc<AtomicU32>);

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Order {
    pub(crate) order: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Receipt {
    order: String,
    payment: u32,
    reason: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Confirm {
    ok: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Reason {
    reason: String,
}

/// Asks twice, with an effect before each question.
async fn refund(
    Args(Order { order }): Args<Order>,
    State(payments): State<Payments>,
    cx: Cx,
) -> Result<Json<Receipt>, Error> {
    cx.progress(1.0, Some(2.0), Some("reserving"));
    let reserve = async || Ok::<_, Error>(payments.0.fetch_add(1, Ordering::SeqCst) + 1);
    let payment = cx.step("reserve", reserve).await?;
    let confirm = cx.ask("confirm", form::<Confirm>(format!("Refund {order} as payment {payment}?"))).await?;
    if !matches!(confirm, Reply::Accepted(Confirm { ok: true })) {
        return Err(Error::tool("not refunded"));
    }
    let logged = cx.step("log", async || Ok::<_, Error>(payments.0.load(Ordering::SeqCst))).await?;
    let reason = cx.ask("reason", form::<Reason>(format!("Why, payment {logged}?"))).await?;
    let reason = reason.into_accepted().map(|Reason { reason }| reason).unwrap_or_default();
    Ok(Json(Receipt { order, payment, reason }))
}

/// A prompt that asks first.
async fn confirmed(cx: Cx) -> Result<&'static str, Error> {
    let confirm = cx.ask("confirm", form::<Confirm>("Really?")).await?;
    Ok(if confirm.accepted() { "yes" } else { "no" })
}

async fn echo(Args(Order { order }): Args<Order>) -> String {
    order
}

async fn touch(cx: Cx) -> &'static str {
    cx.server().announce(Event::ResourceUpdated { uri: "note://a".to_owned() }).await;
    "touched"
}

async fn note(Vars(Note { name }): Vars<Note>) -> String {
    format!("note {name}")
}

#[derive(Deserialize, JsonSchema)]
struct Note {
    name: String,
}

async fn names(partial: Partial) -> Vec<String> {
    ["ann", "anton", "bo"].into_iter().filter(|name| name.starts_with(&partial.value)).map(str::to_owned).collect()
}

/// Two tools to a page, so that three pages are turned.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.page_items = 2;
    limits
}

/// All of it, without what the fleet gives.
pub(crate) fn builder(payments: Payments) -> ServerBuilder {
    let mirrored = json!({
        "type": "object",
        "properties": { "order": { "type": "string", "x-mcp-header": "Order" } },
        "required": ["order"],
    });
    Server::new("shop", "1.0.0")
        .limits(limits())
        .state(payments)
        .tool(Tool::new("refund", refund))
        .tool(Tool::new("echo", echo).input_schema(mirrored))
        .tool(Tool::new("touch", touch))
        .tool(Tool::new("one", async || "1"))
        .tool(Tool::new("two", async || "2"))
        .prompt(Prompt::new("confirmed", confirmed))
        .prompt(Prompt::new("greet", async |Args(Order { order }): Args<Order>| format!("Greet {order}")))
        .resource(Resource::new("note://index", "index", async || "all notes"))
        .resource_template(ResourceTemplate::new("note://{name}", "note", note).complete("name", names))
}

/// A replica of it. What it remembers stands outside.
pub(crate) fn shop(replica: &Replica) -> Result<Server, BuildError> {
    let payments = replica.shared(Payments::default);
    replica.configure(builder(Payments::clone(&payments))).build()
}

/// Pays when the person agrees, once for each agreement.
async fn pay(cx: Cx) -> Result<&'static str, Error> {
    let confirm = cx.ask("confirm", form::<Confirm>("Pay?")).await?;
    Ok(if confirm.accepted() { "paid" } else { "kept" })
}

/// A server whose `requestState` works once; the caller says what remembers that.
pub(crate) fn single() -> ServerBuilder {
    Server::new("single", "1.0.0").tool(Tool::new("pay", pay).single_use())
}
