//! Extractors: the arguments of a handler, taken from the call.

use std::any::TypeId;
use std::collections::BTreeMap;

use anypod_proto::method::Method;
use anypod_proto::reject::Rejection;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::principal::Principal;
use crate::variables;

/// Something that a handler takes as an argument.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not something that a handler can take",
    note = "handlers take `Args<T>`, `RawArgs`, `Vars<T>`, `Uri`, `Partial`, `State<T>`, `Cx`, `Principal` or \
            `Option<Principal>`; the `T` of `Args` and `Vars` derives `serde::Deserialize` and `schemars::JsonSchema`, \
            that of `State` is `Clone`"
)]
pub trait Extract: Sized + Send + 'static {
    /// Says what the server has to provide for this, so that a lack of it fails when the server is built.
    fn needs(_needs: &mut Needs) {}

    /// Takes it from the call.
    ///
    /// # Errors
    /// If the call does not hold it.
    fn extract(cx: &Cx) -> Result<Self>;
}

/// What the extractors of one handler need.
#[derive(Debug, Default)]
pub struct Needs {
    pub(crate) arguments: Option<Value>,
    pub(crate) variables: Option<Value>,
    pub(crate) states: Vec<(TypeId, &'static str)>,
    pub(crate) uri: bool,
    pub(crate) partial: bool,
    pub(crate) params: bool,
}

/// The arguments of a tool or a prompt, as `T`. The schema of `T` becomes the tool's input schema, or the
/// prompt's list of arguments, and calls that do not fit it never reach the handler.
///
/// The doc comments of the fields are what the model reads about them. Arguments of prompts are always text
/// on the wire; numbers and booleans are read from it.
///
/// ```
/// use anypod_server::{Args, Tool};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Search {
///     /// Words that have to occur
///     query: String,
///     /// How many results at most
///     #[serde(default = "ten")]
///     #[schemars(range(min = 1, max = 50))]
///     limit: u8,
/// }
///
/// fn ten() -> u8 { 10 }
///
/// async fn search(Args(Search { query, limit }): Args<Search>) -> String {
///     format!("the first {limit} results for {query}")
/// }
/// # anypod_server::Server::new("s", "1").tool(Tool::new("search", search)).build().unwrap();
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Args<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Extract for Args<T> {
    fn needs(needs: &mut Needs) {
        needs.arguments = Some(crate::derive::input::<T>());
    }

    fn extract(cx: &Cx) -> Result<Self> {
        let arguments = cx.request().arguments().unwrap_or("{}");
        // Only a tool's result has a place where the model reads what was wrong.
        match cx.request().method() {
            Some(Method::ToolsCall) => serde_json::from_str(arguments)
                .map(Args)
                .map_err(|error| Error::tool(format_args!("arguments: {error}"))),
            _ => texts(arguments)
                .and_then(|texts| variables::read(&texts).map_err(|error| error.to_string()))
                .map(Args)
                .map_err(|error| Error::invalid_params(format_args!("arguments: {error}"))),
        }
    }
}

/// The arguments of a prompt. Those it does not declare may be anything, and are passed over.
fn texts(arguments: &str) -> std::result::Result<BTreeMap<String, String>, String> {
    let arguments: BTreeMap<String, Value> = serde_json::from_str(arguments).map_err(|error| error.to_string())?;
    let texts = arguments.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    });
    Ok(texts.collect())
}

/// The arguments as the JSON text that came. Give the tool an input schema of its own.
#[derive(Debug, Clone)]
pub struct RawArgs(pub String);

impl Extract for RawArgs {
    fn extract(cx: &Cx) -> Result<Self> {
        Ok(Self(cx.request().arguments().unwrap_or("{}").to_owned()))
    }
}

/// The variables of a resource template, as `T`: numbers and booleans are read from the URI's text.
///
/// The text is the client's, percent-decoded. In a `file:` URI, no variable has a segment `..`; but one may
/// begin with `/`, so a path made of it must still be held against the directory that it shall stay in.
#[derive(Debug, Clone, Copy)]
pub struct Vars<T>(pub T);

impl<T: DeserializeOwned + JsonSchema + Send + 'static> Extract for Vars<T> {
    fn needs(needs: &mut Needs) {
        needs.variables = Some(crate::derive::input::<T>());
    }

    fn extract(cx: &Cx) -> Result<Self> {
        let variables: &BTreeMap<String, String> = &cx.call().variables;
        variables::read(variables).map(Vars).map_err(|error| {
            // A URI whose variables make no sense names no resource.
            tracing::debug!(%error, "the template's variables do not fit their types");
            unknown_resource(cx)
        })
    }
}

/// The URI that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri(pub String);

impl Extract for Uri {
    fn needs(needs: &mut Needs) {
        needs.uri = true;
    }

    fn extract(cx: &Cx) -> Result<Self> {
        cx.request()
            .uri()
            .map(|uri| Self(uri.into_owned()))
            .ok_or(Error::rejected(Rejection::ParamMissing("params.uri")))
    }
}

/// State that all calls share, given to the server by [`ServerBuilder::state`](crate::ServerBuilder::state). It lives in one pod: use it
/// for clients of databases and the like, never to remember something between two requests.
///
/// Each call gets a clone, so `T` is a handle: an `Arc`, or a client that is one inside. A server that has no
/// `T` for a handler that takes one is not built.
#[derive(Debug, Clone, Copy)]
pub struct State<T>(pub T);

impl<T: Clone + Send + Sync + 'static> Extract for State<T> {
    fn needs(needs: &mut Needs) {
        needs.states.push((TypeId::of::<T>(), std::any::type_name::<T>()));
    }

    fn extract(cx: &Cx) -> Result<Self> {
        let state = cx.call().server.state::<T>();
        state.map(State).ok_or_else(|| Error::internal(format_args!("no state of type {}", std::any::type_name::<T>())))
    }
}

impl Extract for Cx {
    fn extract(cx: &Cx) -> Result<Self> {
        Ok(cx.clone())
    }
}

impl Extract for Option<Principal> {
    fn extract(cx: &Cx) -> Result<Self> {
        Ok(cx.principal().cloned())
    }
}

/// Calls of anonymous callers fail.
impl Extract for Principal {
    fn extract(cx: &Cx) -> Result<Self> {
        cx.principal().cloned().ok_or_else(|| Error::invalid_params("this needs an authenticated caller"))
    }
}

fn unknown_resource(cx: &Cx) -> Error {
    Error::unknown_resource(cx.request().uri().unwrap_or_default())
}
