//! The client sends what the protocol demands and reads all that comes.

use anypod_server::Principal;
use anypod_server::proto::method::{ClientMethod, Method};
use anypod_server::{BuildError, Cx, Error, Form, Json, Server, Tool, form_with_schema};
use anypod_testkit::{CallError, Fleet, Replica, accept, cancel, decline};
use serde_json::{Value, json};

use crate::servers::shop;

#[tokio::test(start_paused = true)]
async fn mirrors_annotated_arguments_and_lists_the_tools_once() {
    let fleet = Fleet::new(2, shop).unwrap();
    let client = fleet.client();
    for order in ["plain", " padded ", "日本"] {
        assert_eq!(client.call_tool("echo", json!({ "order": order })).await.unwrap().text(), order);
    }
    let tools = client.list_all(Method::ToolsList).await.unwrap();
    assert_eq!(tools.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn reads_the_notifications_of_all_rounds() {
    let fleet = Fleet::new(2, shop).unwrap();
    let client = fleet.client().answer_every(ClientMethod::Elicit, |question| {
        let fields = &question["params"]["requestedSchema"]["properties"];
        accept(if fields.get("ok").is_some() { json!({ "ok": true }) } else { json!({ "reason": "broken" }) })
    });
    let answer = client.call_tool("refund", json!({ "order": "A-1" })).await.unwrap();
    assert_eq!(answer.structured()["reason"], "broken");
    let progress: Vec<_> = answer.notifications.iter().map(|message| message["params"]["message"].clone()).collect();
    assert_eq!(progress, ["reserving", "reserving", "reserving"]);
}

#[tokio::test(start_paused = true)]
async fn a_question_without_an_answer_is_an_error_that_shows_it() {
    let fleet = Fleet::new(2, shop).unwrap();
    let error = fleet.client().call_tool("refund", json!({ "order": "A-1" })).await.unwrap_err();
    let CallError::Unanswered { key, question } = &error else { panic!("{error}") };
    assert_eq!((key.as_str(), &question["method"]), ("confirm", &json!("elicitation/create")));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_server_is_read_whole() {
    let fleet = Fleet::new(2, shop).unwrap();
    let error = fleet.client().request("no/such", json!({})).await.unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!((refusal.status.as_u16(), refusal.code), (404, -32601));
    let capabilities = fleet.client().capabilities(json!({}));
    let error = capabilities.prompt("confirmed", json!({})).await.unwrap_err();
    assert_eq!(error.refusal().unwrap().code, -32021);
    assert!(error.refusal().unwrap().data["requiredCapabilities"]["elicitation"].is_object(), "{error}");
}

/// Says who calls, and what was answered to a form without fields.
fn asking(replica: &Replica) -> Result<Server, BuildError> {
    let who = async |principal: Option<Principal>| match principal {
        Some(principal) => principal.id().sub.clone(),
        None => "nobody".to_owned(),
    };
    let ask = async |cx: Cx| {
        let question: Form<_> = form_with_schema("Well?", json!({ "type": "object", "properties": {} }));
        let reply = cx.ask("well", question).await?;
        Ok::<_, Error>(Json(format!("{reply:?}")))
    };
    let server = Server::new("asking", "1.0.0").tool(Tool::new("who", who));
    replica.configure(server.tool(Tool::new("ask", ask))).build()
}

#[tokio::test(start_paused = true)]
async fn calls_as_the_principal_it_is_told() {
    let client = Fleet::new(2, asking).unwrap().client();
    assert_eq!(client.call_tool("who", json!({})).await.unwrap().text(), "nobody");
    let ann = client.principal(Principal::new("https://issuer.example", "ann"));
    assert_eq!(ann.call_tool("who", json!({})).await.unwrap().text(), "ann");
}

#[tokio::test(start_paused = true)]
async fn answers_as_the_script_says() {
    let fleet = Fleet::new(2, asking).unwrap();
    for (answer, expected) in [(accept(json!({})), "Accepted({})"), (decline(), "Declined"), (cancel(), "Cancelled")] {
        let answer = fleet.client().answer("well", answer).call_tool("ask", json!({})).await.unwrap();
        assert_eq!(answer.structured(), &Value::from(expected));
    }
}
