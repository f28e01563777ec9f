//! Tools whose calls become tasks, and the store that they are kept in.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anypod_server::store::{self, Memory, Millis, Options, Store};
use anypod_server::{Args, AsTask, Cx, Error as Failure, Json, Result, ServerBuilder, Tasks, Tool, form};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// How long clients wait between two looks.
const POLL: Duration = Duration::from_millis(200);

/// Opens the store at `url`, which all pods share; without one, this pod has its own.
pub(crate) async fn open(url: Option<&str>) -> std::result::Result<Arc<dyn Store>, Box<dyn Error>> {
    match url {
        None => Ok(Arc::new(Memory::default())),
        Some(url) => Ok(store::open(url, Options::default(), now).await?),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock of a whole program")]
fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn offer(server: ServerBuilder, store: Arc<dyn Store>) -> ServerBuilder {
    let tasks = Tasks::new(Arc::clone(&store)).poll(POLL).lease(Duration::from_secs(3));
    server
        .store(store)
        .extension(tasks)
        .tool(Tool::new("greet", greet).description("Greets at once").task(AsTask::never()))
        .tool(Tool::new("slow_compute", slow_compute).description("Takes its time").task(AsTask::when_declared()))
        .tool(Tool::new("failing_job", failing_job).description("Fails after a while").task(AsTask::always()))
        .tool(
            Tool::new("protocol_error_job", protocol_error_job)
                .description("Ends with an error of the protocol")
                .task(AsTask::always()),
        )
        .tool(Tool::new("confirm_delete", confirm_delete).description("Asks before it goes on").task(AsTask::always()))
        .tool(Tool::new("multi_input", multi_input).description("Asks two things at once").task(AsTask::always()))
        .tool(
            Tool::new("rarely_polled", slow_compute)
                .description("Takes its time, and wants to be left alone for a minute")
                .task(AsTask::when_declared().poll(Duration::from_mins(1))),
        )
        .tool(
            Tool::new("short_lived", short_lived)
                .description("Takes longer than it may be there")
                .task(AsTask::always().ttl(Some(Duration::from_secs(1)))),
        )
        .tool(
            Tool::new("test_tool_with_task", named_first)
                .description("Asks, and then becomes a task")
                .task(AsTask::always().from_within()),
        )
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

async fn greet(Args(Name { name }): Args<Name>) -> String {
    format!("Hello, {name}!")
}

#[derive(Deserialize, JsonSchema)]
struct Work {
    /// How long to work
    #[serde(default)]
    seconds: f64,
    /// What to call the result
    #[serde(default)]
    label: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Done {
    label: String,
    seconds: f64,
}

async fn slow_compute(Args(Work { seconds, label }): Args<Work>, cx: Cx) -> Result<Json<Done>> {
    let work = async || {
        sleep(Duration::from_secs_f64(seconds.clamp(0.0, 60.0))).await;
        Ok::<_, Failure>(Done { label, seconds })
    };
    cx.step("compute", work).await.map(Json)
}

async fn failing_job() -> Result<String> {
    sleep(Duration::from_secs(1)).await;
    Err(Failure::tool("the job failed"))
}

async fn short_lived(cx: Cx) -> Result<String> {
    cx.ask("patience", form::<Confirm>("How long may it take?")).await?;
    Ok("somebody has answered".to_owned())
}

async fn protocol_error_job() -> Result<String> {
    Err(Failure::protocol(-32603, "the job cannot be done"))
}

#[derive(Deserialize, JsonSchema)]
struct File {
    filename: String,
}

#[derive(Deserialize, JsonSchema)]
struct Confirm {
    /// Whether to go on
    #[serde(default)]
    confirm: bool,
}

async fn confirm_delete(Args(File { filename }): Args<File>, cx: Cx) -> Result<String> {
    let answer = cx.ask("confirm", form::<Confirm>(format!("Delete {filename}?"))).await?;
    Ok(match answer.into_accepted() {
        Some(Confirm { confirm: true }) => format!("deleted {filename}"),
        Some(Confirm { confirm: false }) | None => format!("kept {filename}"),
    })
}

#[derive(Deserialize, JsonSchema)]
struct Said {
    /// A name
    #[serde(default)]
    name: String,
}

async fn multi_input(cx: Cx) -> Result<String> {
    let (first, second) =
        tokio::try_join!(cx.ask("first", form::<Said>("The first?")), cx.ask("second", form::<Said>("The second?")))?;
    let name = |said: Option<Said>| said.map_or_else(String::new, |said| said.name);
    Ok(format!("{} and {}", name(first.into_accepted()), name(second.into_accepted())))
}

async fn named_first(cx: Cx) -> Result<String> {
    let name = cx.ask("user_name", form::<Name>("What is your name?")).await?.into_accepted();
    cx.become_task().await?;
    Ok(format!("Hello, {}", name.map_or_else(|| "whoever you are".to_owned(), |name| name.name)))
}
