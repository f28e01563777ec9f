//! Results that may be kept: asked for once, whoever wants them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anypod_gateway::config::{Effect, EraChoice, Rule};
use anypod_server::{Caching, Resource, Server};
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::watch;

use crate::support::{Fleet, Pod, Seen, Sent, config, fixture, modern, soon, upstream};

/// Where reads wait until all of them are let through.
#[derive(Default)]
struct Gate {
    reached: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Gate {
    async fn pass(&self) -> &'static str {
        self.reached.send_modify(|reached| *reached += 1);
        soon(self.open.subscribe().wait_for(|open| *open)).await.unwrap();
        "slow"
    }

    fn reached(&self) -> usize {
        *self.reached.borrow()
    }
}

fn slow(gate: &Arc<Gate>, caching: Caching) -> Server {
    let gate = Arc::clone(gate);
    let read = move || {
        let gate = Arc::clone(&gate);
        async move { gate.pass().await }
    };
    fixture("slow", &Seen::default()).resource(Resource::new("slow://one", "one", read).cache(caching)).build().unwrap()
}

/// Twenty reads at once, by clients of both eras.
async fn read(fleet: &Fleet, uri: &str, gate: &Gate) {
    let opened = Sent::initialize().to(fleet.at(0)).await;
    let session = opened.header("mcp-session-id").unwrap();
    let reads = (0..20).map(|at| match at % 2 {
        0 => Sent::modern("resources/read", json!({ "uri": uri })).to(fleet.at(0)),
        _ => Sent::legacy(session, "resources/read", json!({ "uri": uri })).to(fleet.at(0)),
    });
    let let_through = async {
        soon(gate.reached.subscribe().wait_for(|reached| *reached > 0)).await.unwrap();
        gate.open.send_replace(true);
    };
    let (answers, ()) = tokio::join!(join_all(reads), let_through);
    for answer in answers {
        assert_eq!(answer.result()["contents"][0]["text"], "slow");
    }
}

#[tokio::test]
async fn a_resource_that_may_be_kept_is_read_once_for_all() {
    for (names, ruled, uri) in
        [(&["a"][..], false, "slow://one"), (&["a"], true, "slow://one"), (&["a", "b"], false, "a+slow://one")]
    {
        let gate = Arc::new(Gate::default());
        let pod = Pod::start(slow(&gate, Caching::public(Duration::from_secs(60)))).await;
        let mut config = config(names.iter().map(|name| upstream(name, EraChoice::Modern, [&pod])));
        if ruled {
            let (effect, names) = (Effect::Deny, vec!["note://*".to_owned()]);
            let (principals, methods, arguments) = (Vec::new(), Vec::new(), BTreeMap::new());
            config.route[0].rule = vec![Rule { effect, principals, methods, names, arguments }];
        }
        let fleet = Fleet::of(config).await;
        read(&fleet, uri, &gate).await;
        assert_eq!(gate.reached(), 1, "{names:?} {ruled}");
        // Another replica has to ask once itself.
        let again = Sent::modern("resources/read", json!({ "uri": uri }));
        for _ in 0..3 {
            again.clone().to(fleet.at(1)).await.result();
        }
        assert_eq!(gate.reached(), 2, "{names:?} {ruled}");
    }
}

#[tokio::test]
async fn a_resource_that_may_not_be_kept_is_read_by_everyone() {
    let gate = Arc::new(Gate::default());
    let pod = Pod::start(slow(&gate, Caching::default())).await;
    let fleet = Fleet::of(config([modern([&pod])])).await;
    read(&fleet, "slow://one", &gate).await;
    assert_eq!(gate.reached(), 20);
}
