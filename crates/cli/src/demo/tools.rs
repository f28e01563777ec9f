//! The tools that every tour of a server begins with.

use std::time::Duration;

use anypod_server::{Args, AsTask, Cx, Error, Json, Result, ServerBuilder, State, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pod;

pub(super) fn offer(server: ServerBuilder) -> ServerBuilder {
    server
        .tool(Tool::new("add", add).description("Adds two numbers"))
        .tool(Tool::new("echo", echo).description("Says the text back"))
        .tool(Tool::new("whoami", whoami).description("Says which pod answers"))
        .tool(Tool::new("countdown", countdown).description("Counts down, a second at a time, and reports progress"))
        .tool(
            Tool::new("relay_race", relay_race)
                .description("Runs laps of a second each, and says which pod ran each: a task, if you know tasks")
                .task(AsTask::when_declared()),
        )
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    /// The one
    a: i64,
    /// The other
    b: i64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: i64,
}

async fn add(Args(Add { a, b }): Args<Add>) -> Result<Json<Sum>> {
    let sum = a.checked_add(b).ok_or_else(|| Error::tool("the sum does not fit into 64 bits"))?;
    Ok(Json(Sum { sum }))
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// What to say back
    text: String,
}

async fn echo(Args(Echo { text }): Args<Echo>) -> String {
    text
}

async fn whoami(State(pod): State<Pod>) -> Json<Pod> {
    Json(pod)
}

#[derive(Deserialize, JsonSchema)]
struct Countdown {
    /// Where to begin
    #[schemars(range(min = 0, max = 60))]
    from: u8,
}

#[derive(Deserialize, JsonSchema)]
struct Laps {
    /// How many laps to run
    #[schemars(range(min = 1, max = 60))]
    laps: u8,
}

#[derive(Serialize, JsonSchema)]
struct Race {
    /// Who ran each lap
    laps: Vec<Pod>,
}

/// Whoever dies on the way has run what it has run: another pod goes on from there.
async fn relay_race(Args(Laps { laps }): Args<Laps>, State(pod): State<Pod>, cx: Cx) -> Result<Json<Race>> {
    let mut ran = Vec::with_capacity(laps.into());
    for lap in 1..=laps {
        cx.progress(f64::from(lap), Some(f64::from(laps)), Some("running"));
        let run = async || {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, Error>(pod)
        };
        ran.push(cx.step(&format!("lap {lap}"), run).await?);
    }
    Ok(Json(Race { laps: ran }))
}

async fn countdown(Args(Countdown { from }): Args<Countdown>, cx: Cx) -> &'static str {
    for done in 0..from {
        let left = format!("{} …", from - done);
        cx.progress(f64::from(done), Some(f64::from(from)), Some(&left));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    "Lift-off!"
}
