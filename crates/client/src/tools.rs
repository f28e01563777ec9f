//! What a client remembers of a server's tools: which arguments become headers, whether a call may be repeated, what
//! form its structured content has. Loss of it costs a round trip at most.
//!
//! Spec: server/tools, basic/transports/streamable-http, "Custom Headers from Tool Parameters".

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use anypod_proto::param_header::ParamHeaders;
use anypod_proto::tools::Tool;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::call::Repeat;
use crate::error::{Error, Result};

/// A tool as it was last listed.
#[derive(Debug)]
pub(crate) struct Known {
    headers: ParamHeaders,
    pub(crate) repeat: Repeat,
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

    /// Remembers the tools of a page, and takes those out whose annotations are invalid: no call of them can be right.
    pub(crate) fn learn(&self, tools: &mut Vec<Tool>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        tools.retain(|tool| match read(tool) {
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

fn read(tool: &Tool) -> Result<Known, anypod_proto::param_header::ParamHeaderError> {
    let headers = ParamHeaders::from_schema(&Value::Object(tool.input_schema.clone()))?;
    let hint = |read: fn(&anypod_proto::tools::ToolAnnotations) -> Option<bool>| {
        tool.annotations.as_ref().and_then(read).unwrap_or(false)
    };
    let safe = hint(|annotations| annotations.read_only_hint) || hint(|annotations| annotations.idempotent_hint);
    Ok(Known { headers, repeat: if safe { Repeat::Safe } else { Repeat::Never } })
}
