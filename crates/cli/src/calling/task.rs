//! `anypod task`: looks at a task of a server, answers it, cancels it or waits for it, from anywhere.

use anypod_client::Raw;
use anypod_client::proto::jsonrpc::JsonObject;
use anypod_client::proto::rounds::InputResponse;
use anypod_client::proto::tasks::{DetailedTask, GetTaskResult, TaskState, TaskStatus};
use anypod_client::proto::tools::CallToolResult;

use super::exit::{self, Exit};
use super::target::{Format, Target, TargetArgs};
use super::{call, read_json, show, single};
use crate::output::{self, clean};

/// The subcommands of `anypod task`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TaskCommand {
    /// Say how a task is now.
    Get(TaskArgs),
    /// Wait for the result of a task, and answer what it asks.
    Wait(TaskArgs),
    /// Cancel a task.
    Cancel(TaskArgs),
    /// Answer open questions of a task.
    Update(UpdateArgs),
}

impl TaskCommand {
    pub(super) const fn target(&self) -> &TargetArgs {
        match self {
            Self::Get(args) | Self::Wait(args) | Self::Cancel(args) => &args.target,
            Self::Update(args) => &args.target,
        }
    }
}

/// The flags of most of them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = exit::help("Examples, to wait for a task:\n  anypod call --detach https://pods.example/mcp reindex shelf=4\n  \
                  anypod task wait https://pods.example/mcp 6f1c…")
)]
pub(crate) struct TaskArgs {
    /// The URL of the server, and the id of the task.
    #[arg(value_name = "URL ID")]
    words: Vec<String>,
    #[command(flatten)]
    target: TargetArgs,
}

/// The flags of `anypod task update`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = exit::help("Example:\n  anypod task update https://pods.example/mcp 6f1c… \
                  --json '{\"stay\":{\"action\":\"accept\",\"content\":{\"nights\":2}}}'")
)]
pub(crate) struct UpdateArgs {
    /// The URL of the server, and the id of the task.
    #[arg(value_name = "URL ID")]
    words: Vec<String>,
    /// The answers by the keys of the questions, as a JSON object: '{…}', @file, or - for standard input.
    #[arg(long, value_name = "JSON")]
    json: String,
    #[command(flatten)]
    target: TargetArgs,
}

/// Does what the subcommand says.
///
/// # Errors
/// A [`Usage`](crate::usage::Usage) if no server or no task is named; otherwise as the client says.
pub(super) async fn run(command: TaskCommand) -> anyhow::Result<Exit> {
    match command {
        TaskCommand::Get(args) => {
            let (target, id) = open(&args.target, &args.words)?;
            get(&target, &id).await
        }
        TaskCommand::Wait(args) => {
            let (target, id) = open(&args.target, &args.words)?;
            wait(&target, &id).await
        }
        TaskCommand::Cancel(args) => {
            let (target, id) = open(&args.target, &args.words)?;
            target.client.task::<Raw>(&id).cancel().await?;
            output::note("task", &format!("{id}: the server knows that it is no longer wanted"));
            Ok(Exit::Done)
        }
        TaskCommand::Update(args) => {
            let (target, id) = open(&args.target, &args.words)?;
            let answers = read_json(&args.json)?;
            let responses = answers.into_iter().map(|(key, value)| (key, InputResponse(value))).collect();
            target.client.task::<Raw>(&id).update(&responses).await?;
            output::note("task", &format!("{id}: the server has the answers"));
            Ok(Exit::Done)
        }
    }
}

fn open(target: &TargetArgs, words: &[String]) -> anyhow::Result<(Target, String)> {
    let (target, rest) = target.open(words)?;
    Ok((target, single(rest, "the id of a task")?))
}

async fn get(target: &Target, id: &str) -> anyhow::Result<Exit> {
    let task = target.client.task::<Raw>(id).get().await?;
    match target.format {
        Format::Json => {
            let result = serde_json::to_string(&GetTaskResult::new(task.clone()))?;
            output::result(&format!("{}\n", clean::json(&result)))?;
        }
        Format::Human => output::result(&describe(&task)?)?,
    }
    Ok(match task.status() {
        TaskStatus::Failed | TaskStatus::Cancelled => Exit::Tool,
        TaskStatus::Working | TaskStatus::InputRequired | TaskStatus::Completed => Exit::Done,
    })
}

/// Waits for the result, which is that of a tool: nothing else becomes a task as yet.
async fn wait(target: &Target, id: &str) -> anyhow::Result<Exit> {
    match target.format {
        Format::Json => {
            let raw = Box::pin(target.client.task::<Raw>(id).wait()).await?;
            output::result(&format!("{}\n", clean::json(raw.as_str())))?;
            Ok(call::ended(&raw.read()?))
        }
        Format::Human => {
            let result = Box::pin(target.client.task::<CallToolResult>(id).wait()).await?;
            call::print(&result)
        }
    }
}

fn describe(task: &DetailedTask) -> anyhow::Result<String> {
    let mut out = format!("task     {}\n", clean::line(&task.task_id));
    let status = match task.status() {
        TaskStatus::Working => "working",
        TaskStatus::InputRequired => "waits for answers",
        TaskStatus::Completed => "completed",
        TaskStatus::Failed => "failed",
        TaskStatus::Cancelled => "cancelled",
    };
    out.push_str(&format!("status   {status}\n"));
    if let Some(message) = &task.status_message {
        out.push_str(&format!("message  {}\n", clean::line(message)));
    }
    let (created, updated) = (clean::line(&task.created_at), clean::line(&task.last_updated_at));
    out.push_str(&format!("created  {created}\nupdated  {updated}\n"));
    match &task.state {
        TaskState::Working | TaskState::Cancelled => {}
        TaskState::InputRequired(questions) => {
            let keys: Vec<&str> = questions.keys().map(String::as_str).collect();
            out.push_str(&format!("asks     {}\n", clean::line(&keys.join(", "))));
        }
        TaskState::Completed(outcome) => {
            let text = outcome.read::<CallToolResult>().map(|result| show::tool_result(&result));
            out.push('\n');
            out.push_str(&text.or_else(|_| outcome.read::<JsonObject>().map(|value| clean::pretty(&value.into())))?);
        }
        TaskState::Failed(error) => {
            out.push_str(&format!("error    {}: {}\n", error.code, clean::line(&error.message)));
        }
    }
    Ok(out)
}
