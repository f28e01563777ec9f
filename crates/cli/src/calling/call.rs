//! `anypod call`: runs a tool.

use anypod_client::proto::tools::{CallToolResult, Tool};
use anypod_client::{Raw, Started};

use super::arguments::{self, Word};
use super::exit::{self, Exit};
use super::target::{Format, Target, TargetArgs};
use super::{list, read_file, read_json, show};
use crate::output::{self, clean};
use crate::usage::Usage;

/// The flags of `anypod call`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "anypod call [OPTIONS] <URL> <TOOL> [ARGUMENT]...\n       \
                      anypod call [OPTIONS] <TOOL> [ARGUMENT]... -- <COMMAND>...",
    after_help = exit::help("Examples:\n  anypod call http://127.0.0.1:8080/mcp add a=1 b=2\n  \
                  anypod call add a=1 b=2 -- anypod demo --stdio\n  \
                  anypod call https://pods.example/mcp import --json @orders.json --output json")
)]
pub(crate) struct CallArgs {
    /// The URL of the server, the tool, and the tool's arguments as key=text.
    ///
    /// The tool's schema says what a text becomes: 1 is a number where a number is wanted, and a text where a text is.
    /// A list is given by repeating its key, what is inside of an object with dots (a.b=1). key:=json gives any JSON,
    /// key=@file the text in a file, key=@@text a text that begins with @.
    #[arg(value_name = "URL TOOL ARGUMENT")]
    words: Vec<String>,
    /// The arguments as a JSON object, sent as it is: '{…}', @file, or - for standard input.
    #[arg(long, value_name = "JSON")]
    json: Option<String>,
    /// Do not wait where the server makes a task of the call: print the task's id, for `anypod task`.
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// Calls the tool and prints its result.
///
/// # Errors
/// A [`Usage`] if the words are no call of a tool that the server has; otherwise as the client says.
pub(super) async fn run(args: CallArgs) -> anyhow::Result<Exit> {
    let (target, words) = args.target.open(&args.words)?;
    let Some((name, words)) = words.split_first() else { return unnamed(&target).await };
    let words = words.iter().map(|word| Word::parse(word, read_file)).collect::<Result<Vec<_>, _>>()?;
    let given = args.json.as_deref().map(read_json).transpose()?;
    let arguments = match given {
        // What is given as JSON is sent as it is, to a tool that need not be listed.
        Some(given) if words.is_empty() => given,
        given => {
            let tools = target.client.tools().cache(target.cache()).await?;
            let tool = find(&tools, name)?;
            arguments::build(&tool.input_schema, given, words)
                .map_err(|usage| usage.hint(&format!("{name} {}", arguments::usage(&tool.input_schema))))?
        }
    };
    let request = target.with_options(target.client.call(name, arguments));
    match (target.format, args.detach) {
        (Format::Json, false) => print_raw(&request.raw().await?),
        (Format::Human, false) => print(&request.await?),
        (format, true) => match request.raw().detach().await? {
            Started::Task(task) => {
                let line = match format {
                    Format::Json => clean::json(&serde_json::json!({ "taskId": task.id() }).to_string()),
                    Format::Human => clean::line(task.id()).into_owned(),
                };
                output::result(&format!("{line}\n"))?;
                Ok(Exit::Done)
            }
            Started::Done(raw) => match format {
                Format::Json => print_raw(&raw),
                Format::Human => print(&raw.read()?),
            },
        },
    }
}

/// Prints a result as the server sent it.
fn print_raw(raw: &Raw) -> anyhow::Result<Exit> {
    output::result(&format!("{}\n", clean::json(raw.as_str())))?;
    Ok(ended(&raw.read()?))
}

/// Prints a result for people.
///
/// # Errors
/// When nobody reads it.
pub(super) fn print(result: &CallToolResult) -> anyhow::Result<Exit> {
    let text = show::tool_result(result);
    match result.failed() {
        true => output::failure(&text),
        false => output::result(&text)?,
    }
    Ok(ended(result))
}

/// How a call with this result ends.
pub(super) fn ended(result: &CallToolResult) -> Exit {
    if result.failed() { Exit::Tool } else { Exit::Done }
}

/// Says which tools there are to whoever names none.
async fn unnamed(target: &Target) -> anyhow::Result<Exit> {
    let tools = target.client.tools().cache(target.cache()).await?;
    output::table(&list::tool_table(&tools))?;
    Err(Usage::new("no tool is named: write one, and its arguments as key=text, after the URL or before --").into())
}

fn find<'a>(tools: &'a [Tool], name: &str) -> Result<&'a Tool, Usage> {
    tools.iter().find(|tool| tool.name == name).ok_or_else(|| {
        let hint = match arguments::closest(name, tools.iter().map(|tool| tool.name.as_str())) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`anypod tools` lists what there is".to_owned(),
        };
        Usage::new(format!("the server lists no tool `{name}`; {hint} --json calls it all the same"))
    })
}
