//! Calls to a server in the same process: the path of HTTP, without a network.

use anypod_client::proto::elicitation::ElicitResult;
use anypod_client::{Client, Error};
use anypod_server::{Args, Cx, Json, Server, Tool, form};
use serde_json::json;

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Sum {
    sum: i64,
}

#[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
struct Color {
    color: String,
}

async fn add(Args(Add { a, b }): Args<Add>) -> Json<Sum> {
    Json(Sum { sum: a + b })
}

async fn paint(cx: Cx) -> anypod_server::Result<String> {
    let answer = cx.ask("color", form::<Color>("Which color?")).await?;
    Ok(answer.into_accepted().map_or_else(|| "no color".to_owned(), |color| color.color))
}

fn server() -> Server {
    Server::new("adder", "1.0.0").tool(Tool::new("add", add)).tool(Tool::new("paint", paint)).build().unwrap()
}

#[tokio::test]
async fn a_typed_call_gives_what_the_tool_gave() {
    let client = Client::builder().service(server());
    assert_eq!(client.call_as::<Sum>("add", json!({ "a": 1, "b": 2 })).await.unwrap(), Sum { sum: 3 });
    assert_eq!(client.call_as::<Sum>("add", Add { a: 3, b: 4 }).await.unwrap(), Sum { sum: 7 });
    let tools = client.tools().await.unwrap();
    assert_eq!(tools.len(), 2);
}

#[tokio::test]
async fn a_question_is_answered_by_the_registered_answerer() {
    let client = Client::builder()
        .on_form(|_| async {
            let serde_json::Value::Object(content) = json!({ "color": "red" }) else { unreachable!() };
            Ok::<_, std::io::Error>(ElicitResult::accept(content))
        })
        .service(server());
    assert_eq!(client.call_as::<String>("paint", ()).await.unwrap(), "red");
}

#[tokio::test]
async fn arguments_that_are_no_object_are_refused_before_anything_is_sent() {
    let client = Client::builder().service(server());
    let error = client.call("add", json!([1, 2])).await.unwrap_err();
    assert!(matches!(error, Error::Misuse(_)), "{error}");
}
