//! Prompts: plain, with arguments and their completion, with pictures and resources, and one that asks.

use anypod_server::proto::content::{ContentBlock, TextResourceContents};
use anypod_server::proto::prompts::PromptMessage;
use anypod_server::{Args, Cx, Partial, Prompt, Result, ServerBuilder, form};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::content::PNG;

/// What the arguments complete to.
const WORDS: [&str; 3] = ["paris", "park", "party"];

pub(crate) fn offer(server: ServerBuilder) -> ServerBuilder {
    server
        .prompt(Prompt::new("test_simple_prompt", simple).description("A prompt without arguments"))
        .prompt(
            Prompt::new("test_prompt_with_arguments", with_arguments)
                .description("A prompt with two arguments")
                .complete("arg1", complete)
                .complete("arg2", complete),
        )
        .prompt(
            Prompt::new("test_prompt_with_embedded_resource", with_resource).description("A prompt with a resource"),
        )
        .prompt(Prompt::new("test_prompt_with_image", with_image).description("A prompt with a picture"))
        .prompt(Prompt::new("test_input_required_result_prompt", asking).description("A prompt that asks first"))
}

async fn simple() -> &'static str {
    "This is a simple prompt for testing."
}

#[derive(Deserialize, JsonSchema)]
struct Two {
    /// The first one
    arg1: String,
    /// The second one
    arg2: String,
}

async fn with_arguments(Args(Two { arg1, arg2 }): Args<Two>) -> String {
    format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")
}

async fn complete(partial: Partial) -> Vec<&'static str> {
    WORDS.into_iter().filter(|word| word.starts_with(&partial.value)).collect()
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Embedded {
    /// The resource to embed
    resource_uri: String,
}

async fn with_resource(Args(Embedded { resource_uri }): Args<Embedded>) -> Vec<PromptMessage> {
    let text = TextResourceContents::new(resource_uri, "Embedded resource content for testing.");
    vec![
        PromptMessage::user(ContentBlock::embedded(text.with_mime_type("text/plain"))),
        PromptMessage::user("Please process the embedded resource above."),
    ]
}

async fn with_image() -> Vec<PromptMessage> {
    vec![
        PromptMessage::user(ContentBlock::image(PNG, "image/png")),
        PromptMessage::user("Please analyze the image above."),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Context {
    /// What the prompt is to be about
    context: String,
}

async fn asking(cx: Cx) -> Result<String> {
    let context = cx.ask("user_context", form::<Context>("What context should the prompt use?")).await?;
    Ok(match context.into_accepted() {
        Some(Context { context }) => format!("Use this context: {context}"),
        None => "Use no context.".to_owned(),
    })
}
