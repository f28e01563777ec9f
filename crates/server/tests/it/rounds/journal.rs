//! What a journal keeps, and handlers that write another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anypod_server::{Cx, Error, Result, Server, State, Tool, form};
use serde_json::json;

use super::{Count, Name, ann, ask, asked, one, server};
use crate::support::fixture::base;
use crate::support::logs::Logs;
use crate::support::{Answer, World};

#[tokio::test]
async fn a_key_that_is_used_twice_is_the_handlers_mistake() {
    let (logs, _guard) = Logs::capture();
    let server = server();
    let question = ask("twice", json!({})).send(&server).await;
    let answer = ask("twice", json!({})).resume(&question, json!({ "name": ann() })).send(&server).await;
    answer.assert_refused(500, -32603);
    assert!(logs.text().contains("the key `name` is used twice"), "{}", logs.text());
}

/// Servers of two releases that share everything but the tool `t`.
fn releases<M, N, A, B>(old: A, new: B) -> (Server, Server)
where
    A: anypod_server::Handler<anypod_server::proto::tools::CallToolResult, M>,
    B: anypod_server::Handler<anypod_server::proto::tools::CallToolResult, N>,
{
    let world = World::default();
    let build = |tool| base(&world).tool(tool).build().expect("it builds");
    (build(Tool::new("t", old)), build(Tool::new("t", new)))
}

async fn upgraded(old: &Server, new: &Server) -> Answer {
    let question = ask("t", json!({})).send(old).await;
    assert_eq!(asked(&question), ["name"]);
    ask("t", json!({})).resume(&question, json!({ "name": ann() })).send(new).await
}

#[tokio::test]
async fn a_journal_that_a_changed_handler_does_not_write_is_a_clear_error() {
    let older = async |cx: Cx| -> Result<String> {
        cx.step("load", async || Ok::<_, Error>(1)).await?;
        one(cx).await
    };
    let other_question = async |cx: Cx| -> Result<String> {
        cx.step("load", async || Ok::<_, Error>(1)).await?;
        cx.ask("name", form::<Name>("May I delete everything?")).await?;
        Ok("deleted".to_owned())
    };
    let no_step = one;
    let step_for_question = async |cx: Cx| -> Result<String> {
        cx.step("load", async || Ok::<_, Error>(1)).await?;
        cx.step("name", async || Ok::<_, Error>(1)).await?;
        Ok("stepped".to_owned())
    };
    let asks_no_more = async |cx: Cx| -> Result<String> {
        cx.step("load", async || Ok::<_, Error>(1)).await?;
        Ok("no questions".to_owned())
    };
    let (old, new) = releases(older, other_question);
    let outcomes = [
        (upgraded(&old, &new).await, "name"),
        {
            let (old, new) = releases(older, no_step);
            (upgraded(&old, &new).await, "load")
        },
        {
            let (old, new) = releases(older, step_for_question);
            (upgraded(&old, &new).await, "name")
        },
        {
            let (old, new) = releases(older, asks_no_more);
            (upgraded(&old, &new).await, "name")
        },
    ];
    for (answer, key) in outcomes {
        assert_eq!(answer.error()["code"], -32603, "{}", answer.response());
        let message = answer.error()["message"].as_str().expect("text");
        assert!(message.contains(&format!("`{key}`")) && message.contains("call again from the start"), "{message}");
    }
}

#[tokio::test]
async fn a_step_that_fails_is_not_kept_and_runs_again() {
    let tries = Arc::new(AtomicU64::new(0));
    let flaky = async |State(tries): Count, cx: Cx| -> Result<String> {
        let tried = cx
            .step("try", async || match tries.fetch_add(1, Ordering::Relaxed) {
                0 => Err(Error::tool("not yet")),
                n => Ok(n),
            })
            .await;
        cx.ask("name", form::<Name>("Who are you?")).await?;
        Ok(format!("{tried:?}"))
    };
    let server =
        base(&World::default()).state(Arc::clone(&tries)).tool(Tool::new("t", flaky)).build().expect("it builds");
    let question = ask("t", json!({})).send(&server).await;
    let done = ask("t", json!({})).resume(&question, json!({ "name": ann() })).send(&server).await;
    assert_eq!((done.text(), tries.load(Ordering::Relaxed)), ("Ok(1)", 2));
}

#[tokio::test]
async fn a_step_that_gives_nothing_is_kept_too() {
    let count = Arc::new(AtomicU64::new(0));
    let tool = async |State(count): Count, cx: Cx| -> Result<String> {
        cx.step("unit", async || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<(), Error>(())
        })
        .await?;
        one(cx).await
    };
    let server =
        base(&World::default()).state(Arc::clone(&count)).tool(Tool::new("t", tool)).build().expect("it builds");
    let question = ask("t", json!({})).send(&server).await;
    ask("t", json!({})).resume(&question, json!({ "name": ann() })).send(&server).await.text();
    assert_eq!(count.load(Ordering::Relaxed), 1);
}
