//! Extensions, against a server that has one: the example of the server's crate.

use anypod_client::proto::subscriptions::SubscriptionFilter;
use anypod_client::proto::tools::CallToolResult;
use anypod_client::{Broken, Client, Error, Event, Extension, Json, Result, Round};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use waiting_list::{ID, server};

#[path = "../../../server/examples/extension.rs"]
#[expect(dead_code, reason = "`main` is for who runs the example")]
mod waiting_list;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wants {
    patience_minutes: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Offers {
    minutes_per_party: u32,
}

#[derive(Serialize)]
struct Ticket {
    ticket: &'static str,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Place {
    ticket: String,
    ahead: usize,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "resultType", rename_all = "camelCase")]
enum Seating {
    Complete(Box<CallToolResult>),
    Waiting(Place),
}

fn declared() -> Extension {
    Extension::new(ID).settings(Wants { patience_minutes: 60 }).unwrap()
}

fn client(tables: usize, extension: Extension) -> Client {
    Client::builder().extension(extension).service(server(tables).unwrap())
}

fn place(ahead: usize, ticket: &str) -> Place {
    Place { ticket: ticket.to_owned(), ahead }
}

#[tokio::test]
async fn results_of_its_types_are_read_once_they_are_declared() {
    let client = client(1, declared().result_type("waiting"));
    let seat = async || client.call("seat", json!({})).read_as::<Seating>().await.unwrap().0;
    assert!(matches!(seat().await, Seating::Complete(result) if result.content.len() == 1));
    assert!(matches!(seat().await, Seating::Waiting(waiting) if waiting == place(0, "T1")));
    let raw = client.call("seat", json!({})).raw().await.unwrap();
    assert_eq!(raw.read::<Value>().unwrap()["resultType"], "waiting");
    let round = client.call("seat", json!({})).read_as::<Seating>().round().await.unwrap();
    assert!(matches!(round, Round::Done(Json(Seating::Waiting(waiting))) if waiting.ahead == 2));
    // What cannot be read so is no result.
    let unread = client.call("seat", json!({})).await;
    assert!(matches!(unread, Err(Error::Broken(Broken::ResultType(name))) if name == "waiting"));
}

#[tokio::test]
async fn results_of_types_that_nobody_declared_are_refused() {
    let client = client(0, declared());
    let unread = client.call("seat", json!({})).read_as::<Seating>().await;
    assert!(matches!(unread, Err(Error::Broken(Broken::ResultType(name))) if name == "waiting"));
}

#[tokio::test]
async fn its_methods_take_and_give_types() {
    let client = client(0, declared().result_type("waiting"));
    client.call("seat", json!({})).raw().await.unwrap();
    let ask = |ticket| client.request("waiting-list/place", Some(ticket), &Ticket { ticket }).read_as::<Place>();
    assert_eq!(ask("T1").await.unwrap(), Json(place(0, "T1")));
    assert!(matches!(ask("T2").await, Err(Error::Answered(error)) if error.code == -32602));
    let without = Client::builder().service(server(0).unwrap());
    let refused = without.request("waiting-list/place", Some("T1"), &Ticket { ticket: "T1" }).await;
    assert!(matches!(refused, Err(Error::Answered(error)) if error.code == -32021));
    for wrong in [json!(7), json!({ "_meta": {} })] {
        let refused = client.request("waiting-list/place", None, &wrong).await;
        assert!(matches!(refused, Err(Error::Misuse(_))), "{wrong}");
    }
    assert!(matches!(Extension::new(ID).settings("brief"), Err(Error::Misuse(_))));
}

#[tokio::test]
async fn what_the_server_says_of_it_is_read_as_a_type() {
    let client = client(0, declared());
    assert_eq!(client.extension::<Offers>(ID).await.unwrap().unwrap().minutes_per_party, 15);
    assert!(client.extension::<Offers>("com.example/other").await.unwrap().is_none());
    let unfit: Result<Option<Vec<u8>>> = client.extension(ID).await;
    assert!(matches!(unfit, Err(Error::Broken(Broken::Result(text))) if text.contains(ID)));
}

#[tokio::test]
async fn its_notifications_are_heard() {
    let client = client(0, declared().result_type("waiting"));
    client.call("seat", json!({})).raw().await.unwrap();
    let listen = client.listen(SubscriptionFilter::default()).field("waitingTickets", json!(["T1", "T9"]));
    let mut subscription = listen.await.unwrap();
    assert_eq!(subscription.accepted().extra.get("waitingTickets"), Some(&json!(["T1"])));
    let mut moved = async || match subscription.next().await {
        Some(Event::Other(notice)) if notice.method == "notifications/waiting-list/moved" => {
            notice.params.read::<Value>().unwrap()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(moved().await["ahead"], 0);
    client.call("clear_table", json!({})).await.unwrap();
    assert_eq!(moved().await["seated"], true);
}
