//! Answers that a script gives on the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anypod_client::proto::jsonrpc::JsonObject;
use serde_json::Value;

use super::field::Field;
use crate::calling::read_at_most;
use crate::usage::Usage;

/// The most that a file with answers may hold, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// What `--answer` and `--answers` say.
#[derive(Debug, Default)]
pub(super) struct Script {
    texts: BTreeMap<String, Vec<String>>,
    values: JsonObject,
}

impl Script {
    /// Reads both.
    ///
    /// # Errors
    /// If an answer is no `FIELD=TEXT`, or the file is no JSON object.
    pub(super) fn read(answers: &[String], file: Option<&Path>) -> Result<Self, Usage> {
        let mut script = Self::default();
        for answer in answers {
            let pair = answer.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, text) = pair.ok_or_else(|| Usage::new(format!("--answer {answer}: write FIELD=TEXT")))?;
            script.texts.entry(name.to_owned()).or_default().push(text.to_owned());
        }
        if let Some(path) = file {
            let wrong = |why: String| Usage::new(format!("--answers {}: {why}", path.display()));
            let text = std::fs::File::open(path).and_then(|file| read_at_most(file, FILE_LIMIT));
            let text = text.map_err(|error| wrong(error.to_string()))?;
            script.values =
                serde_json::from_str(&text).map_err(|error| wrong(format!("no JSON object of answers: {error}")))?;
        }
        Ok(script)
    }

    /// The fields that it has answers for.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.texts.keys().chain(self.values.keys()).cloned().collect()
    }

    /// The answer for a field; `--answer` before the file.
    ///
    /// # Errors
    /// If it does not fit.
    pub(super) fn answer(&self, field: &Field) -> Result<Option<Value>, Usage> {
        let name = &field.name;
        match (self.texts.get(name).map(Vec::as_slice), self.values.get(name)) {
            (Some([_, _, ..]), _) if !field.takes_several() => {
                Err(Usage::new(format!("--answer {name}: given twice, where one answer is wanted")))
            }
            (Some(texts), _) => {
                let text = texts.join(",");
                let value = field.schema.parse(&text);
                value
                    .map(Some)
                    .map_err(|why| Usage::new(format!("--answer {name}={text}: {why}; wanted is {}", field.kind())))
            }
            (None, Some(value)) => {
                let fits = field.schema.check(value).map(|()| Some(value.clone()));
                fits.map_err(|why| Usage::new(format!("--answers, {name}: {why}; wanted is {}", field.kind())))
            }
            (None, None) => Ok(None),
        }
    }
}
