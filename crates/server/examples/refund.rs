//! A tool that asks the person before it pays, in a router that has other things to do too.
//!
//! The handler reads as if it waited for the answer. It does not: the question ends the request, and the answer
//! comes with another one, to whichever pod. There the handler runs again from its start, and its journal, which
//! the client has carried sealed, gives back what the steps before the question found.
//!
//! Pods that share this work share a key ring too, see `ServerBuilder::keys`.

use anypod_server::{Args, Cx, Reply, Result, Server, State, Tool, form};
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Refund {
    order: String,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Confirm {
    /// Why the money goes back
    reason: String,
}

async fn refund(Args(Refund { order }): Args<Refund>, State(shop): State<Shop>, cx: Cx) -> Result<String> {
    let total = cx.step("load", || shop.total(&order)).await?;
    let reply = cx.ask("confirm", form::<Confirm>(format!("Refund {total} €?"))).await?;
    let Reply::Accepted(Confirm { reason }) = reply else {
        return Ok("Nothing was refunded.".to_owned());
    };
    cx.step("pay", || shop.pay_back(&order, &reason)).await
}

/// Stands for the clients of a database and a payment service: what calls may share, and nothing that one call
/// leaves behind for the next.
#[derive(Clone, Copy)]
struct Shop;

/// The model reads this text and can correct itself.
#[derive(Debug, thiserror::Error)]
#[error("there is no order `{0}`; their names begin with `order-`")]
struct NoOrder(String);

impl Shop {
    async fn total(self, order: &str) -> Result<u32, NoOrder> {
        let name = order.strip_prefix("order-").ok_or_else(|| NoOrder(order.to_owned()))?;
        Ok(name.bytes().map(u32::from).sum())
    }

    async fn pay_back(self, order: &str, reason: &str) -> Result<String> {
        Ok(format!("Paid back {order}: {reason}"))
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
