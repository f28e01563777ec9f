//! The server on a stream: lines in, lines out.

pub(crate) mod client;
mod legacy;

use std::time::Duration;

use anypod_server::{Event, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};

use client::{Client, FOR_EVER, call, cancel, echo, modern, notice, subscription, text};

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Waits until the server has begun to work on a call of `wait`.
async fn waiting(client: &mut Client, id: i64) {
    client.send(call(id, "wait", json!({}))).await;
    assert_eq!(client.receive().await["method"], "notifications/progress");
}

#[tokio::test(start_paused = true)]
async fn answers_a_fast_call_while_a_slow_one_is_worked_on() {
    let mut client = Client::new();
    waiting(&mut client, 1).await;
    let fast = client.ask(echo("fast")).await;
    assert_eq!((&fast["id"], text(&fast)), (&json!("fast"), "here"));
    client.shared.gate.notify_one();
    let progress = client.receive().await;
    assert_eq!(progress["params"], json!({ "progressToken": "p", "progress": 1.0, "total": 1.0 }));
    let slow = client.receive().await;
    assert_eq!((&slow["id"], text(&slow)), (&json!(1), "waited"));
    assert_eq!(slow["result"]["resultType"], "complete");
}

#[tokio::test(start_paused = true)]
async fn lists_and_discovers() {
    let mut client = Client::new();
    let discovered = client.ask(modern(1, "server/discover", json!({}))).await;
    assert_eq!(discovered["result"]["supportedVersions"], json!(["2026-07-28"]));
    let tools = client.ask(modern(2, "tools/list", json!({}))).await;
    assert_eq!(tools["result"]["tools"][0]["name"], "echo");
    let unknown = client.ask(modern(3, "no/such", json!({}))).await;
    assert_eq!((&unknown["id"], &unknown["error"]["code"]), (&json!(3), &json!(-32601)));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_is_dropped_and_never_heard_of_again() {
    let mut client = Client::new();
    waiting(&mut client, 1).await;
    client.send(cancel(1)).await;
    client.shared.dropped.notified().await;
    client.shared.gate.notify_one();
    let again = client.ask(echo(1)).await;
    assert_eq!(text(&again), "here", "the id is free again");
    client.hang_up().await;
    assert_eq!(client.rest().await, Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn ignores_cancellations_of_nothing() {
    let mut client = Client::new();
    for stray in [
        cancel("unknown"),
        notice("notifications/cancelled", json!({})),
        notice("notifications/cancelled", json!({ "requestId": null })),
        notice("notifications/cancelled", json!([])),
        notice("notifications/unheard-of", json!({})),
    ] {
        client.send(stray).await;
    }
    assert_eq!(client.ask(echo(1)).await["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn refuses_an_id_that_is_worked_on() {
    let mut client = Client::new();
    waiting(&mut client, 7).await;
    let refused = client.ask(echo(7)).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(7), &json!(-32600)));
    assert_eq!(client.ask(echo("7")).await["id"], "7", "a string is another id");
    client.shared.gate.notify_one();
    client.receive().await;
    assert_eq!(text(&client.receive().await), "waited");
}

#[tokio::test(start_paused = true)]
async fn each_subscription_hears_what_it_asked_for_until_it_is_cancelled() {
    let mut client = Client::new();
    let tools = json!({ "notifications": { "toolsListChanged": true } });
    let note = json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": ["note://a"] } });
    for (id, filter) in [("tools", &tools), ("note", &note)] {
        let acknowledged = client.ask(modern(id, "subscriptions/listen", filter.clone())).await;
        assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(subscription(&acknowledged), id);
        assert_eq!(acknowledged["params"]["notifications"], filter["notifications"]);
    }
    client.server.announce(Event::ResourceUpdated { uri: "note://a".to_owned() }).await;
    let updated = client.receive().await;
    assert_eq!((subscription(&updated), &updated["params"]["uri"]), (&json!("note"), &json!("note://a")));

    client.send(cancel("note")).await;
    assert_eq!(client.ask(echo(1)).await["id"], 1);
    client.server.announce(Event::ToolsChanged).await;
    let changed = client.receive().await;
    assert_eq!(
        (subscription(&changed), &changed["method"]),
        (&json!("tools"), &json!("notifications/tools/list_changed"))
    );
    client.hang_up().await;
    assert!(client.rest().await.iter().all(|message| subscription(message) == "tools"));
}

/// Both what basic/patterns/cancellation demands and what basic/patterns/subscriptions recommends.
fn assert_torn_down(messages: &[Value], ids: &[&str]) {
    assert_eq!(messages.len(), 2 * ids.len(), "{messages:?}");
    for id in ids {
        let own: Vec<_> = messages.iter().filter(|message| subscription(message) == id).collect();
        assert_eq!(
            (&own[0]["method"], &own[0]["params"]["requestId"]),
            (&json!("notifications/cancelled"), &json!(id))
        );
        assert_eq!((&own[1]["id"], &own[1]["result"]["resultType"]), (&json!(id), &json!("complete")));
    }
}

#[tokio::test(start_paused = true)]
async fn ends_its_subscriptions_with_a_result_whatever_ends_the_connection() {
    for end in ["stop", "drain", "end of input"] {
        let mut client = Client::new();
        for id in ["a", "b"] {
            client.ask(modern(id, "subscriptions/listen", json!({ "notifications": {} }))).await;
        }
        match end {
            "stop" => client.stop(),
            "drain" => client.server.drain().await,
            _ => client.hang_up().await,
        }
        assert_torn_down(&client.rest().await, &["a", "b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn asks_in_rounds() {
    let mut client = Client::new();
    let asked = client.ask(call(1, "greet", json!({}))).await;
    assert_eq!(asked["result"]["resultType"], "input_required");
    assert_eq!(asked["result"]["inputRequests"]["name"]["method"], "elicitation/create");
    let mut again = call(2, "greet", json!({}));
    again["params"]["requestState"] = asked["result"]["requestState"].clone();
    again["params"]["inputResponses"] = json!({ "name": { "action": "accept", "content": { "name": "Ada" } } });
    assert_eq!(text(&client.ask(again).await), "Hello, Ada");
}

#[tokio::test(start_paused = true)]
async fn skips_a_line_that_is_too_long_and_goes_on() {
    let mut client = Client::with(limits(|limits| limits.line_bytes = 1000));
    client.send_bytes(&[&[b'x'; 100_000][..], b"\n"].concat()).await;
    let refused = client.receive().await;
    assert_eq!(refused["error"]["code"], -32600);
    assert_eq!(refused["error"]["data"], json!({ "limit": 1000 }));
    assert_eq!(refused.get("id"), None);
    assert_eq!(client.ask(echo(1)).await["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn answers_what_is_not_json_without_an_id_and_goes_on() {
    let mut client = Client::new();
    for garbage in [&b"{\n"[..], b"\xff\xfe\n", b"nonsense\r\n"] {
        client.send_bytes(garbage).await;
        let refused = client.receive().await;
        assert_eq!((refused.get("id"), &refused["error"]["code"]), (None, &json!(-32700)));
    }
    client.send_bytes(b"\n \r\n\r\n").await;
    client.send_bytes(format!("{}\r\n", echo(1)).as_bytes()).await;
    assert_eq!(client.receive().await["id"], 1);
}

#[tokio::test(start_paused = true)]
async fn finishes_what_is_in_flight_when_the_input_ends() {
    let mut client = Client::new();
    waiting(&mut client, 1).await;
    client.send_bytes(echo(2).to_string().as_bytes()).await;
    client.hang_up().await;
    assert_eq!(client.receive().await["id"], 2, "the last line need not be terminated");
    client.shared.gate.notify_one();
    let rest = client.rest().await;
    assert_eq!(text(&rest[1]), "waited");
}

#[tokio::test(start_paused = true)]
async fn refuses_new_requests_and_finishes_old_ones_when_it_is_stopped() {
    let mut client = Client::new();
    waiting(&mut client, 1).await;
    client.stop();
    tokio::task::yield_now().await;
    let refused = client.ask(echo(2)).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(2), &json!(-32603)));
    client.shared.gate.notify_one();
    assert_eq!(text(&client.rest().await[1]), "waited");
}

#[tokio::test(start_paused = true)]
async fn gives_up_what_does_not_end_in_time() {
    let mut client = Client::with(limits(|limits| limits.drain = Duration::from_secs(3)));
    waiting(&mut client, 1).await;
    let dropped = client.shared.dropped.clone();
    client.hang_up().await;
    let ended = tokio::time::Instant::now();
    assert_eq!(client.rest().await, Vec::<Value>::new());
    dropped.notified().await;
    assert_eq!(ended.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanishes_ends_the_server_and_its_work() {
    let mut client = Client::new();
    waiting(&mut client, 1).await;
    let dropped = client.shared.dropped.clone();
    client.vanish().await.unwrap();
    dropped.notified().await;
}

#[tokio::test(start_paused = true)]
async fn answers_a_call_that_takes_too_long() {
    let mut client = Client::with(limits(|limits| limits.request_deadline = Duration::from_secs(5)));
    waiting(&mut client, 1).await;
    let late = client.receive().await;
    assert_eq!((&late["id"], &late["error"]["code"]), (&json!(1), &json!(-32603)));
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_own_call_only() {
    let mut client = Client::new();
    waiting(&mut client, 1).await;
    let failed = client.ask(call(2, "panic", json!({}))).await;
    assert_eq!((&failed["id"], &failed["error"]["code"]), (&json!(2), &json!(-32603)));
    assert_eq!(client.ask(echo(3)).await["id"], 3);
}

#[tokio::test(start_paused = true)]
async fn refuses_more_calls_than_it_may_work_on() {
    let mut client = Client::with(limits(|limits| limits.concurrent_requests = 1));
    waiting(&mut client, 1).await;
    let refused = client.ask(echo(2)).await;
    assert_eq!(refused["error"]["code"], -32603);
    assert_eq!(refused["error"]["data"]["retryAfterMs"], 1000);
    client.shared.gate.notify_one();
    client.receive().await;
    assert_eq!(client.receive().await["id"], 1);
    assert_eq!(client.ask(echo(3)).await["id"], 3);
}

#[tokio::test(start_paused = true)]
async fn reads_no_more_while_the_client_does_not_read() {
    let mut client = Client::with(limits(|limits| limits.concurrent_requests = 8));
    let taken = client.flood(&modern("list", "tools/list", json!({})), 10_000).await;
    assert!(taken < 500, "{taken} requests were read for a client that reads nothing");
    assert!(client.drain().await >= taken, "every request that was taken is answered");
}

/// Bytes, more often than chance has it of the kinds that mean something.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "[\\[\\]{}\",:0-9a-z \\r]{0,60}".prop_map(String::into_bytes),
        prop::sample::select(vec![
            modern(1, "tools/list", json!({})),
            modern(1, "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } })),
            call(1, "wait", json!({})),
            call(2, "greet", json!({})),
            cancel(1),
            legacy::initialize(3, "2025-03-26"),
            client::legacy(4, "tools/call", json!({ "name": "greet" })),
            json!([client::legacy(5, "tools/call", json!({ "name": "wait" })), client::legacy(6, "ping", json!({}))]),
            json!({ "jsonrpc": "2.0", "id": 1, "result": {} }),
            json!({ "jsonrpc": "2.0", "id": 1, "error": 3 }),
        ])
        .prop_flat_map(|message| {
            let text = message.to_string().into_bytes();
            (0..=text.len()).prop_map(move |cut| if cut % 2 == 0 { text.clone() } else { text[..cut].to_vec() })
        }),
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join(&b'\n'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn answers_a_good_request_after_any_bytes_and_ends(bytes in soup()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut client = Client::with(limits(|limits| limits.line_bytes = 4000));
            client.send_bytes(&bytes).await;
            client.send_bytes(b"\n").await;
            client.send(echo("good")).await;
            let answer = tokio::time::timeout(FOR_EVER, async {
                loop {
                    let message = client.receive().await;
                    if message["id"] == "good" {
                        break message;
                    }
                }
            });
            assert_eq!(text(&answer.await.unwrap()), "here");
            client.hang_up().await;
            client.rest().await;
        });
    }
}
