//! Legacy clients of a fleet: one session, served by all replicas.

use anypod_server::proto::method::{ClientMethod, Method};
use anypod_server::proto::version::Version;
use anypod_server::{BuildError, Server};
use anypod_testkit::{Check, Client, Fleet, Replica, accept};
use serde_json::{Value, json};

use crate::servers::{Payments, builder, shop};

fn shopper(client: Client) -> Client {
    client.answer_every(ClientMethod::Elicit, |question| {
        let message = question["params"]["message"].as_str().unwrap_or_default();
        accept(if message.starts_with("Why") { json!({ "reason": message }) } else { json!({ "ok": true }) })
    })
}

#[tokio::test(start_paused = true)]
async fn a_session_is_served_by_every_replica_in_every_revision() {
    for version in Version::LEGACY {
        let scenario = async |client: Client| {
            let client = shopper(client).legacy(version).await?;
            assert_eq!(client.version(), version);
            client.request("ping", json!({})).await?;
            assert_eq!(client.list_all(Method::ToolsList).await?.len(), 5);
            // The first revision with sessions had no questions to the person.
            if version > Version::V2025_03_26 {
                let answer = client.call_tool("refund", json!({ "order": "A-1" })).await?;
                let receipt: Value = serde_json::from_str(answer.text())?;
                assert_eq!(receipt["reason"], "Why, payment 1?");
                assert_eq!(answer.notifications[0]["params"]["message"], "reserving");
            }
            assert_eq!(client.prompt("greet", json!({ "order": "you" })).await?.text(), "Greet you");
            assert_eq!(client.read("note://a").await?.text(), "note a");
            Ok(())
        };
        Check::new(shop).run(scenario).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_stream_of_a_session_hears_what_happens_on_other_replicas() {
    let fleet = Fleet::new(3, shop).unwrap();
    let client = fleet.client().legacy(Version::V2025_11_25).await.unwrap();
    let mut listener = client.listen().await.unwrap();
    client.request("resources/subscribe", json!({ "uri": "note://a" })).await.unwrap();
    let touched = client.call_tool("touch", json!({})).await.unwrap();
    assert_ne!(touched.served_by[0].replica, listener.served_by().replica);
    let change = listener.next().await.unwrap().unwrap();
    assert_eq!(change["method"], "notifications/resources/updated");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_ended_is_unknown_on_every_replica() {
    let fleet = Fleet::new(3, shop).unwrap();
    let client = fleet.client().legacy(Version::V2025_11_25).await.unwrap();
    client.end().await.unwrap();
    for _ in 0..3 {
        let error = client.request("ping", json!({})).await.unwrap_err();
        assert_eq!(error.refusal().map(|refusal| refusal.status.as_u16()), Some(404), "{error}");
    }
}

fn ringless(replica: &Replica) -> Result<Server, BuildError> {
    let payments = replica.shared(Payments::default);
    builder(Payments::clone(&payments)).outside(replica.outside()).build()
}

#[tokio::test(start_paused = true)]
async fn sessions_that_another_replica_does_not_know_are_caught() {
    let scenario = async |client: Client| {
        client.legacy(Version::V2025_11_25).await?.request("ping", json!({})).await?;
        Ok(())
    };
    let error = Check::new(ringless).run(scenario).await.unwrap_err();
    let report = error.divergence().unwrap();
    assert!(report.difference().contains("404"), "{report}");
    assert!(report.hint().starts_with("a token that one replica sealed"), "{report}");
}
