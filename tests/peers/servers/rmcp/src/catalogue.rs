//! What the server offers, as far as it is data.

use rmcp::{
    ErrorData,
    model::{ListToolsResult, ReadResourceResult, Tool},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The resource that `touch` changes.
pub(crate) const COUNTER: &str = "peer://counter";

/// `../catalogue.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Catalogue {
    page_size: usize,
    tools: Vec<Tool>,
    extra: Tool,
    pub(crate) form: Value,
    pub(crate) question: Value,
    pub(crate) questions: Value,
    pub(crate) resources: Value,
    bytes: String,
    pub(crate) templates: Value,
    pub(crate) prompts: Value,
    styles: Vec<String>,
}

impl Catalogue {
    pub(crate) fn read_in() -> Self {
        serde_json::from_str(include_str!("../../catalogue.json")).expect("the file is part of this program")
    }

    pub(crate) fn tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).cloned()
    }

    pub(crate) fn tools_page(&self, cursor: Option<String>, extra: bool) -> Result<ListToolsResult, ErrorData> {
        let tools: Vec<_> = self.tools.iter().chain(extra.then_some(&self.extra)).collect();
        let start = match cursor.map(|cursor| cursor.parse::<usize>()) {
            None => 0,
            Some(Ok(start)) if start <= tools.len() => start,
            Some(_) => return Err(ErrorData::invalid_params("no such cursor", None)),
        };
        let end = tools.len().min(start + self.page_size);
        let mut page = ListToolsResult::with_all_items(tools[start..end].iter().map(|&tool| tool.clone()).collect());
        page.next_cursor = (end < tools.len()).then(|| end.to_string());
        Ok(page)
    }

    pub(crate) fn read(&self, uri: &str, counter: usize) -> Result<ReadResourceResult, ErrorData> {
        let contents = match (uri, uri.strip_prefix("peer://greeting/")) {
            (COUNTER, _) => json!({ "uri": uri, "mimeType": "text/plain", "text": counter.to_string() }),
            ("peer://bytes", _) => {
                json!({ "uri": uri, "mimeType": "application/octet-stream", "blob": self.bytes })
            }
            (_, Some(name)) => json!({ "uri": uri, "mimeType": "text/plain", "text": format!("Hello, {name}!") }),
            (_, None) => return Err(ErrorData::resource_not_found("no such resource", Some(json!({ "uri": uri })))),
        };
        Ok(result(json!({ "contents": [contents] })))
    }

    pub(crate) fn styles(&self, start: &str) -> Vec<String> {
        self.styles.iter().filter(|style| style.starts_with(start)).cloned().collect()
    }
}

/// A complete result of the SDK from its members on the wire; for legacy clients the SDK drops the type again.
pub(crate) fn result<T: DeserializeOwned>(mut members: Value) -> T {
    members["resultType"] = "complete".into();
    parse(members)
}

/// A type of the SDK from what it looks like on the wire.
pub(crate) fn parse<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the value is written down in this program")
}
