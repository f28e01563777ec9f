//! Extensions of the protocol, as a client has them: what it says of them, and what it can read.
//!
//! Spec: basic/index, "Extensions"; SEP-2133.

use anypod_proto::capabilities::NamedSettings;
use anypod_proto::jsonrpc::{JsonObject, JsonValue};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Broken, Error, Result};

/// An extension that a client has, for [`ClientBuilder::extension`](crate::ClientBuilder::extension).
///
/// The rest of it is where its likes are: its methods are called with [`Client::request`](crate::Client::request), its results
/// read with [`Request::read_as`](crate::Request::read_as), its notifications asked for with
/// [`Listen::field`](crate::Listen::field) and heard as [`Event::Other`](crate::Event::Other). What the server says of it,
/// [`Client::extension`](crate::Client::extension) gives.
///
/// ```no_run
/// use anypod_client::{Client, Extension, Json, Result};
/// use anypod_client::proto::tools::CallToolResult;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize)]
/// struct Wants { brief: bool }
///
/// #[derive(Serialize)]
/// struct Zone { zone: String }
///
/// #[derive(Deserialize)]
/// struct Time { text: String }
///
/// /// What a tool may answer to who has the extension.
/// #[derive(Deserialize)]
/// #[serde(tag = "resultType", rename_all = "camelCase")]
/// enum Alarm {
///     Complete(Box<CallToolResult>),
///     Postponed { until: String },
/// }
///
/// async fn wake() -> Result<()> {
///     let clock = Extension::new("com.example/clock").settings(Wants { brief: true })?.result_type("postponed");
///     let client = Client::builder().extension(clock).connect("http://127.0.0.1:8080/mcp")?;
///     let zone = Zone { zone: "UTC".to_owned() };
///     let Json(Time { text }) = client.request("clock/now", Some("UTC"), &zone).read_as().await?;
///     match client.call("alarm", ()).read_as().await?.0 {
///         Alarm::Complete(_) => println!("it rang at {text}"),
///         Alarm::Postponed { until } => println!("it rings at {until}"),
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Extension {
    pub(crate) id: String,
    pub(crate) settings: JsonObject,
    pub(crate) result_types: Vec<String>,
}

impl Extension {
    /// The extension of that identifier, such as `com.example/clock`, without settings.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), settings: JsonObject::new(), result_types: Vec::new() }
    }

    /// What the client says of itself with each request: what serializes as a JSON object.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it does not.
    pub fn settings(mut self, settings: impl Serialize) -> Result<Self> {
        self.settings = object(&settings, "the settings of an extension")?;
        Ok(self)
    }

    /// Takes results of a `resultType` of the extension's, which is an error otherwise.
    #[must_use]
    pub fn result_type(mut self, name: impl Into<String>) -> Self {
        self.result_types.push(name.into());
        self
    }
}

/// The parameters of a request as JSON without the braces.
pub(crate) fn members(params: &impl Serialize) -> Result<Vec<u8>> {
    let params = object(params, "the parameters of a request")?;
    if let Some(key) = ["_meta", "inputResponses", "requestState"].into_iter().find(|key| params.contains_key(*key)) {
        return Err(Error::Misuse(format!("{key} is written by the client itself")));
    }
    let json = serde_json::to_vec(&params).map_err(|error| Error::Misuse(error.to_string()))?;
    Ok(json[1..json.len() - 1].to_vec())
}

/// A server's settings of an extension.
pub(crate) fn settings<S: DeserializeOwned>(declared: Option<&NamedSettings>, id: &str) -> Result<Option<S>> {
    let Some(settings) = declared.and_then(|declared| declared.get(id)) else { return Ok(None) };
    let settings = serde_json::from_value(JsonValue::Object(settings.clone()));
    settings.map(Some).map_err(|error| Broken::Result(format!("the settings of `{id}`: {error}")).into())
}

fn object(value: &impl Serialize, what: &str) -> Result<JsonObject> {
    match serde_json::to_value(value) {
        Ok(JsonValue::Object(object)) => Ok(object),
        Ok(JsonValue::Null) => Ok(JsonObject::new()),
        Ok(JsonValue::Bool(_) | JsonValue::Number(_) | JsonValue::String(_) | JsonValue::Array(_)) => {
            Err(Error::Misuse(format!("{what} are a JSON object")))
        }
        Err(error) => Err(Error::Misuse(format!("{what}: {error}"))),
    }
}
