//! The example of an extension does what its documentation says.

use anypod_server::Server;
use serde_json::{Value, json};

use crate::support::{Modern, call, modern};
use extension::{ID, server};

#[path = "../../examples/extension.rs"]
#[expect(dead_code, reason = "`main` is for who runs the example")]
mod extension;

fn full() -> Server {
    server(0).expect("it builds")
}

fn declaring(request: Modern, settings: Value) -> Modern {
    request.capable(json!({ "extensions": { ID: settings } }))
}

fn place(ticket: &str) -> Modern {
    modern("waiting-list/place", json!({ "ticket": ticket })).header("mcp-name", ticket)
}

#[tokio::test]
async fn a_full_restaurant_puts_those_on_a_list_who_have_the_extension() {
    let server = full();
    let discovered = modern("server/discover", json!({})).send(&server).await;
    assert_eq!(discovered.result()["capabilities"]["extensions"], json!({ ID: { "minutesPerParty": 15 } }));
    let seat = || call("seat", json!({}));
    let without = seat().send(&server).await;
    assert_eq!(
        (without.text(), &without.result()["isError"]),
        ("all tables are taken, try in 15 minutes", &json!(true))
    );
    let impatient = declaring(seat(), json!({ "patienceMinutes": 5 })).send(&server).await;
    assert_eq!(impatient.text(), without.text());
    for (ahead, ticket) in ["T1", "T2"].into_iter().enumerate() {
        let waiting = declaring(seat(), json!({})).send(&server).await;
        let result = waiting.result();
        let said = (&result["resultType"], &result["ticket"], &result["ahead"]);
        assert_eq!(said, (&json!("waiting"), &json!(ticket), &json!(ahead)));
    }
    declaring(seat(), json!({ "patienceMinutes": "long" })).send(&server).await.assert_refused(200, -32602);
}

#[tokio::test]
async fn who_gets_a_table_is_told_how_many_are_left() {
    let server = server(2).expect("it builds");
    let seated = declaring(call("seat", json!({})), json!({})).send(&server).await;
    let said: Vec<_> = seated.notifications.iter().map(|message| (&message["method"], &message["params"])).collect();
    assert_eq!(said, [(&json!("notifications/waiting-list/tables"), &json!({ "left": 1 }))]);
    assert_eq!(seated.text(), "This way, please.");
    assert!(call("seat", json!({})).send(&server).await.notifications.is_empty());
}

#[tokio::test]
async fn a_place_on_the_list_is_asked_for_by_its_ticket() {
    let server = full();
    declaring(call("seat", json!({})), json!({})).send(&server).await;
    let found = declaring(place("T1"), json!({})).send(&server).await;
    assert_eq!((&found.result()["ahead"], &found.result()["resultType"]), (&json!(0), &json!("complete")));
    declaring(place("T2"), json!({})).send(&server).await.assert_refused(200, -32602);
    declaring(place("T1").header("mcp-name", "T2"), json!({})).send(&server).await.assert_refused(400, -32020);
    declaring(place("T1").without("mcp-name"), json!({})).send(&server).await.assert_refused(400, -32020);
    place("T1").send(&server).await.assert_refused(400, -32021);
}

#[tokio::test]
async fn who_waits_hears_of_it_when_the_list_moves() {
    let server = full();
    for _ in 0..2 {
        declaring(call("seat", json!({})), json!({})).send(&server).await;
    }
    let filter = json!({ "notifications": { "waitingTickets": ["T2", "T9"] } });
    let listen = modern("subscriptions/listen", filter);
    let mut stream = declaring(listen.clone(), json!({})).open(&server).await;
    let acknowledged = stream.next().await.expect("the acknowledgement");
    assert_eq!(acknowledged["params"]["notifications"], json!({ "waitingTickets": ["T2"] }));
    for told in [json!({ "ahead": 1 }), json!({ "ahead": 0 }), json!({ "seated": true })] {
        let message = stream.next().await.expect("a notification");
        assert_eq!(
            (&message["method"], &message["params"]["ticket"]),
            (&json!("notifications/waiting-list/moved"), &json!("T2"))
        );
        let (member, value) = told.as_object().and_then(|told| told.iter().next()).expect("one member");
        assert_eq!(&message["params"][member], value);
        call("clear_table", json!({})).send(&server).await;
    }
    let mut limits = (*server.limits()).clone();
    // Tickets are bounded like all that one stream may name.
    limits.listen_resources = 0;
    server.replace_limits(limits);
    for _ in 0..2 {
        declaring(call("seat", json!({})), json!({})).send(&server).await;
    }
    let more =
        modern("subscriptions/listen", json!({ "notifications": { "waitingTickets": ["T1", "T2", "T3", "T4"] } }));
    declaring(more, json!({})).send(&server).await.assert_refused(400, -32602);
    let mut without = listen.open(&server).await;
    let acknowledged = without.next().await.expect("the acknowledgement");
    assert_eq!(acknowledged["params"]["notifications"], json!({}));
}
