//! A tool that asks the person before it pays, in a router that has other things to do too.
//!
//! The handler reads as if it waited for the answer. It does not: the question ends the request, and the answer
//! comes with another one, to whichever pod. There the handler runs again from its start, and its journal, which
//! the client has carried sealed, gives back what the steps before the question found.
//!
//! Pods that share this work share a key ring too, see `ServerBuilder::keys`.

use anypod_server::{Args, Cx, Json, Result, Server, State, Tool, form};
use axum::Router;
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Deserialize, JsonSchema)]
struct Refund {
    /// The number of the order
    order: u64,
}

/// What the person is asked. The doc comments become the descriptions of the form's fields.
#[derive(Deserialize, JsonSchema)]
struct Confirm {
    /// Why the money goes back
    reason: Reason,
    /// A line for the customer
    note: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reason {
    /// It arrived broken
    Broken,
    /// It never arrived
    Lost,
}

#[derive(Serialize, JsonSchema)]
struct Receipt {
    /// The number of the payment; none if the money stays
    payment: Option<String>,
    /// What the customer reads
    note: Option<String>,
}

async fn refund(Args(Refund { order }): Args<Refund>, State(shop): State<Shop>, cx: Cx) -> Result<Json<Receipt>> {
    // Runs once. On the pod that goes on after the answer, the journal has the result.
    let order = cx.step("load", || shop.load(order)).await?;
    let question = format!("Refund {} euros for {}?", order.total, order.item);
    let Some(Confirm { reason, note }) = cx.ask("confirm", form(question)).await?.into_accepted() else {
        return Ok(Json(Receipt { payment: None, note: None }));
    };
    let payment = cx.step("pay", || shop.pay(&order, &reason)).await?;
    Ok(Json(Receipt { payment: Some(payment), note }))
}

/// Stands for the clients of a database and a payment service: what calls may share, and nothing that one call
/// leaves behind for the next.
#[derive(Clone, Copy)]
struct Shop;

#[derive(Serialize, Deserialize)]
struct Order {
    number: u64,
    item: String,
    total: u32,
}

/// The model reads this text and can correct itself.
#[derive(Debug, thiserror::Error)]
#[error("there is no order {0}; orders have numbers from 1 to 1000")]
struct NoOrder(u64);

impl Shop {
    async fn load(self, number: u64) -> Result<Order, NoOrder> {
        match number {
            1..=1000 => Ok(Order { number, item: "a kettle".to_owned(), total: 20 + (number % 80) as u32 }),
            _ => Err(NoOrder(number)),
        }
    }

    async fn pay(self, order: &Order, reason: &Reason) -> Result<String> {
        Ok(format!("refund-{}-{reason:?}", order.number))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mcp = Server::new("shop", "1.0.0")
        .state(Shop)
        .tool(Tool::new("refund", refund).description("Pays an order back, once the person has agreed"))
        .build()?;
    let router = Router::new().route("/", get(async || "The shop is open.")).route_service("/mcp", mcp.clone());
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    let stop = async move {
        // Without signals nobody could stop it; if they cannot be caught, it stops at once.
        let _ = tokio::signal::ctrl_c().await;
        // Streams end, and with them their connections, for which axum waits.
        mcp.drain().await;
    };
    Ok(axum::serve(listener, router).with_graceful_shutdown(stop).await?)
}
