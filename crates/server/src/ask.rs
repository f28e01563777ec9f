//! Questions to the client: a form, a URL to visit, a model to sample, the workspace's directories.

use std::marker::PhantomData;

use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::elicitation::{ElicitAction, ElicitRequestFormParams, ElicitRequestUrlParams, ElicitResult};
use anypod_proto::roots::{ListRootsRequestParams, ListRootsResult, Root};
use anypod_proto::rounds::InputRequest;
use anypod_proto::sampling::{CreateMessageRequestParams, CreateMessageResult};
use anypod_proto::schema::{self, Role, Schema};
use anypod_proto::uri::is_uri;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Something that [`Cx::ask`](crate::Cx::ask) can ask.
pub trait Question: Send {
    /// What a fitting answer is.
    type Answer: Send;

    /// The capabilities that the client must have declared.
    fn requires(&self) -> ClientCapabilities;

    /// What goes to the client.
    ///
    /// # Errors
    /// If the question cannot be asked, such as a form with a nested schema.
    fn request(&self) -> Result<InputRequest>;

    /// Reads the client's answer.
    ///
    /// # Errors
    /// What is wrong with it, for the client to read.
    fn answer(&self, response: Value) -> std::result::Result<Self::Answer, String>;
}

/// What the person did with a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<T> {
    /// Answered it.
    Accepted(T),
    /// Said no.
    Declined,
    /// Closed it without a choice.
    Cancelled,
}

impl<T> Reply<T> {
    /// Whether the person answered.
    pub const fn accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// The answer, if there is one.
    pub fn into_accepted(self) -> Option<T> {
        match self {
            Self::Accepted(answer) => Some(answer),
            Self::Declined | Self::Cancelled => None,
        }
    }
}

/// Asks the person to fill in a form whose fields are those of `T`: a flat struct of strings, numbers,
/// booleans and enums. Never ask for secrets this way; see [`url`].
pub fn form<T: DeserializeOwned + JsonSchema>(message: impl Into<String>) -> Form<T> {
    Form { message: message.into(), schema: None, answer: PhantomData }
}

/// Asks the person to fill in a form with a schema of your own.
pub fn form_with_schema(message: impl Into<String>, schema: Value) -> Form<Map<String, Value>> {
    Form { message: message.into(), schema: Some(schema), answer: PhantomData }
}

/// Asks the person to visit `address`, a URL, for what must not pass through the client. Put nothing secret
/// and nothing personal into it.
pub fn url(message: impl Into<String>, address: impl Into<String>) -> Url {
    Url { message: message.into(), address: address.into() }
}

/// Asks the client's model. Every tool call among the messages needs its result in the next one.
#[deprecated(note = "the specification deprecates Sampling: call a model provider's API directly")]
pub const fn sample(params: CreateMessageRequestParams) -> Sample {
    Sample { params }
}

/// Asks for the workspace's directories.
#[deprecated(note = "the specification deprecates Roots: take paths as arguments, or from the configuration")]
pub const fn roots() -> Roots {
    Roots
}

/// See [`form`].
#[derive(Debug)]
pub struct Form<T> {
    message: String,
    schema: Option<Value>,
    answer: PhantomData<fn() -> T>,
}

/// See [`url`].
#[derive(Debug)]
pub struct Url {
    message: String,
    address: String,
}

/// See [`sample`].
#[derive(Debug)]
pub struct Sample {
    params: CreateMessageRequestParams,
}

/// See [`roots`].
#[derive(Debug)]
pub struct Roots;

impl<T: DeserializeOwned + JsonSchema + Send> Form<T> {
    fn form_schema(&self) -> Value {
        match &self.schema {
            Some(schema) => schema.clone(),
            None => crate::derive::form::<T>(),
        }
    }
}

/// `Map` has a schema that allows everything, so forms with a schema of their own never derive one.
impl<T: DeserializeOwned + JsonSchema + Send> Question for Form<T> {
    type Answer = Reply<T>;

    fn requires(&self) -> ClientCapabilities {
        requires(json!({ "elicitation": { "form": {} } }))
    }

    fn request(&self) -> Result<InputRequest> {
        let schema = serde_json::from_value(self.form_schema())
            .map_err(|error| Error::internal(format_args!("this schema is no form: {error}")))?;
        let params = ElicitRequestFormParams::new(self.message.clone(), schema);
        Ok(InputRequest::Elicit(params.into()))
    }

    fn answer(&self, response: Value) -> std::result::Result<Self::Answer, String> {
        elicited(response, |content| {
            let content = Value::Object(content);
            let schema = Schema::compile(&self.form_schema(), Role::Form, &schema::Limits::default())
                .map_err(|error| error.to_string())?;
            schema.validate_value(&content).map_err(|violations| violations.to_string())?;
            serde_json::from_value(content).map_err(|error| error.to_string())
        })
    }
}

impl Question for Url {
    type Answer = Reply<()>;

    fn requires(&self) -> ClientCapabilities {
        requires(json!({ "elicitation": { "url": {} } }))
    }

    fn request(&self) -> Result<InputRequest> {
        if !is_url(&self.address) {
            return Err(Error::internal("what a person is asked to visit is no URL"));
        }
        let params = ElicitRequestUrlParams::new(self.message.clone(), self.address.clone());
        Ok(InputRequest::Elicit(params.into()))
    }

    fn answer(&self, response: Value) -> std::result::Result<Self::Answer, String> {
        elicited(response, |_| Ok(()))
    }
}

impl Question for Sample {
    type Answer = CreateMessageResult;

    fn requires(&self) -> ClientCapabilities {
        let mut sampling = json!({});
        if self.params.needs_tools() {
            sampling["tools"] = json!({});
        }
        if self.params.needs_context() {
            sampling["context"] = json!({});
        }
        requires(json!({ "sampling": sampling }))
    }

    fn request(&self) -> Result<InputRequest> {
        self.params.check_turns().map_err(Error::internal)?;
        Ok(InputRequest::CreateMessage(Box::new(self.params.clone())))
    }

    fn answer(&self, response: Value) -> std::result::Result<Self::Answer, String> {
        serde_json::from_value(response).map_err(|error| error.to_string())
    }
}

impl Question for Roots {
    type Answer = Vec<Root>;

    fn requires(&self) -> ClientCapabilities {
        requires(json!({ "roots": {} }))
    }

    fn request(&self) -> Result<InputRequest> {
        Ok(InputRequest::ListRoots(ListRootsRequestParams::default()))
    }

    fn answer(&self, response: Value) -> std::result::Result<Self::Answer, String> {
        let result: ListRootsResult = serde_json::from_value(response).map_err(|error| error.to_string())?;
        Ok(result.roots)
    }
}

/// Any URI will do, as apps have schemes of their own; one of the web needs a host.
fn is_url(address: &str) -> bool {
    let of_the_web = address
        .split_once(':')
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http"));
    let has_host = || address.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    is_uri(address) && (!of_the_web || has_host())
}

fn requires(capabilities: Value) -> ClientCapabilities {
    serde_json::from_value(capabilities).unwrap_or_default()
}

fn elicited<T>(
    response: Value,
    read: impl FnOnce(Map<String, Value>) -> std::result::Result<T, String>,
) -> std::result::Result<Reply<T>, String> {
    let result: ElicitResult = serde_json::from_value(response).map_err(|error| error.to_string())?;
    match result.action {
        ElicitAction::Accept => read(result.content.unwrap_or_default()).map(Reply::Accepted),
        ElicitAction::Decline => Ok(Reply::Declined),
        ElicitAction::Cancel => Ok(Reply::Cancelled),
    }
}
