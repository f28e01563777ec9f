//! Results as legacy clients know them.

mod text;

use serde_json::{Value, json};

use crate::{
    jsonrpc::{JsonObject, RESULT_TYPE},
    meta,
    method::Method,
    version::Version,
};

pub use text::downgraded_text;

/// What results had not before.
const MODERN_FIELDS: [&str; 3] = [RESULT_TYPE, "ttlMs", "cacheScope"];

/// Takes from a modern result what a client of `version` does not know, and says in text what would be
/// lost with it. Modern versions keep everything.
pub fn downgrade(method: Method, version: Version, result: &mut JsonObject) {
    if version >= Version::V2026_07_28 {
        return;
    }
    drop_modern_fields(result);
    match method {
        Method::ToolsCall => {
            drop_structured_content(version, result);
            each(result, "content", |block| downgrade_block(version, block));
        }
        Method::ToolsList => each(result, "tools", |tool| {
            drop_icons(version, tool);
            drop_output_schema(version, tool);
        }),
        Method::PromptsGet => each(result, "messages", |message| {
            if let Some(Value::Object(block)) = message.get_mut("content") {
                downgrade_block(version, block);
            }
        }),
        Method::PromptsList => each(result, "prompts", |prompt| drop_icons(version, prompt)),
        Method::ResourcesList => each(result, "resources", |resource| drop_icons(version, resource)),
        Method::ResourceTemplatesList => {
            each(result, "resourceTemplates", |template| drop_icons(version, template));
        }
        Method::Discover | Method::ResourcesRead | Method::Complete | Method::SubscriptionsListen => {}
    }
}

/// The same for a result of a method that no revision defines, of which no more is known than what all results have.
pub fn downgrade_any(version: Version, result: &mut JsonObject) {
    if version < Version::V2026_07_28 {
        drop_modern_fields(result);
    }
}

fn drop_modern_fields(result: &mut JsonObject) {
    for field in MODERN_FIELDS {
        result.remove(field);
    }
    if let Some(Value::Object(meta)) = result.get_mut("_meta") {
        meta.remove(meta::SERVER_INFO);
        if meta.is_empty() {
            result.remove("_meta");
        }
    }
}

/// Legacy structured content is an object, and came with 2025-06-18. What is taken away stays as text,
/// if there is no other content.
fn drop_structured_content(version: Version, result: &mut JsonObject) {
    let kept = version >= Version::V2025_06_18;
    if result.get("structuredContent").is_none_or(|content| kept && content.is_object()) {
        return;
    }
    let Some(dropped) = result.remove("structuredContent") else { return };
    let content = result.entry("content").or_insert_with(|| json!([]));
    if let Value::Array(blocks) = content
        && blocks.is_empty()
    {
        blocks.push(text_block(dropped.to_string()));
    }
}

/// Legacy output schemas are those of objects, and came with 2025-06-18.
fn drop_output_schema(version: Version, tool: &mut JsonObject) {
    let object = |schema: &Value| schema.get("type").is_some_and(|kind| kind == "object");
    if version < Version::V2025_06_18 || !tool.get("outputSchema").is_some_and(object) {
        tool.remove("outputSchema");
    }
}

/// Icons came with 2025-11-25.
fn drop_icons(version: Version, item: &mut JsonObject) {
    if version < Version::V2025_11_25 {
        item.remove("icons");
    }
}

/// Resource links came with 2025-06-18. Before, a text names the resource.
fn downgrade_block(version: Version, block: &mut JsonObject) {
    if block.get("type").is_none_or(|kind| kind != "resource_link") {
        return;
    }
    drop_icons(version, block);
    if version >= Version::V2025_06_18 {
        return;
    }
    let field = |name: &str| block.get(name).and_then(Value::as_str);
    let uri = field("uri").unwrap_or_default();
    let text = match field("title").or_else(|| field("name")) {
        Some(name) => format!("{name}: {uri}"),
        None => uri.to_owned(),
    };
    if let Value::Object(replacement) = text_block(text) {
        let annotations = block.remove("annotations");
        *block = replacement;
        block.extend(annotations.map(|annotations| ("annotations".to_owned(), annotations)));
    }
}

fn text_block(text: String) -> Value {
    json!({ "type": "text", "text": text })
}

fn each(result: &mut JsonObject, field: &str, mut change: impl FnMut(&mut JsonObject)) {
    let Some(Value::Array(items)) = result.get_mut(field) else { return };
    for item in items {
        if let Value::Object(item) = item {
            change(item);
        }
    }
}
