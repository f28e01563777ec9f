//! A fleet by itself: who serves what, death, and time.

use std::time::Duration;

use anypod_server::proto::seal::UnixSeconds;
use anypod_server::{BuildError, Event, Outside, Server, State, Tool};
use anypod_testkit::{Broken, Fleet, Replica, START, Schedule, Served};
use serde_json::json;

use crate::servers::shop;

fn numbers(served: &[Served]) -> Vec<usize> {
    served.iter().map(|served| served.replica).collect()
}

async fn served(fleet: &Fleet, times: usize) -> Vec<usize> {
    let client = fleet.client();
    let mut replicas = Vec::new();
    for _ in 0..times {
        replicas.extend(numbers(&client.discover().await.expect("discover is always answered").served_by));
    }
    replicas
}

#[tokio::test(start_paused = true)]
async fn requests_go_round() {
    assert_eq!(served(&Fleet::new(3, shop).unwrap(), 5).await, [0, 1, 2, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_fixed_schedule_stays_where_it_is() {
    assert_eq!(served(&Fleet::scheduled(3, Schedule::Fixed(2), shop).unwrap(), 3).await, [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_replica_breaks_its_streams_and_another_takes_its_place() {
    let fleet = Fleet::new(2, shop).unwrap();
    let mut listener = fleet.client().listen(json!({ "toolsListChanged": true })).await.unwrap();
    assert_eq!(listener.honoured(), &json!({ "toolsListChanged": true }));
    let replica = listener.served_by().replica;
    fleet.kill(replica).unwrap();
    assert_eq!(listener.next().await, Err(Broken::Died));
    fleet.client().discover().await.unwrap();
    let answer = fleet.client().discover().await.unwrap();
    assert_eq!(answer.served_by, [Served { replica, life: 2 }]);
}

#[tokio::test(start_paused = true)]
async fn a_seed_kills_no_replica_with_an_open_stream() {
    let fleet = Fleet::scheduled(2, Schedule::Seeded(3), shop).unwrap();
    let client = fleet.client();
    let mut listener = client.listen(json!({ "toolsListChanged": true })).await.unwrap();
    let mut lives = Vec::new();
    for _ in 0..20 {
        lives.extend(client.discover().await.unwrap().served_by);
    }
    assert!(lives.iter().any(|served| served.life > 1), "{lives:?}");
    fleet.server(1 - listener.served_by().replica).announce(Event::ToolsChanged).await;
    let change = listener.next().await.unwrap().unwrap();
    assert_eq!(change["method"], "notifications/tools/list_changed");
}

#[tokio::test(start_paused = true)]
async fn a_drained_replica_ends_its_streams_with_a_result() {
    let fleet = Fleet::new(1, shop).unwrap();
    let mut listener = fleet.client().listen(json!({ "toolsListChanged": true })).await.unwrap();
    fleet.server(0).announce(Event::ToolsChanged).await;
    let (drained, ()) = tokio::join!(listener.next(), async {
        let server = fleet.server(0);
        let _ = tokio::time::timeout(Duration::ZERO, server.drain()).await;
    });
    assert_eq!(drained.unwrap().unwrap()["method"], "notifications/tools/list_changed");
    assert_eq!(listener.next().await.unwrap().unwrap()["result"]["resultType"], "complete");
    assert_eq!(listener.next().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn states_expire_when_time_passes() {
    let fleet = Fleet::new(2, shop).unwrap();
    let client = fleet.client();
    let round = client.request("prompts/get", json!({ "name": "confirmed" })).await.unwrap();
    let next = json!({ "name": "confirmed", "requestState": round.result["requestState"] });
    fleet.advance(Duration::from_secs(3599)).await;
    client.request("prompts/get", next.clone()).await.unwrap();
    fleet.advance(Duration::from_secs(2)).await;
    assert_eq!(client.request("prompts/get", next).await.unwrap_err().refusal().unwrap().code, -32602);
}

/// Tells the time.
fn clock(replica: &Replica) -> Result<Server, BuildError> {
    let now = async |State(outside): State<Outside>| outside.now().0.to_string();
    let server = Server::new("clock", "1.0.0").state(replica.outside()).tool(Tool::new("now", now));
    replica.configure(server).build()
}

#[tokio::test(start_paused = true)]
async fn all_replicas_have_the_same_time() {
    let fleet = Fleet::new(2, clock).unwrap();
    let client = fleet.client();
    fleet.advance(Duration::from_secs(5)).await;
    for _ in 0..2 {
        let now = client.call_tool("now", json!({})).await.unwrap();
        assert_eq!(now.text(), UnixSeconds(START.0 + 5).0.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_cannot_be_built_is_named() {
    let bad = |replica: &Replica| match replica.index() {
        1 => Err("no database".to_owned()),
        _ => shop(replica).map_err(|error| error.to_string()),
    };
    assert_eq!(Fleet::new(2, bad).unwrap_err().to_string(), "replica 1 cannot be built: no database");
}
