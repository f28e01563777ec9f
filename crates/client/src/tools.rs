//! What a client remembers of a server's tools: which arguments become headers, whether a call may be repeated, what
//! form its structured content has. Loss of it costs a round trip at most.
//!
//! Spec: server/tools, basic/transports/streamable-http, "Custom Headers from Tool Parameters".

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use anypod_proto::param_header::{ParamHeaderError, ParamHeaders};
use anypod_proto::schema::{self, Role, Schema};
use anypod_proto::tools::{CallToolResult, Tool};
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::call::Repeat;
use crate::error::{Broken, Error, Result};
use crate::limits::Limits;

/// Whether arguments are mirrored into headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mirroring {
    /// As modern servers over HTTP have it.
    Headers,
    /// There are no headers, or nobody reads them.
    None,
}

/// A tool as it was last listed.
#[derive(Debug)]
pub(crate) struct Known {
    headers: ParamHeaders,
    pub(crate) repeat: Repeat,
    output: Option<Value>,
    compiled: OnceLock<Option<Schema>>,
}

impl Known {
    /// The headers that mirror `arguments`, the JSON of an object.
    ///
    /// # Errors
    /// [`Error::Misuse`] if an argument is a number that no header can say.
    pub(crate) fn mirror(&self, arguments: &[u8]) -> Result<Vec<(HeaderName, HeaderValue)>> {
        if self.headers.is_empty() {
            return Ok(Vec::new());
        }
        let arguments: Value = serde_json::from_slice(arguments).map_err(|error| Error::Misuse(error.to_string()))?;
        self.headers.encode(&arguments).map_err(|error| Error::Misuse(error.to_string()))
    }

    /// Holds a result against the tool's output schema. A schema that is out of bounds or no schema checks nothing.
    ///
    /// # Errors
    /// [`Broken::OutputSchema`] if it does not match.
    pub(crate) fn check(&self, result: &CallToolResult, limits: &Limits) -> Result<(), Error> {
        let Some(output) = self.output.as_ref().filter(|_| result.is_error != Some(true)) else { return Ok(()) };
        let Some(schema) = self.compiled.get_or_init(|| compile(output, limits)) else { return Ok(()) };
        let broken = |what: String| Err(Broken::OutputSchema(what).into());
        match &result.structured_content {
            None => broken("it is missing".to_owned()),
            Some(content) => schema.validate_value(content).or_else(|violations| broken(violations.to_string())),
        }
    }
}

/// The tools that were listed.
#[derive(Debug)]
pub(crate) struct Tools {
    known: RwLock<HashMap<String, Arc<Known>>>,
    limit: usize,
}

impl Tools {
    /// Remembers at most `limit` tools.
    pub(crate) fn new(limit: usize) -> Self {
        Self { known: RwLock::default(), limit }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Knows of no tool any more.
    pub(crate) fn forget(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Remembers the tools of a page. Where arguments are mirrored, those are taken out whose annotations are invalid:
    /// no call of them can be right.
    pub(crate) fn learn(&self, tools: &mut Vec<Tool>, mirroring: Mirroring) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        tools.retain(|tool| match read(tool, mirroring) {
            Ok(read) => {
                if known.len() < self.limit || known.contains_key(&tool.name) {
                    known.insert(tool.name.clone(), Arc::new(read));
                }
                true
            }
            Err(error) => {
                tracing::warn!(tool = %tool.name.escape_debug(), %error, "left out a tool with invalid header annotations");
                known.remove(&tool.name);
                false
            }
        });
    }
}

fn compile(output: &Value, limits: &Limits) -> Option<Schema> {
    let mut bounds = schema::Limits::default();
    bounds.depth = limits.schema_depth;
    bounds.bytes = limits.schema_bytes;
    Schema::compile(output, Role::Output, &bounds)
        .inspect_err(
            |error| tracing::warn!(%error, "structured content is not checked: the tool's output schema is unusable"),
        )
        .ok()
}

fn read(tool: &Tool, mirroring: Mirroring) -> Result<Known, ParamHeaderError> {
    let headers = match mirroring {
        Mirroring::Headers => ParamHeaders::from_schema(&Value::Object(tool.input_schema.clone()))?,
        Mirroring::None => ParamHeaders::default(),
    };
    let hint = |read: fn(&anypod_proto::tools::ToolAnnotations) -> Option<bool>| {
        tool.annotations.as_ref().and_then(read).unwrap_or(false)
    };
    let safe = hint(|annotations| annotations.read_only_hint) || hint(|annotations| annotations.idempotent_hint);
    let output = tool.output_schema.clone().map(Value::Object);
    let repeat = if safe { Repeat::Safe } else { Repeat::Never };
    Ok(Known { headers, repeat, output, compiled: OnceLock::new() })
}
