//! Tools that ask the client: in one round, in several, several questions at once.

#![expect(deprecated, reason = "clients still try the deprecated features")]

use anypod_server::proto::capabilities::ClientCapabilities;
use anypod_server::proto::sampling::{CreateMessageRequestParams, CreateMessageResult, SamplingMessage};
use anypod_server::{
    Args, Cx, Form, Reply, Result, Sample, ServerBuilder, Tool, form, form_with_schema, roots, sample,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) fn offer(server: ServerBuilder) -> ServerBuilder {
    let server = server
        .tool(Tool::new("test_sampling", sampling).description("Asks the client's model"))
        .tool(Tool::new("test_elicitation", elicitation).description("Asks the person"))
        .tool(Tool::new("test_elicitation_sep1034_defaults", defaults).description("Asks with defaults of all kinds"))
        .tool(Tool::new("test_elicitation_sep1330_enums", enums).description("Asks with choices of all kinds"))
        .tool(Tool::new("test_missing_capability", only_sampling).description("Needs a client that samples"))
        .tool(Tool::new("test_streaming_elicitation", ask_name).description("Asks without a request on the stream"));
    let rounds: [(&str, Tool); 8] = [
        ("elicitation", Tool::new(round("elicitation"), ask_name)),
        ("sampling", Tool::new(round("sampling"), only_sampling)),
        ("list_roots", Tool::new(round("list_roots"), list_roots)),
        ("request_state", Tool::new(round("request_state"), confirm)),
        ("multiple_inputs", Tool::new(round("multiple_inputs"), everything)),
        ("multi_round", Tool::new(round("multi_round"), two_rounds)),
        ("tampered_state", Tool::new(round("tampered_state"), confirm)),
        ("capabilities", Tool::new(round("capabilities"), whatever_it_can)),
    ];
    rounds.into_iter().fold(server, |server, (what, tool)| {
        server.tool(tool.description(format!("Answers when the client comes back with its input: {what}")))
    })
}

fn round(what: &str) -> String {
    format!("test_input_required_result_{what}")
}

#[derive(Deserialize, JsonSchema)]
struct Prompt {
    /// What to ask the model.
    prompt: String,
}

async fn sampling(Args(Prompt { prompt }): Args<Prompt>, cx: Cx) -> Result<String> {
    let said = cx.ask("completion", one_message(prompt)).await?;
    Ok(format!("LLM response: {}", spoken(&said)))
}

fn one_message(prompt: impl Into<String>) -> Sample {
    sample(CreateMessageRequestParams::new(vec![SamplingMessage::user(prompt.into())], 100))
}

fn spoken(said: &CreateMessageResult) -> String {
    said.content.texts().collect()
}

#[derive(Deserialize, JsonSchema)]
struct Message {
    /// What to tell the person.
    message: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct User {
    /// The person's name
    username: String,
    /// Where to write to
    #[schemars(email)]
    email: String,
}

async fn elicitation(Args(Message { message }): Args<Message>, cx: Cx) -> Result<String> {
    let user = cx.ask("user", form::<User>(message)).await?;
    Ok(format!("User response: {}", outcome(user)))
}

async fn defaults(cx: Cx) -> Result<String> {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "description": "A name", "default": "John Doe" },
            "age": { "type": "integer", "description": "An age", "default": 30 },
            "score": { "type": "number", "description": "A score", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "description": "Whether it was checked", "default": true },
        },
        "required": [],
    });
    let filled = cx.ask("defaults", form_with_schema("Please review the values", schema)).await?;
    Ok(format!("Elicitation completed: {}", outcome(filled)))
}

async fn enums(cx: Cx) -> Result<String> {
    let titled = |what: &str| {
        let choices = ["First", "Second", "Third"].iter().zip(1..);
        let choices = choices.map(
            |(ordinal, number)| json!({ "const": format!("value{number}"), "title": format!("{ordinal} {what}") }),
        );
        Value::from_iter(choices)
    };
    let schema = json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": ["option1", "option2", "option3"] },
            "titledSingle": { "type": "string", "oneOf": titled("Option") },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": ["option1", "option2", "option3"] } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
        },
        "required": [],
    });
    let chosen = cx.ask("choices", form_with_schema("Please choose", schema)).await?;
    Ok(format!("Elicitation completed: {}", outcome(chosen)))
}

/// What the person did, as the suite words it.
fn outcome(reply: Reply<impl Serialize>) -> String {
    match reply {
        Reply::Accepted(content) => format!("action=accept, content={}", json!(content)),
        Reply::Declined => "action=decline".to_owned(),
        Reply::Cancelled => "action=cancel".to_owned(),
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Name {
    /// A name
    name: String,
}

/// The question that most rounds of the suite are about.
fn name() -> Form<Name> {
    form("What is your name?")
}

async fn ask_name(cx: Cx) -> Result<String> {
    let name = cx.ask("user_name", name()).await?;
    Ok(format!("Hello: {}", outcome(name)))
}

async fn only_sampling(cx: Cx) -> Result<String> {
    let said = cx.ask("capital_question", one_message("What is the capital of France?")).await?;
    Ok(spoken(&said))
}

async fn list_roots(cx: Cx) -> Result<String> {
    let roots = cx.ask("client_roots", roots()).await?;
    Ok(format!("{} roots", roots.len()))
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Confirmation {
    /// Whether to go on
    ok: bool,
}

async fn confirm(cx: Cx) -> Result<String> {
    let confirmed = cx.ask("confirm", form::<Confirmation>("Please confirm")).await?;
    Ok(format!("state-ok: {}", outcome(confirmed)))
}

async fn everything(cx: Cx) -> Result<String> {
    let (name, greeting, roots) = tokio::try_join!(
        cx.ask("user_name", name()),
        cx.ask("greeting", one_message("Generate a greeting")),
        cx.ask("client_roots", roots()),
    )?;
    Ok(format!("{}; {}; {} roots", outcome(name), spoken(&greeting), roots.len()))
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Colour {
    /// A colour
    color: String,
}

async fn two_rounds(cx: Cx) -> Result<String> {
    let name = cx.ask("step1", form::<Name>("Step 1: What is your name?")).await?;
    let colour = cx.ask("step2", form::<Colour>("Step 2: What is your favorite color?")).await?;
    Ok(format!("{}; {}", outcome(name), outcome(colour)))
}

/// Asks in the way that the client declared.
async fn whatever_it_can(cx: Cx) -> Result<String> {
    let ClientCapabilities { sampling, elicitation, .. } = cx.client_capabilities();
    match (sampling, elicitation) {
        (Some(_), _) => only_sampling(cx).await,
        (None, Some(_)) => ask_name(cx).await,
        (None, None) => Ok("This client cannot be asked.".to_owned()),
    }
}
