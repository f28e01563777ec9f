//! Questions in the middle of a request: which replica answers the next round, and for whom a state opens.

use anypod_client::proto::version::Era;
use anypod_gateway::config::{EraChoice, Token};
use anypod_server::{Cx, Resource, form};
use anypod_testkit::script::{Expect, Received, Reply, Script, Server};
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{
    Answered, Fleet, Pod, Seen, Sent, config, fixture, legacy, person, served, soon, token, upstream, upstream_at,
};

/// The next round of a call: the same, with answers and the state.
fn answered(tool: &str, asked: &Value, answer: &Value) -> Sent {
    let keys = asked["inputRequests"].as_object().unwrap().keys();
    let responses: serde_json::Map<_, _> = keys.map(|key| (key.clone(), answer.clone())).collect();
    let params = json!({
        "name": tool, "arguments": {}, "inputResponses": responses, "requestState": asked["requestState"],
    });
    Sent::modern("tools/call", params)
}

fn accepts(name: &str) -> Value {
    json!({ "action": "accept", "content": { "name": name } })
}

/// The result, which asks.
#[track_caller]
fn asks(answer: &Answered) -> Value {
    let result = answer.result();
    assert_eq!(result["resultType"], "input_required", "{result}");
    result
}

/// Two replicas before a legacy server that asks.
async fn asking() -> (Fleet, Seen, Pod) {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    (Fleet::of(config([legacy([&pod])])).await, seen, pod)
}

#[tokio::test]
async fn the_question_of_a_legacy_server_is_answered_by_way_of_any_replica() {
    let (fleet, seen, _pod) = asking().await;
    for (count, (asked_at, answered_at)) in [(0, 1), (1, 0), (0, 0)].into_iter().enumerate() {
        let asked = asks(&Sent::call("ask", json!({})).to(fleet.at(asked_at)).await);
        let answer = answered("ask", &asked, &accepts("Bea")).to(fleet.at(answered_at)).await;
        assert_eq!(answer.result()["content"][0]["text"], "Hello, Bea!");
        // The call was held open, not begun again.
        assert_eq!(seen.calls("ask"), count + 1);
    }
}

#[tokio::test]
async fn two_questions_of_a_legacy_server_are_answered_in_turn() {
    let (fleet, _seen, _pod) = asking().await;
    let first = asks(&Sent::call("ask_twice", json!({})).to(fleet.at(0)).await);
    let second = asks(&answered("ask_twice", &first, &accepts("Bea")).to(fleet.at(1)).await);
    let colour = json!({ "action": "accept", "content": { "color": "blue" } });
    let answer = answered("ask_twice", &second, &colour).to(fleet.at(1)).await;
    assert_eq!(answer.result()["content"][0]["text"], "Bea likes blue");
}

#[tokio::test]
async fn who_says_no_says_no_to_a_legacy_server() {
    let (fleet, _seen, _pod) = asking().await;
    let asked = asks(&Sent::call("ask", json!({})).to(fleet.at(0)).await);
    let answer = answered("ask", &asked, &json!({ "action": "decline" })).to(fleet.at(1)).await;
    assert_eq!(answer.result()["content"][0]["text"], "nobody");
}

#[tokio::test]
async fn a_call_whose_replica_is_gone_is_to_be_started_again() {
    let (mut fleet, _seen, _pod) = asking().await;
    let asked = asks(&Sent::call("ask", json!({})).to(fleet.at(0)).await);
    fleet.restart_one(0).await;
    for replica in [1, 0] {
        let answer = answered("ask", &asked, &accepts("Bea")).to(fleet.at(replica)).await;
        assert_eq!(answer.refusal(), (400, -32602), "{answer:?}");
        assert!(answer.json()["error"]["message"].as_str().unwrap().contains("start the request again"), "{answer:?}");
    }
    let asked = asks(&Sent::call("ask", json!({})).to(fleet.at(0)).await);
    let answer = answered("ask", &asked, &accepts("Bea")).to(fleet.at(1)).await;
    assert_eq!(answer.result()["content"][0]["text"], "Hello, Bea!");
}

#[tokio::test]
async fn a_round_is_answered_once() {
    let (fleet, seen, _pod) = asking().await;
    let asked = asks(&Sent::call("ask", json!({})).to(fleet.at(0)).await);
    answered("ask", &asked, &accepts("Bea")).to(fleet.at(1)).await.result();
    let again = answered("ask", &asked, &accepts("Bea")).to(fleet.at(1)).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "{again:?}");
    assert_eq!(seen.calls("ask"), 1);
}

/// What the upstream gives as its state, and wants back.
const OWN: &str = "the upstream's own \u{e9}";

/// A modern upstream that asks once.
async fn stateful() -> Server {
    let round = |received: &Received| {
        let params = &received.json()["params"];
        match params["requestState"].as_str() {
            None => Reply::result(&json!({
                "resultType": "input_required",
                "inputRequests": { "name": { "method": "elicitation/create", "params": {
                    "mode": "form", "message": "Who?", "requestedSchema": { "type": "object", "properties": {} },
                } } },
                "requestState": OWN,
            })),
            Some(state) => {
                let text = format!("{state}: {}", params["inputResponses"]["name"]["action"].as_str().unwrap());
                Reply::result(&json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }] }))
            }
        }
    };
    Script::new().always(Expect::method("tools/call"), round).serve().await.unwrap()
}

#[tokio::test]
async fn the_state_of_an_upstream_is_sealed_and_outlives_every_replica() {
    let server = stateful().await;
    let mut fleet = Fleet::of(config([upstream_at("server", EraChoice::Modern, &[server.url()])])).await;
    let asked = asks(&Sent::call("ask", json!({})).to(fleet.at(0)).await);
    let state = asked["requestState"].as_str().unwrap();
    assert!(!asked.to_string().contains("upstream"), "{asked}");
    for restarted in [false, true] {
        if restarted {
            fleet.restart().await;
        }
        let answer = answered("ask", &asked, &accepts("Bea")).to(fleet.at(1)).await;
        assert_eq!(answer.result()["content"][0]["text"], format!("{OWN}: accept"));
    }
    // Nothing of it may be changed.
    let mut tampered = asked.clone();
    let (head, tail) = state.split_at(state.len() / 2);
    let other = if tail.starts_with('A') { "B" } else { "A" };
    tampered["requestState"] = json!(format!("{head}{other}{}", &tail[1..]));
    let answer = answered("ask", &tampered, &accepts("Bea")).to(fleet.at(0)).await;
    assert_eq!(answer.refusal(), (400, -32602));
    // Nor is the upstream's own taken from a client.
    tampered["requestState"] = json!(OWN);
    let answer = answered("ask", &tampered, &accepts("Bea")).to(fleet.at(0)).await;
    assert_eq!(answer.refusal(), (400, -32602));
    assert_eq!(server.received().len(), 3);
}

#[tokio::test]
async fn a_state_opens_for_its_principal_and_its_tool_only() {
    let server = stateful().await;
    let mut config = config([upstream_at("server", EraChoice::Modern, &[server.url()])]);
    config.route[0].token = ["alice", "bob"].map(token).into_iter().collect::<Vec<Token>>();
    let fleet = Fleet::of(config).await;
    let asked = asks(&Sent::call("ask", json!({})).bearing("alice").to(fleet.at(0)).await);
    for (tool, bearer) in [("ask", "bob"), ("other", "alice")] {
        let answer = answered(tool, &asked, &accepts("Bea")).bearing(bearer).to(fleet.at(1)).await;
        assert_eq!(answer.refusal(), (400, -32602), "{tool} {bearer}");
    }
    assert_eq!(server.received().len(), 1);
    answered("ask", &asked, &accepts("Bea")).bearing("alice").to(fleet.at(1)).await.result();
}

#[tokio::test]
async fn the_call_that_a_legacy_server_holds_opens_for_its_principal_only() {
    let seen = Seen::default();
    let pod = Pod::start(served(&seen)).await;
    let mut config = config([legacy([&pod])]);
    config.route[0].token = ["alice", "bob"].map(token).into();
    let fleet = Fleet::of(config).await;
    let asked = asks(&Sent::call("ask", json!({})).bearing("alice").to(fleet.at(0)).await);
    for replica in [0, 1] {
        let answer = answered("ask", &asked, &accepts("Bob")).bearing("bob").to(fleet.at(replica)).await;
        assert_eq!(answer.refusal(), (400, -32602));
    }
    let answer = answered("ask", &asked, &accepts("Alice")).bearing("alice").to(fleet.at(1)).await;
    assert_eq!(answer.result()["content"][0]["text"], "Hello, Alice!");
}

#[tokio::test]
async fn nobody_without_the_ring_makes_a_hop() {
    let (fleet, seen, _pod) = asking().await;
    let asked = asks(&Sent::call("ask", json!({})).to(fleet.at(0)).await);
    for forged in ["", "AAAA", asked["requestState"].as_str().unwrap()] {
        let hop = answered("ask", &asked, &accepts("Eve")).with(anypod_client::proto::header::HOP.as_str(), forged);
        assert_eq!(hop.to(fleet.at(0)).await.refusal(), (400, -32602), "{forged}");
    }
    assert_eq!(seen.calls("ask"), 0);
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Name {
    name: String,
}

/// A resource that is for whoever says his name.
async fn letter(cx: Cx) -> anypod_server::Result<String> {
    let name = cx.ask("name", form::<Name>("For whom?")).await?.into_accepted();
    Ok(format!("Dear {},", name.map_or_else(|| "nobody".to_owned(), |Name { name }| name)))
}

#[tokio::test]
async fn resources_of_several_servers_ask_by_way_of_any_replica() {
    let mut pods = Vec::new();
    for name in ["new", "old"] {
        let server = fixture(name, &Seen::default());
        let server = ["letter://one", "letter://two"]
            .into_iter()
            .fold(server, |server, uri| server.resource(Resource::new(uri, uri, letter)));
        pods.push(Pod::start(server.build().unwrap()).await);
    }
    let upstreams = [upstream("new", EraChoice::Modern, [&pods[0]]), upstream("old", EraChoice::Legacy, [&pods[1]])];
    let fleet = Fleet::of(config(upstreams)).await;
    let read = |uri: &str, asked: Option<&Value>, name: &str| {
        let mut params = json!({ "uri": uri });
        if let Some(asked) = asked {
            let keys = asked["inputRequests"].as_object().unwrap().keys();
            let responses = keys.map(|key| (key.clone(), accepts(name))).collect::<serde_json::Map<_, _>>();
            params["inputResponses"] = json!(responses);
            params["requestState"] = asked["requestState"].clone();
        }
        Sent::modern("resources/read", params)
    };
    for server in ["new", "old"] {
        let uri = format!("{server}+letter://one");
        let asked = asks(&read(&uri, None, "").to(fleet.at(0)).await);
        // The state is for this resource of this server.
        for other in [format!("{server}+letter://two"), "new+note://one".to_owned(), "old+note://one".to_owned()] {
            let answer = read(&other, Some(&asked), "Bea").to(fleet.at(1)).await;
            assert_eq!(answer.refusal(), (400, -32602), "{other} {answer:?}");
        }
        let answer = read(&uri, Some(&asked), "Bea").to(fleet.at(1)).await.result();
        assert_eq!((&answer["contents"][0]["uri"], &answer["contents"][0]["text"]), (&json!(uri), &json!("Dear Bea,")));
        // What was asked is kept for nobody.
        asks(&read(&uri, None, "").to(fleet.at(1)).await);
        for era in [Era::Modern, Era::Legacy] {
            let client = fleet.client_of(person("Ann"), era);
            let letter = serde_json::to_value(soon(client.read(&uri).into_future()).await.unwrap()).unwrap();
            assert_eq!(letter["contents"][0]["text"], "Dear Ann,", "{server} {era:?}");
        }
    }
}
