//! `anypod tools`, `prompts`, `resources` and `templates`: what a server offers.

use std::collections::HashSet;

use anypod_client::proto::jsonrpc::{Cursor, JsonObject};
use anypod_client::proto::prompts::Prompt;
use anypod_client::proto::resources::{Resource, ResourceTemplate};
use anypod_client::proto::tools::Tool;
use anypod_client::{Broken, Error, Limits, Request};
use serde::Deserialize;

use super::exit::{self, Exit};
use super::target::{Format, Target, TargetArgs};
use super::{arguments, show};
use crate::output::table::Table;
use crate::output::{self, clean};
use crate::usage::Usage;

/// The flags of the subcommands that list.
#[derive(Debug, clap::Args)]
#[command(
    after_help = exit::help("Examples, for tools:\n  anypod tools http://127.0.0.1:8080/mcp\n  anypod tools -- anypod demo --stdio\n  \
                  anypod tools https://pods.example/mcp --output json")
)]
pub(crate) struct ListArgs {
    /// The URL of the server.
    #[arg(value_name = "URL")]
    words: Vec<String>,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

impl ListArgs {
    fn open(&self) -> anyhow::Result<Target> {
        let (target, rest) = self.target.open(&self.words)?;
        match rest.first() {
            None => Ok(target),
            Some(word) => Err(Usage::new(format!("`{word}` is one word too many")).into()),
        }
    }
}

/// Lists the tools.
///
/// # Errors
/// As all of these: a [`Usage`] if no server is named; otherwise as the client says.
pub(super) async fn tools(args: ListArgs) -> anyhow::Result<Exit> {
    let target = args.open()?;
    match target.format {
        Format::Json => pages(&target, |cursor| target.client.tools_page(cursor)).await,
        Format::Human => print(&tool_table(&target.client.tools().cache(target.cache()).await?)),
    }
}

/// Lists the prompts.
pub(super) async fn prompts(args: ListArgs) -> anyhow::Result<Exit> {
    let target = args.open()?;
    match target.format {
        Format::Json => pages(&target, |cursor| target.client.prompts_page(cursor)).await,
        Format::Human => print(&prompt_table(&target.client.prompts().cache(target.cache()).await?)),
    }
}

/// Lists the resources.
pub(super) async fn resources(args: ListArgs) -> anyhow::Result<Exit> {
    let target = args.open()?;
    match target.format {
        Format::Json => pages(&target, |cursor| target.client.resources_page(cursor)).await,
        Format::Human => print(&resource_table(&target.client.resources().cache(target.cache()).await?)),
    }
}

/// Lists the resource templates.
pub(super) async fn templates(args: ListArgs) -> anyhow::Result<Exit> {
    let target = args.open()?;
    match target.format {
        Format::Json => pages(&target, |cursor| target.client.resource_templates_page(cursor)).await,
        Format::Human => print(&template_table(&target.client.resource_templates().cache(target.cache()).await?)),
    }
}

fn print(table: &Table) -> anyhow::Result<Exit> {
    output::table(table)?;
    Ok(Exit::Done)
}

/// Prints every page as the server sent it.
async fn pages<T>(target: &Target, page: impl Fn(Option<&Cursor>) -> Request<T>) -> anyhow::Result<Exit> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Next {
        next_cursor: Option<Cursor>,
    }
    let limit = Limits::default().list_pages;
    let mut seen = HashSet::new();
    let mut cursor = None;
    for _ in 0..limit {
        let raw = target.with_options(page(cursor.as_ref())).raw().await?;
        output::result(&format!("{}\n", clean::json(raw.as_str())))?;
        let Next { next_cursor: Some(next) } = raw.read()? else { return Ok(Exit::Done) };
        if !seen.insert(next.clone()) {
            return Err(Error::from(Broken::EndlessList).into());
        }
        cursor = Some(next);
    }
    Err(Error::from(Broken::TooMuch { what: "pages of a list", limit }).into())
}

/// Tools, with their arguments as they are typed.
pub(super) fn tool_table(tools: &[Tool]) -> Table {
    let mut table = Table::new(&["TOOL", "ARGUMENTS", "DESCRIPTION"]);
    for tool in tools {
        let said = tool.description.as_deref().or(tool.title.as_deref());
        table.push([tool.name.clone(), arguments::usage(&tool.input_schema), said.unwrap_or_default().to_owned()]);
    }
    table
}

fn prompt_table(prompts: &[Prompt]) -> Table {
    let mut table = Table::new(&["PROMPT", "ARGUMENTS", "DESCRIPTION"]);
    for prompt in prompts {
        let arguments = prompt.arguments.iter().flatten().map(|argument| match argument.required {
            Some(true) => format!("{}=<text>", argument.name),
            Some(false) | None => format!("[{}=<text>]", argument.name),
        });
        let said = prompt.description.as_deref().or(prompt.title.as_deref());
        table.push([prompt.name.clone(), arguments.collect::<Vec<_>>().join(" "), said.unwrap_or_default().to_owned()]);
    }
    table
}

fn resource_table(resources: &[Resource]) -> Table {
    let mut table = Table::new(&["URI", "NAME", "TYPE", "SIZE", "DESCRIPTION"]);
    for resource in resources {
        let size = resource.size.and_then(|size| usize::try_from(size).ok()).map(show::size);
        let kind = resource.mime_type.clone().unwrap_or_default();
        let said = resource.description.clone().or_else(|| resource.title.clone());
        let cells = [resource.uri.clone(), resource.name.clone(), kind, size.unwrap_or_default()];
        table.push(cells.into_iter().chain([said.unwrap_or_default()]));
    }
    table
}

fn template_table(templates: &[ResourceTemplate]) -> Table {
    let mut table = Table::new(&["TEMPLATE", "NAME", "TYPE", "DESCRIPTION"]);
    for template in templates {
        let kind = template.mime_type.clone().unwrap_or_default();
        let said = template.description.clone().or_else(|| template.title.clone());
        table.push([template.uri_template.clone(), template.name.clone(), kind, said.unwrap_or_default()]);
    }
    table
}

/// What a server says of itself that is a list of names with settings.
pub(super) fn names(settings: Option<&std::collections::BTreeMap<String, JsonObject>>) -> String {
    settings.into_iter().flatten().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}
