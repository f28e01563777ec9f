//! Servers that are wrong are caught, and the report says where and how.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anypod_server::proto::method::Method;
use anypod_server::proto::tools::ToolAnnotations;
use anypod_server::{BuildError, InMemory, Resource, Server, State, Tool};
use anypod_testkit::{Check, CheckError, Client, Divergence, Replica, SEEDS, Schedule, Served, Step, accept};
use serde_json::json;

use crate::basket;
use crate::servers::{Payments, builder, shop};

fn report(outcome: Result<(), CheckError>) -> Divergence {
    let error = outcome.expect_err("the server is wrong");
    error.divergence().unwrap_or_else(|| panic!("no divergence: {error}")).clone()
}

#[tokio::test(start_paused = true)]
async fn a_map_per_process_is_caught_in_round_robin_and_the_report_says_where() {
    let check = Check::new(basket::forgetful).seeds([]);
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
        r#"step 3.1: tools/call {"arguments":{"basket":"mine","item":"milk"},"name":"add"}"#,
        r#"2.1 tools/call {"arguments":{"basket":"mine","item":"bread"},"name":"add"} -> replica 1"#,
        r#"    -           "bread","#,
    ] {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

/// Round robin comes first and would hide what a seed alone finds, so the seeds run a server that only fails
/// where round robin does not go: the replica of the request before always remembers.
async fn under(seed: u64, replicas: usize) -> Divergence {
    let fleet = anypod_testkit::Fleet::scheduled(replicas, Schedule::Seeded(seed), basket::forgetful).unwrap();
    let reference = anypod_testkit::Fleet::new(1, basket::forgetful).unwrap();
    let _ = (fleet, reference);
    report(Check::new(basket::forgetful).replicas(replicas).seeds([seed]).run(basket::shop_by_name).await)
}
