//! Prompts, as they are given to a server.

use std::collections::BTreeMap;

use anypod_proto::implementation::Icon;
use anypod_proto::prompts::{self, GetPromptResult, PromptArgument};
use serde_json::Value;

use crate::completion::Completer;
use crate::extract::Needs;
use crate::handler::{Boxed, Handler, Suggestions, boxed};

/// A prompt: a name, a handler that renders it, and what its arguments are.
///
/// ```
/// use anypod_server::{Args, Partial, Prompt, Server, Suggestions};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Review {
///     /// The language of the code
///     language: String,
///     /// How many remarks at most
///     remarks: Option<u8>,
/// }
///
/// async fn review(Args(Review { language, remarks }): Args<Review>) -> String {
///     format!("Review this {language} code in at most {} remarks.", remarks.unwrap_or(5))
/// }
///
/// async fn languages(partial: Partial) -> Suggestions {
///     ["C", "Go", "Rust"].into_iter().filter(|name| name.starts_with(&partial.value)).map(str::to_owned).collect()
/// }
///
/// let review = Prompt::new("review", review).description("Reviews code").complete("language", languages);
/// Server::new("reviewer", "1.0.0").prompt(review).build().unwrap();
/// ```
pub struct Prompt {
    pub(crate) definition: prompts::Prompt,
    pub(crate) handler: Boxed<GetPromptResult>,
    pub(crate) needs: Needs,
    pub(crate) completers: BTreeMap<String, Completer>,
}

impl Prompt {
    /// A prompt. Its arguments are the fields of the handler's `Args<T>`. They arrive as text, so the fields are
    /// text, numbers, booleans, enums without contents, or an `Option` of these.
    pub fn new<M, H: Handler<GetPromptResult, M>>(name: impl Into<String>, handler: H) -> Self {
        let needs = H::needs();
        let mut definition = prompts::Prompt::new(name);
        definition.arguments = needs.arguments.as_ref().map(arguments);
        Self { definition, handler: boxed(handler), needs, completers: BTreeMap::new() }
    }

    /// What the prompt is for.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.definition.description = Some(description.into());
        self
    }

    /// The name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.definition.title = Some(title.into());
        self
    }

    /// Pictures for the prompt.
    #[must_use]
    pub fn icons(mut self, icons: Vec<Icon>) -> Self {
        self.definition.icons = Some(icons);
        self
    }

    /// The arguments, in place of the derived ones.
    #[must_use]
    pub fn arguments(mut self, arguments: Vec<PromptArgument>) -> Self {
        self.definition.arguments = Some(arguments);
        self
    }

    /// Suggests values for `argument`. The handler takes a [`Partial`](crate::Partial) besides the usual extractors.
    #[must_use]
    pub fn complete<M, H: Handler<Suggestions, M>>(mut self, argument: impl Into<String>, handler: H) -> Self {
        self.completers.insert(argument.into(), Completer::new(handler));
        self
    }
}

/// The arguments that a schema's properties stand for.
fn arguments(schema: &Value) -> Vec<PromptArgument> {
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|entry| entry == name));
    let properties = schema["properties"].as_object();
    properties
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let mut argument = PromptArgument::optional(name.as_str());
            argument.description = property["description"].as_str().map(str::to_owned);
            argument.title = property["title"].as_str().map(str::to_owned);
            argument.required = Some(is_required(name));
            argument
        })
        .collect()
}
