//! What a client has to know of a tool before it calls it.

use std::collections::HashMap;

use anypod_server::proto::param_header::ParamHeaders;
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use crate::message::Repeat;

/// The tools of a server, by name.
pub(super) struct Tools {
    tools: HashMap<String, Tool>,
}

struct Tool {
    mirrored: ParamHeaders,
    repeat: Repeat,
}

impl Tools {
    /// From the definitions. One whose annotations are malformed is called without headers, and the server
    /// says what is wrong with it.
    pub(super) fn new(definitions: Vec<Value>) -> Self {
        let tools = definitions.iter().filter_map(|definition| {
            let mirrored = ParamHeaders::from_schema(&definition["inputSchema"]).unwrap_or_default();
            Some((definition["name"].as_str()?.to_owned(), Tool { mirrored, repeat: repeat(definition) }))
        });
        Self { tools: tools.collect() }
    }

    /// The headers that mirror arguments. None for arguments that no header can mirror, which the server
    /// refuses.
    pub(super) fn mirrored(&self, name: &str, arguments: &Value) -> Vec<(HeaderName, HeaderValue)> {
        let tool = self.tools.get(name);
        tool.and_then(|tool| tool.mirrored.encode(arguments).ok()).unwrap_or_default()
    }

    pub(super) fn repeat(&self, name: &str) -> Repeat {
        self.tools.get(name).map_or(Repeat::No, |tool| tool.repeat)
    }
}

/// A tool that says that it changes nothing, or nothing more when it is called again, can be called on every
/// replica.
fn repeat(definition: &Value) -> Repeat {
    let hints = &definition["annotations"];
    match hints["readOnlyHint"] == true || hints["idempotentHint"] == true {
        true => Repeat::SameJson,
        false => Repeat::No,
    }
}
