//! One word of the command line: a key, and what is to become its value.

use std::io;

use anypod_proto::jsonrpc::JsonValue;

use crate::usage::Usage;

/// What a person wrote after the key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    /// A text, of which the schema says what it becomes.
    Text(String),
    /// A value.
    Json(JsonValue),
}

/// A key with what was written for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    /// The key: names with dots between them.
    pub(super) key: String,
    /// What was written.
    pub(super) written: Written,
}

impl Word {
    /// Reads `key=text`, `key=@file` or `key:=json`. `key=@@text` is the text `@text`.
    ///
    /// # Errors
    /// If it is none of these, if the JSON is none, or if `read` cannot read the file.
    pub(crate) fn parse(word: &str, read: impl Fn(&str) -> io::Result<String>) -> Result<Self, Usage> {
        let (key, text) = match word.split_once('=') {
            Some((key, text)) if !key.is_empty() && key != ":" => (key, text),
            Some(_) | None => {
                return Err(Usage::new(format!("`{word}` is no argument: write key=text, key=@file or key:=json")));
            }
        };
        let (key, written) = match (key.strip_suffix(':'), text.strip_prefix('@')) {
            (Some(key), _) => (key, Written::Json(json(key, text)?)),
            (None, Some(literal)) if literal.starts_with('@') => (key, Written::Text(literal.to_owned())),
            (None, Some(file)) => {
                let text =
                    read(file).map_err(|error| Usage::new(format!("argument {key}: cannot read {file}: {error}")));
                (key, Written::Text(text?))
            }
            (None, None) => (key, Written::Text(text.to_owned())),
        };
        Ok(Self { key: key.to_owned(), written })
    }
}

fn json(key: &str, text: &str) -> Result<JsonValue, Usage> {
    serde_json::from_str(text).map_err(|error| {
        Usage::new(format!("argument {key}: what is after := is no JSON ({error}); write {key}=text for a text"))
    })
}
