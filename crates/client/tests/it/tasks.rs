//! Tasks: calls that become one, and tasks that someone else began.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anypod_client::proto::elicitation::ElicitResult;
use anypod_client::proto::tools::CallToolResult;
use anypod_client::{Client, ClientBuilder, Error, Started};
use serde_json::{Value, json};

use crate::scripted::Scripted;

fn task(status: &str, more: Value) -> Value {
    let mut task = json!({
        "taskId": "t-1", "status": status, "createdAt": "2026-11-20T10:00:00Z",
        "lastUpdatedAt": "2026-11-20T10:00:00Z", "ttlMs": null, "pollIntervalMs": 500,
    });
    task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    task
}

/// A server whose only tool is a task: it asks for a name, and greets on the third look after that.
fn server() -> Scripted {
    let looks = AtomicUsize::new(0);
    let answered = AtomicUsize::new(0);
    Scripted::new(move |request| {
        let tool_result = json!({ "content": [{ "type": "text", "text": "hello, Ann" }] });
        Ok(match request["method"].as_str().unwrap() {
            "tools/call" => task("working", json!({ "resultType": "task" })),
            "tasks/update" => {
                answered.fetch_add(1, Ordering::Relaxed);
                json!({ "resultType": "complete" })
            }
            "tasks/cancel" => json!({ "resultType": "complete" }),
            "tasks/get" => match (answered.load(Ordering::Relaxed), looks.fetch_add(1, Ordering::Relaxed)) {
                (0, 0) => task("working", json!({ "resultType": "complete" })),
                (0, _) => {
                    let ask = json!({ "method": "elicitation/create", "params": {
                        "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } } });
                    task("input_required", json!({ "resultType": "complete", "inputRequests": { "who": ask } }))
                }
                (_, 0..4) => task("working", json!({ "resultType": "complete" })),
                (_, _) => task("completed", json!({ "resultType": "complete", "result": tool_result })),
            },
            _ => return Err(json!({ "code": -32601, "message": "unknown" })),
        })
    })
}

fn builder() -> ClientBuilder {
    Client::builder().on_form(|_| async { Ok::<_, std::io::Error>(ElicitResult::accept(Default::default())) })
}

#[tokio::test(start_paused = true)]
async fn follows_a_task_to_its_end_and_answers_what_it_asks_once() {
    let server = server();
    let begun = tokio::time::Instant::now();
    let client = builder().service(server.clone());
    assert_eq!(client.call_as::<String>("greet", ()).await.unwrap(), "hello, Ann");
    let updates = server.methods().iter().filter(|method| *method == "tasks/update").count();
    assert_eq!(updates, 1);
    assert!(begun.elapsed() >= Duration::from_secs(1), "the server's interval is kept");
}

#[tokio::test(start_paused = true)]
async fn another_client_goes_on_with_a_task_by_its_id() {
    let server = server();
    let Started::Task(task) = builder().service(server.clone()).call("greet", ()).detach().await.unwrap() else {
        panic!("the server makes a task of it")
    };
    let elsewhere = builder().service(server);
    let result = elsewhere.task::<CallToolResult>(task.id()).wait().await.unwrap();
    assert_eq!(result.content[0].as_text(), Some("hello, Ann"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_cancels_its_task() {
    let server = Scripted::new(|request| {
        Ok(match request["method"].as_str().unwrap() {
            "tools/call" => task("working", json!({ "resultType": "task" })),
            "tasks/get" => task("working", json!({ "resultType": "complete" })),
            _ => json!({ "resultType": "complete" }),
        })
    });
    let client = Client::builder().service(server.clone());
    let error = client.call("endless", ()).timeout(Duration::from_secs(3)).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(_)), "{error}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.methods().last().unwrap(), "tasks/cancel");
}

#[tokio::test]
async fn a_task_that_nobody_negotiated_is_a_protocol_error() {
    let server = Scripted::new(|_| Ok(task("working", json!({ "resultType": "task" }))));
    let client = Client::builder().without_tasks().service(server);
    let error = client.call("greet", ()).await.unwrap_err();
    assert!(matches!(error, Error::Broken(anypod_client::Broken::ResultType(_))), "{error}");
}
