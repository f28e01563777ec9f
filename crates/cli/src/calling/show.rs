//! Results as text for people: text as it is, everything else named with its type and size.

use std::fmt::Write;

use anypod_client::proto::content::Role;
use anypod_client::proto::content::{ContentBlock, ResourceContents, ResourceLink};
use anypod_client::proto::prompts::GetPromptResult;
use anypod_client::proto::tools::CallToolResult;

use crate::output::clean;

/// What a tool gave.
pub(crate) fn tool_result(result: &CallToolResult) -> String {
    let has_text = result.content.iter().any(|block| block.as_text().is_some());
    let mut out = blocks(&result.content);
    match &result.structured_content {
        Some(value) if !has_text => push_line(&mut out, &clean::pretty(value)),
        Some(_) | None => {}
    }
    out
}

/// The contents of a resource.
pub(crate) fn resource(contents: &[ResourceContents]) -> String {
    let mut out = String::new();
    for content in contents {
        match content {
            ResourceContents::Text(text) => push_line(&mut out, &clean::text(&text.text)),
            ResourceContents::Blob(blob) => {
                push_line(&mut out, &named("blob", &blob.uri, blob.mime_type.as_deref(), decoded(&blob.blob)))
            }
        }
    }
    out
}

/// The messages of a prompt.
pub(crate) fn prompt(result: &GetPromptResult) -> String {
    let mut out = String::new();
    for message in &result.messages {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let _ = writeln!(out, "{role}:");
        out.push_str(&blocks(std::slice::from_ref(&message.content)));
    }
    out
}

fn blocks(blocks: &[ContentBlock]) -> String {
    let mut out = String::new();
    for block in blocks {
        match block {
            ContentBlock::Text(text) => push_line(&mut out, &clean::text(&text.text)),
            ContentBlock::Image(image) => {
                push_line(&mut out, &named("image", "", Some(&image.mime_type), decoded(&image.data)))
            }
            ContentBlock::Audio(audio) => {
                push_line(&mut out, &named("audio", "", Some(&audio.mime_type), decoded(&audio.data)))
            }
            ContentBlock::ResourceLink(link) => push_line(&mut out, &resource_link(link)),
            ContentBlock::Resource(embedded) => match &embedded.resource {
                ResourceContents::Text(text) => {
                    push_line(&mut out, &named("resource", &text.uri, text.mime_type.as_deref(), text.text.len()));
                    push_line(&mut out, &clean::text(&text.text));
                }
                ResourceContents::Blob(blob) => {
                    push_line(&mut out, &named("resource", &blob.uri, blob.mime_type.as_deref(), decoded(&blob.blob)));
                }
            },
        }
    }
    out
}

fn resource_link(link: &ResourceLink) -> String {
    let mut out = format!("[link {}", clean::line(&link.uri));
    let title = link.title.as_deref().unwrap_or(&link.name);
    let _ = write!(out, ", {}", clean::line(title));
    if let Some(kind) = &link.mime_type {
        let _ = write!(out, ", {}", clean::line(kind));
    }
    out.push(']');
    out
}

/// Something that is not shown.
fn named(what: &str, uri: &str, kind: Option<&str>, bytes: usize) -> String {
    let parts = [uri, kind.unwrap_or_default()].map(clean::line);
    let parts = parts.iter().filter(|part| !part.is_empty()).map(|part| format!(" {part},")).collect::<String>();
    format!("[{what}{parts} {}]", size(bytes))
}

fn push_line(out: &mut String, text: &str) {
    out.push_str(text);
    if !text.ends_with('\n') {
        out.push('\n');
    }
}

/// How many bytes a text in base64 stands for.
fn decoded(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

/// A number of bytes for people.
pub(crate) fn size(bytes: usize) -> String {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{}.{} KiB", bytes / 1024, bytes % 1024 * 10 / 1024),
        _ => format!("{}.{} MiB", bytes / 1_048_576, bytes % 1_048_576 * 10 / 1_048_576),
    }
}

#[cfg(test)]
mod tests {
    use anypod_client::proto::content::{BlobResourceContents, TextResourceContents};
    use anypod_client::proto::resources::Resource;
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_shown_and_everything_else_named() {
        let text: TextResourceContents =
            serde_json::from_value(json!({ "uri": "note://1", "text": "in\x1b[2Jside" })).unwrap();
        let blob: BlobResourceContents =
            serde_json::from_value(json!({ "uri": "blob://1", "mimeType": "a/\x07b", "blob": "AAAA" })).unwrap();
        let result = CallToolResult::new(vec![
            ContentBlock::text("plain"),
            ContentBlock::image(&[0; 3000], "image/png"),
            ContentBlock::audio(&[0; 5], "audio/wav"),
            ContentBlock::resource_link(Resource::new("file:///a\n", "a file")),
            ContentBlock::embedded(text),
            ContentBlock::embedded(blob),
        ]);
        let expected = "plain\n[image image/png, 2.9 KiB]\n[audio audio/wav, 5 bytes]\n[link file:///a , a file]\n\
                        [resource note://1, 10 bytes]\nin\\u{1b}[2Jside\n[resource blob://1, a/\\u{7}b, 3 bytes]\n";
        assert_eq!(tool_result(&result), expected);
    }

    #[test]
    fn a_value_is_shown_where_there_is_no_text() {
        let mut result = CallToolResult::new(Vec::new()).with_structured_content(json!({ "sum": 3 }));
        assert_eq!(tool_result(&result), "{\n  \"sum\": 3\n}\n");
        result.content.push(ContentBlock::text("three"));
        assert_eq!(tool_result(&result), "three\n");
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(
            [0, 1023, 1024, 1536, 3 << 20].map(size),
            ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "3.0 MiB"]
        );
    }
}
