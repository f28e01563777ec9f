//! Tools that answer at once: every kind of content, a failure, and schemas of all sorts.

use anypod_server::proto::content::{ContentBlock, TextResourceContents};
use anypod_server::{Args, Error, Json, RawArgs, Result, ServerBuilder, Tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A picture: one red pixel as PNG.
pub(crate) const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1,
    8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 0x0c, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0,
    0, 0, 3, 1, 1, 0, 0xc9, 0xfe, 0x92, 0xef, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// A sound: eight samples of silence as WAV, 8 kHz, 8 bits, mono.
const WAV: &[u8] = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x08\0\0\0\
    \x80\x80\x80\x80\x80\x80\x80\x80";

/// The tool that takes no arguments comes first: the suite calls whatever is first with none.
pub(crate) fn offer(server: ServerBuilder) -> ServerBuilder {
    server
        .tool(Tool::new("test_simple_text", simple_text).description("Answers with a text"))
        .tool(Tool::new("test_image_content", image).description("Answers with a picture"))
        .tool(Tool::new("test_audio_content", audio).description("Answers with a sound"))
        .tool(Tool::new("test_embedded_resource", embedded).description("Answers with a resource"))
        .tool(Tool::new("test_multiple_content_types", mixed).description("Answers with text, picture and resource"))
        .tool(Tool::new("test_error_handling", failing).description("Always fails"))
        .tool(Tool::new("test_structured", structured).description("Adds two numbers, with an output schema"))
        .tool(Tool::new("test_custom_header", custom_header).description("Mirrors its argument in a header"))
        .tool(
            Tool::new("json_schema_2020_12_tool", raw)
                .description("Has a schema with much of JSON Schema 2020-12")
                .input_schema(contact_schema()),
        )
}

async fn simple_text() -> &'static str {
    "This is a simple text response for testing."
}

async fn image() -> ContentBlock {
    ContentBlock::image(PNG, "image/png")
}

async fn audio() -> ContentBlock {
    ContentBlock::audio(WAV, "audio/wav")
}

async fn embedded() -> ContentBlock {
    let text = TextResourceContents::new("test://embedded-resource", "This is an embedded resource content.");
    ContentBlock::embedded(text.with_mime_type("text/plain"))
}

async fn mixed() -> Vec<ContentBlock> {
    let text = TextResourceContents::new("test://mixed-content-resource", r#"{"test":"data","value":123}"#);
    vec![
        ContentBlock::text("Multiple content types test:"),
        ContentBlock::image(PNG, "image/png"),
        ContentBlock::embedded(text.with_mime_type("application/json")),
    ]
}

async fn failing() -> Result<String> {
    Err(Error::tool("This tool intentionally returns an error for testing"))
}

#[derive(Deserialize, JsonSchema)]
struct Addends {
    a: i64,
    b: i64,
}

#[derive(Serialize, JsonSchema)]
struct Total {
    sum: i64,
}

async fn structured(Args(Addends { a, b }): Args<Addends>) -> Result<Json<Total>> {
    let sum = a.checked_add(b).ok_or_else(|| Error::tool("the sum does not fit into 64 bits"))?;
    Ok(Json(Total { sum }))
}

#[derive(Deserialize, JsonSchema)]
struct Mirrored {
    #[schemars(extend("x-mcp-header" = "Value"))]
    value: String,
}

async fn custom_header(Args(Mirrored { value }): Args<Mirrored>) -> String {
    value
}

async fn raw(RawArgs(arguments): RawArgs) -> String {
    arguments
}

fn contact_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    })
}
