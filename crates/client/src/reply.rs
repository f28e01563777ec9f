//! What results are read as.

use anypod_proto::completion::CompleteResult;
use anypod_proto::discover::DiscoverResult;
use anypod_proto::jsonrpc::{JsonValue, ResultObject};
use anypod_proto::prompts::{GetPromptResult, ListPromptsResult};
use anypod_proto::resources::{ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult};
use anypod_proto::tools::{CallToolResult, ListToolsResult};
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::client::Client;
use crate::error::{Broken, Error, Result};
use crate::exchange::Raw;

/// Something that a result can be read as.
pub trait Reply: Sized + Send + 'static {
    /// Reads the result of `call`.
    ///
    /// # Errors
    /// If it has another form.
    fn read(raw: Raw, client: &Client, call: &Call) -> Result<Self>;

    /// Whether it can be read of a result of that `resultType`, which an extension has defined. By default it cannot.
    fn reads_type(name: &str) -> bool {
        let _ = name;
        false
    }
}

impl Reply for Raw {
    fn read(raw: Raw, _: &Client, _: &Call) -> Result<Self> {
        Ok(raw)
    }

    fn reads_type(_: &str) -> bool {
        true
    }
}

/// A result read as `T`: the whole object, `resultType` and `_meta` included. An enum with `#[serde(tag = "resultType")]`
/// tells its types apart. See [`Request::read_as`](crate::Request::read_as).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> Reply for Json<T> {
    fn read(raw: Raw, _: &Client, _: &Call) -> Result<Self> {
        raw.read().map(Self)
    }

    fn reads_type(_: &str) -> bool {
        true
    }
}

/// What is read as it is.
macro_rules! replies {
    ($($name:ty),* $(,)?) => {
        $(impl Reply for $name {
            fn read(raw: Raw, _: &Client, _: &Call) -> Result<Self> {
                raw.read()
            }
        })*
    };
}

replies!(
    CompleteResult,
    DiscoverResult,
    GetPromptResult,
    ListPromptsResult,
    ListResourceTemplatesResult,
    ListResourcesResult,
    ReadResourceResult,
    ResultObject,
);

/// What the tools are is remembered, and invalid ones are left out.
impl Reply for ListToolsResult {
    fn read(raw: Raw, client: &Client, _: &Call) -> Result<Self> {
        let mut page: Self = raw.read()?;
        client.inner().learn(&mut page.tools);
        Ok(page)
    }
}

/// Structured content is held against the schema that the tool has published for it.
impl Reply for CallToolResult {
    fn read(raw: Raw, client: &Client, call: &Call) -> Result<Self> {
        let result: Self = raw.read()?;
        client.inner().check_output(call, &result)?;
        Ok(result)
    }
}

/// The value that a tool gave, read as `T`: its structured content, or its text if that is JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value<T>(pub T);

impl<T: DeserializeOwned + Send + 'static> Reply for Value<T> {
    fn read(raw: Raw, client: &Client, call: &Call) -> Result<Self> {
        let result = CallToolResult::read(raw, client, call)?;
        let text = || result.content.iter().find_map(|block| block.as_text());
        if result.is_error == Some(true) {
            return Err(Error::Tool(text().unwrap_or("it does not say why").to_owned()));
        }
        let unfit = |error: serde_json::Error| Error::from(Broken::Result(error.to_string()));
        match (result.structured_content.as_ref(), text()) {
            (Some(value), _) => T::deserialize(value).map(Self).map_err(unfit),
            (None, Some(text)) => {
                serde_json::from_str(text).or_else(|_| T::deserialize(JsonValue::from(text))).map(Self).map_err(unfit)
            }
            (None, None) => Err(Broken::Result("neither structured content nor text".to_owned()).into()),
        }
    }
}
