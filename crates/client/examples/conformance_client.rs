//! What the official conformance suite asks of a client, one scenario per run:
//!
//! `cargo run --release --example conformance_client -- URL`
//!
//! The suite names the scenario in `MCP_CONFORMANCE_SCENARIO`, the revision in `MCP_CONFORMANCE_PROTOCOL_VERSION` and
//! what the scenario wants besides in `MCP_CONFORMANCE_CONTEXT`, as JSON.

use std::convert::Infallible;

use anyhow::{Context as _, Result, bail};
use anypod_client::proto::capabilities::SamplingCapability;
use anypod_client::proto::elicitation::{ElicitRequestFormParams, ElicitResult};
use anypod_client::proto::jsonrpc::{JsonObject, JsonValue};
use anypod_client::proto::roots::Root;
use anypod_client::proto::rounds::{InputResponse, InputResponses};
use anypod_client::proto::sampling::CreateMessageResult;
use anypod_client::proto::version::Version;
use anypod_client::{Asked, Client, Round};
use serde::Deserialize;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    let url = std::env::args().nth(1).context("usage: conformance_client URL")?;
    let scenario = variable("MCP_CONFORMANCE_SCENARIO").context("MCP_CONFORMANCE_SCENARIO names the scenario")?;
    let revision =
        variable("MCP_CONFORMANCE_PROTOCOL_VERSION").context("MCP_CONFORMANCE_PROTOCOL_VERSION names the revision")?;
    let version = Version::parse(&revision).with_context(|| format!("{revision} is no revision"))?;
    let client = Client::builder()
        // Some of the servers take whatever comes, and would never show that they are legacy.
        .era(version.era())
        .on_form(accept_defaults)
        .on_sampling(SamplingCapability::default(), |_| async {
            Ok::<_, Infallible>(CreateMessageResult::new("conformance", "nothing"))
        })
        .on_roots(|| async { Ok::<_, Infallible>(vec![Root::new("file:///conformance")]) })
        .connect(&url)?;
    match scenario.as_str() {
        "initialize" | "request-metadata" | "json-schema-ref-no-deref" => drop(client.tools().await?),
        "tools_call" => call_once(&client, "add_numbers", json!({ "a": 5, "b": 3 })).await?,
        "elicitation-sep1034-client-defaults" => {
            call_once(&client, "test_client_elicitation_defaults", json!({})).await?;
        }
        "sse-retry" => call_once(&client, "test_reconnection", json!({})).await?,
        "http-standard-headers" => use_everything(&client).await?,
        "http-custom-headers" => call_as_told(&client).await?,
        "http-invalid-tool-headers" => call_what_is_listed(&client).await?,
        "sep-2322-client-request-state" => keep_rounds_apart(&client).await?,
        "json-schema-2020-12-preservation" => give_back_a_schema(&client).await?,
        scenario if scenario.starts_with("auth/") => call_once(&client, "test-tool", json!({})).await?,
        scenario => bail!("the scenario {scenario} is not known"),
    }
    client.close().await?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the suite tells its clients what to do by the environment")]
fn variable(name: &str) -> Result<String, std::env::VarError> {
    std::env::var(name)
}

/// Accepts every form with what its schema suggests.
async fn accept_defaults(form: ElicitRequestFormParams) -> Result<ElicitResult, Infallible> {
    let content = form.requested_schema.properties.0.iter().filter_map(|(name, field)| {
        let default = json!(field).get("default")?.clone();
        Some((name.clone(), default))
    });
    Ok(ElicitResult::accept(content.collect()))
}

/// Lists the tools and calls one.
async fn call_once(client: &Client, tool: &str, arguments: JsonValue) -> Result<()> {
    client.tools().await?;
    let result = client.call(tool, arguments).await?;
    println!("{}", json!(result.content));
    Ok(())
}

async fn use_everything(client: &Client) -> Result<()> {
    client.discover().await?;
    for tool in client.tools().await? {
        client.call(&tool.name, json!({})).await?;
    }
    for resource in client.resources().await? {
        client.read(&resource.uri).await?;
    }
    for prompt in client.prompts().await? {
        client.prompt(&prompt.name, [("", ""); 0]).await?;
    }
    Ok(())
}

async fn call_as_told(client: &Client) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        tool_calls: Vec<ToolCall>,
    }
    #[derive(Deserialize)]
    struct ToolCall {
        name: String,
        arguments: JsonObject,
    }
    let told: Told = serde_json::from_str(&variable("MCP_CONFORMANCE_CONTEXT")?)?;
    client.tools().await?;
    for ToolCall { name, arguments } in told.tool_calls {
        client.call(&name, arguments).await?;
    }
    Ok(())
}

async fn call_what_is_listed(client: &Client) -> Result<()> {
    for tool in client.tools().await? {
        client.call(&tool.name, json!({ "value": "x" })).await?;
    }
    Ok(())
}

/// Runs one call while another one waits for answers: the state of the latter must not show in the former.
async fn keep_rounds_apart(client: &Client) -> Result<()> {
    client.tools().await?;
    let Round::Asks(asked) = client.call("test_mrtr_echo_state", json!({})).round().await? else {
        bail!("no question came");
    };
    client.call("test_mrtr_unrelated", json!({})).await?;
    let responses = confirm(&asked);
    asked.answer(responses).await?;
    client.call("test_mrtr_no_state", json!({})).await?;
    client.call("test_mrtr_no_result_type", json!({})).await?;
    Ok(())
}

fn confirm<T>(asked: &Asked<T>) -> InputResponses {
    let yes = JsonObject::from_iter([("confirmed".to_owned(), true.into())]);
    let answer = |key: &String| (key.clone(), InputResponse(json!(ElicitResult::accept(yes.clone()))));
    asked.requests().keys().map(answer).collect()
}

async fn give_back_a_schema(client: &Client) -> Result<()> {
    let tools = client.tools().await?;
    let tool = tools.iter().find(|tool| tool.name == "json_schema_2020_12_tool").context("the tool is not listed")?;
    client.call("json_schema_echo", json!({ "schema": tool.input_schema })).await?;
    Ok(())
}
