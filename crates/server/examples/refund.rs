//! A handler that asks the user in the middle of its work and pays once. Any pod can take up the next round.

use anypod_server::{Args, Cx, Reply, Result, Server, State, Tool, form};

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

/// Stands for a database and a payment provider, which all pods share.
#[derive(Clone)]
struct Shop;

impl Shop {
    async fn total(&self, order: &str) -> Result<u32> {
        Ok(10 * u32::try_from(order.len())?)
    }

    async fn pay_back(&self, order: &str, reason: &str) -> Result<String> {
        Ok(format!("Refunded order {order}: {reason}"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tool = Tool::new("refund", refund).description("Refunds an order, after asking");
    let server = Server::new("shop", "1.0.0").state(Shop).tool(tool).build()?;
    Ok(server.listen("127.0.0.1:8080").await?)
}
