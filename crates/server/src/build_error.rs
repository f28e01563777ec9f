//! Why a server cannot be built: always a mistake of its author, found before the first request.

use anypod_proto::schema::SchemaError;
use anypod_proto::uri_template::TemplateError;

/// Why a server cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("{item}: {problem}")]
pub struct BuildError {
    item: String,
    #[source]
    problem: Problem,
}

impl BuildError {
    pub(crate) fn new(item: impl Into<String>, problem: Problem) -> Self {
        Self { item: item.into(), problem }
    }
}

/// What is wrong with an item.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("two have this name")]
    Twice,
    #[error("an extension is called by a reversed domain, a slash and a name, such as `com.example/clock`")]
    NotAnIdentifier,
    #[error("its settings must be an object: {0}")]
    Settings(String),
    #[error("the specification has a method of this name")]
    Taken,
    #[error("its topics claim `{field}` of the filter of `subscriptions/listen`, which {owner} has already")]
    FieldTaken { field: String, owner: String },
    #[error("it needs the extension `{0}`; give it to the server with `.extension(…)`")]
    NoExtension(&'static str),
    #[error("{0}")]
    Offered(String),
    #[error(
        "it takes or gives handles of kind `{kind}`, which come from a tool `{created_by}` that the server does not have"
    )]
    NoCreator { kind: String, created_by: String },
    #[error("a server with a backend has no tools, prompts, resources and extensions of its own")]
    BackendAndOwn,
    #[error("a name has 1 to 128 of the characters A-Z a-z 0-9 _ - .")]
    Name,
    #[error("not a URI: it has no scheme, or characters that must be percent-encoded")]
    NotAUri,
    #[error("its handler takes `State<{0}>`; give the server one with `.state(…)`")]
    NoState(&'static str),
    #[error("its handler takes `{extractor}`, which only {place} have")]
    Misplaced { extractor: &'static str, place: &'static str },
    #[error("its handler takes the variable `{0}`, which the template does not have")]
    NoSuchVariable(String),
    #[error("it completes `{0}`, which is none of its arguments")]
    CompletesNothing(String),
    #[error("its `requestState` shall work once; give the server a store with `.once(…)`")]
    NoOnce,
    #[error("more than one replica needs keys that all share; give the server a ring with `.keys(…)`")]
    NoKeys,
    #[error("other pods reach a pod at a URL such as `http://10.0.0.5:8080/mcp`")]
    NotReachable,
    #[error("{0}")]
    Schema(#[source] SchemaError),
    #[error("a host is a name such as `mcp.example.com`, without scheme and path")]
    NotAHost,
    #[error("an origin is a scheme and a host such as `https://app.example.com`, without a path")]
    NotAnOrigin,
    #[error("an output schema is a JSON object")]
    OutputSchema,
    #[error("{0}")]
    Template(#[source] TemplateError),
    #[error("not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
}
