//! Servers that are wrong are caught, and the report says where and how.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anypod_server::proto::method::Method;
use anypod_server::proto::tools::ToolAnnotations;
use anypod_server::{BuildError, InMemory, InProcess, Resource, Server, State, Tool};
use anypod_testkit::{Check, CheckError, Client, Divergence, Fleet, Replica, SEEDS, Schedule, Served, Step, accept};
use serde_json::json;

use crate::basket;
use crate::servers::{Payments, builder, shop, single};

fn report(outcome: Result<(), CheckError>) -> Divergence {
    let error = outcome.expect_err("the server is wrong");
    error.divergence().unwrap_or_else(|| panic!("no divergence: {error}")).clone()
}

#[tokio::test(start_paused = true)]
async fn a_map_per_process_is_caught_in_round_robin_and_the_report_says_where() {
    let check = Check::new(basket::forgetful).schedules([Schedule::RoundRobin]);
    let report = report(check.run(basket::shop_by_name).await);
    assert_eq!(report.schedule(), Schedule::RoundRobin);
    assert_eq!(report.step(), Step { call: 3, part: 1 });
    assert_eq!(report.served_by(), Served { replica: 2, life: 1 });
    assert_eq!(report.served_before(), Some(Served { replica: 1, life: 1 }));
    assert!(report.difference().lines().any(|line| line.starts_with('-') && line.contains("\"bread\"")));
    assert!(report.hint().contains("is state kept in the process?"));
    let text = report.to_string();
    for part in [
        "replica 2 answers otherwise (3 replicas, round robin)",
        r#"step 3.1: tools/call {"name":"add","arguments":{"basket":"mine","item":"milk"}}"#,
        r#"2.1 tools/call {"name":"add","arguments":{"basket":"mine","item":"bread"}} -> replica 1"#,
        r#"    -           "bread","#,
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_map_per_process_is_caught_under_every_default_seed() {
    for (seed, replicas) in SEEDS.into_iter().flat_map(|seed| [(seed, 2), (seed, 3), (seed, 5)]) {
        let check = Check::new(basket::forgetful).replicas(replicas).seeds([seed]);
        let report = report(check.run(basket::shop_by_name).await);
        assert_eq!(report.schedule(), Schedule::Seeded(seed));
        assert!(report.difference().contains("bread"), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_gives_the_same_report_each_time() {
    let run = async |seed| {
        let check = Check::new(basket::forgetful).seeds([seed]);
        report(check.run(basket::shop_by_name).await).to_string()
    };
    let reports = [run(7).await, run(7).await];
    assert_eq!(reports[0], reports[1]);
    assert!(reports[0].contains("seed 7"), "{}", reports[0]);
}

/// The factory ignores the fleet's ring, so that each process seals with its own.
fn ringless(replica: &Replica) -> Result<Server, BuildError> {
    let payments = replica.shared(Payments::default);
    builder(Payments::clone(&payments)).outside(replica.outside()).build()
}

#[tokio::test(start_paused = true)]
async fn cursors_that_another_replica_cannot_open_are_caught() {
    let scenario = async |client: Client| {
        client.list_all(Method::ToolsList).await?;
        Ok(())
    };
    for schedule in std::iter::once(Schedule::RoundRobin).chain(SEEDS.map(Schedule::Seeded)) {
        let report = report(Check::new(ringless).schedules([schedule]).run(scenario).await);
        assert_eq!(report.step(), Step { call: 1, part: 2 });
        assert!(report.hint().starts_with("a token that one replica sealed"), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn rounds_that_another_replica_cannot_open_are_caught() {
    let scenario = async |client: Client| {
        // A prompt, as before a tool is called the tools are listed, which would fail first.
        client.answer("confirm", accept(json!({ "ok": true }))).prompt("confirmed", json!({})).await?;
        Ok(())
    };
    for schedule in std::iter::once(Schedule::RoundRobin).chain(SEEDS.map(Schedule::Seeded)) {
        let report = report(Check::new(ringless).schedules([schedule]).run(scenario).await);
        assert_eq!(report.step(), Step { call: 1, part: 2 });
        assert!(report.hint().starts_with("a token that one replica sealed"), "{report}");
    }
}

/// A list in the order of a hash map, which every process and every life has its own of.
fn shuffled(replica: &Replica) -> Result<Server, BuildError> {
    let names: HashMap<String, ()> = (0..16).map(|number| (format!("tool-{number}"), ())).collect();
    let tools = names.into_keys().map(|name| Tool::new(name, async || "here"));
    replica.configure(tools.fold(Server::new("shuffled", "1.0.0"), |server, tool| server.tool(tool))).build()
}

#[tokio::test(start_paused = true)]
async fn a_list_in_another_order_is_caught() {
    let scenario = async |client: Client| {
        client.list_all(Method::ToolsList).await?;
        Ok(())
    };
    for schedule in std::iter::once(Schedule::RoundRobin).chain(SEEDS.map(Schedule::Seeded)) {
        let report = report(Check::new(shuffled).schedules([schedule]).run(scenario).await);
        assert!(report.hint().starts_with("only the order differs"), "{report}");
    }
}

/// Answers with how many calls the process has served, and says that it changes nothing.
fn counting(replica: &Replica) -> Result<Server, BuildError> {
    let count = async |State(count): State<Arc<AtomicU32>>| count.fetch_add(1, Ordering::Relaxed).to_string();
    let tool = Tool::new("count", count).annotations(ToolAnnotations::default().read_only(true));
    let life = Arc::new(AtomicU32::new(u32::try_from(replica.index()).unwrap_or_default()));
    let server = Server::new("counting", "1.0.0").state(life).tool(tool);
    replica.configure(server.resource(Resource::new("count://", "count", count))).build()
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_says_it_changes_nothing_is_asked_of_every_replica() {
    let scenario = async |client: Client| {
        client.call_tool("count", json!({})).await?;
        Ok(())
    };
    for seed in SEEDS {
        let report = report(Check::new(counting).seeds([seed]).run(scenario).await);
        assert!(report.difference().contains("text"), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_notices_by_itself_that_its_replicas_disagree() {
    let fleet = Fleet::scheduled(3, Schedule::Seeded(1), counting).unwrap();
    let error = fleet.client().read("count://").await.unwrap_err();
    assert!(error.to_string().contains("answers the same request"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_differs_by_nature_can_be_left_out() {
    let scenario = async |client: Client| {
        client.call_tool("count", json!({})).await?;
        client.read("count://").await?;
        Ok(())
    };
    let check = Check::new(counting).ignore("/result/content/0/text").ignore("/result/contents/*/text");
    check.run(scenario).await.unwrap();
}

/// Remembers used tokens in each process by itself.
fn twice(replica: &Replica) -> Result<Server, BuildError> {
    let once = InMemory::new(100);
    replica.configure(single()).once(once).build()
}

#[tokio::test(start_paused = true)]
async fn a_token_that_works_once_on_each_replica_is_caught() {
    let scenario = async |client: Client| {
        let mut params = json!({ "name": "pay", "arguments": {} });
        let round = client.request("tools/call", params.clone()).await?;
        params["requestState"] = round.result["requestState"].clone();
        params["inputResponses"] = json!({ "confirm": accept(json!({ "ok": true })) });
        client.request("tools/call", params.clone()).await?;
        client.request("tools/call", params).await.unwrap_err();
        Ok(())
    };
    let wrong = report(Check::new(twice).run(scenario).await);
    assert!(wrong.difference().contains("paid"), "{wrong}");
    let right = |replica: &Replica| replica.configure(single()).once(replica.once()).build();
    Check::new(right).run(scenario).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_scenario_that_fails_by_itself_is_told_from_a_replica_at_fault() {
    let scenario = async |client: Client| {
        client.call_tool("missing", json!({})).await?;
        Ok(())
    };
    let error = Check::new(shop).run(scenario).await.unwrap_err();
    assert!(matches!(error, CheckError::Scenario { .. }), "{error}");
    assert!(error.to_string().starts_with("the scenario failed (on a single replica): replica 0 answered 400"));
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "the test's own mistake")]
async fn an_assertion_that_fails_everywhere_stays_a_panic() {
    let scenario = async |_: Client| panic!("the test's own mistake");
    let _ = Check::new(shop).run(scenario).await;
}

#[tokio::test(start_paused = true)]
async fn a_report_goes_before_the_assertion_that_follows_from_it() {
    let scenario = async |client: Client| {
        basket::shop_by_name(client.clone()).await?;
        let basket = client.call_tool("add", json!({ "basket": "mine", "item": "salt" })).await?;
        assert_eq!(basket.structured()["items"], json!(["bread", "milk", "salt"]));
        Ok(())
    };
    assert_eq!(report(Check::new(basket::forgetful).run(scenario).await).step(), Step { call: 3, part: 1 });
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "nothing would be checked")]
async fn a_check_that_would_check_nothing_panics() {
    let _ = Check::new(shop).seeds([]).run(async |_: Client| Ok(())).await;
}

/// Changes stay in the process that made them.
fn deaf(replica: &Replica) -> Result<Server, BuildError> {
    let payments = replica.shared(Payments::default);
    replica.configure(builder(Payments::clone(&payments))).bus(InProcess::default()).build()
}

#[tokio::test(start_paused = true)]
async fn a_change_that_listeners_on_other_replicas_never_hear_of_is_caught() {
    let scenario = async |client: Client| {
        let mut listener = client.listen(json!({ "resourceSubscriptions": ["note://a"] })).await?;
        client.call_tool("touch", json!({})).await?;
        listener.next().await?;
        Ok(())
    };
    let report = report(Check::new(deaf).schedules([Schedule::RoundRobin]).run(scenario).await);
    assert_eq!((report.step(), report.served_by().replica), (Step { call: 1, part: 2 }, 0));
    assert!(report.difference().contains("+ \"nothing came\""), "{report}");
    assert!(report.hint().contains("share the bus"), "{report}");
}
