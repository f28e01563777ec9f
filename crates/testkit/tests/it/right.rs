//! Servers that are right pass.

use anypod_server::proto::method::Method;
use anypod_testkit::{Check, Client, accept, decline};
use serde_json::{Value, json};

use crate::basket;
use crate::servers::shop;

fn shopper(client: Client) -> Client {
    client.answer("confirm", accept(json!({ "ok": true }))).answer_with("reason", |question| {
        let asked = question["params"]["message"].as_str().unwrap_or_default();
        accept(json!({ "reason": format!("answers {asked}") }))
    })
}

#[tokio::test(start_paused = true)]
async fn a_server_with_something_of_everything_passes() {
    let scenario = async |client: Client| {
        let client = shopper(client);
        client.discover().await?;
        let mut names = Vec::new();
        for tool in client.list_all(Method::ToolsList).await? {
            names.extend(tool["name"].as_str().map(str::to_owned));
        }
        assert_eq!(names, ["refund", "echo", "touch", "one", "two"]);
        for _ in 0..2 {
            client.call_tool("refund", json!({ "order": "A-1" })).await?;
        }
        assert_eq!(client.call_tool("echo", json!({ "order": "née" })).await?.text(), "née");
        assert_eq!(client.prompt("greet", json!({ "order": "you" })).await?.text(), "Greet you");
        assert_eq!(client.read("note://index").await?.text(), "all notes");
        assert_eq!(client.read("note://a").await?.text(), "note a");
        let reference = json!({ "type": "ref/resource", "uri": "note://{name}" });
        let found = client.complete(reference, "name", "an").await?;
        assert_eq!(found.result["completion"]["values"], json!(["ann", "anton"]));
        client.list_all(Method::ResourceTemplatesList).await?;
        assert_eq!(client.read("nothing").await.unwrap_err().refusal().map(|refusal| refusal.code), Some(-32602));
        Ok(())
    };
    Check::new(shop).run(scenario).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_step_runs_once_though_replicas_die_between_the_rounds() {
    let scenario = async |client: Client| {
        let client = shopper(client);
        for payment in 1..=5 {
            let answer = client.call_tool("refund", json!({ "order": "A-1" })).await?;
            assert_eq!(answer.structured()["payment"], json!(payment));
            assert_eq!(answer.served_by.len(), 3);
            // The reason was asked after the second step, which saw what the first had done.
            let reason = format!("answers Why, payment {payment}?");
            assert_eq!(answer.structured()["reason"], Value::from(reason));
        }
        Ok(())
    };
    Check::new(shop).seeds(0..32).run(scenario).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_no_is_told_apart_on_every_replica() {
    let scenario = async |client: Client| {
        let answer = client.answer("confirm", decline()).call_tool("refund", json!({ "order": "A-1" })).await?;
        assert!(answer.is_error());
        assert_eq!(answer.text(), "not refunded");
        Ok(())
    };
    Check::new(shop).run(scenario).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn changes_reach_listeners_on_every_replica() {
    let scenario = async |client: Client| {
        let filter = json!({ "resourceSubscriptions": ["note://a"] });
        let (mut one, mut two) = (client.listen(filter.clone()).await?, client.listen(filter).await?);
        if client.fleet().replicas() > 1 {
            assert_ne!(one.served_by(), two.served_by());
        }
        client.call_tool("touch", json!({})).await?;
        for listener in [&mut one, &mut two] {
            let change = listener.next().await?.unwrap_or_default();
            assert_eq!(change["method"], "notifications/resources/updated");
            assert_eq!(change["params"]["uri"], "note://a");
        }
        Ok(())
    };
    Check::new(shop).run(scenario).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_at_the_same_time_are_compared_one_by_one() {
    let scenario = async |client: Client| {
        let client = shopper(client);
        let order = |name| client.call_tool("echo", json!({ "order": name }));
        let refund = client.call_tool("refund", json!({ "order": "A-1" }));
        let (refund, a, b) = tokio::join!(refund, order("a"), order("b"));
        refund?;
        assert_eq!((a?.text(), b?.text()), ("a", "b"));
        Ok(())
    };
    Check::new(shop).run(scenario).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_repaired_baskets_pass() {
    Check::new(basket::stored).run(basket::shop_by_name).await.unwrap();
    Check::new(basket::carried).run(basket::shop_by_hand).await.unwrap();
}
