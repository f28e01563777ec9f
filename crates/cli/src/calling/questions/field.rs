//! One field of a form, as it is shown to a person.

use std::fmt::Write;

use anypod_client::proto::elicitation::{
    Choice, EnumSchema, FieldError, MultiSelectEnumSchema, NumberKind, PrimitiveSchemaDefinition, StringFormat,
};
use serde_json::Value;

use crate::output::{self, clean};

/// A field that is to be filled in.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name, for programs.
    pub(super) name: String,
    /// What may be entered.
    pub(super) schema: PrimitiveSchemaDefinition,
    /// Whether it may be left out.
    pub(super) required: bool,
}

impl Field {
    /// Asks for it.
    pub(super) fn prompt(&self) -> String {
        let mut out = output::emphasis(self.schema.title().unwrap_or(&self.name));
        if let Some(text) = self.schema.description() {
            let _ = write!(out, ": {}", clean::line(text));
        }
        let required = if self.required { "required, " } else { "" };
        let _ = writeln!(out, " ({required}{})", self.kind());
        for (number, choice) in self.choices().iter().enumerate() {
            let _ = writeln!(out, "  {}) {}", number + 1, clean::line(choice.title));
        }
        out.push_str(&self.caret());
        out
    }

    /// What stands before the place to write.
    pub(super) fn caret(&self) -> String {
        match self.default() {
            Some(value) => format!("[{}] > ", clean::line(&self.plain(&value))),
            None => "> ".to_owned(),
        }
    }

    /// What is taken when nothing is entered.
    pub(super) fn default(&self) -> Option<Value> {
        self.schema.default_value()
    }

    /// What a line means: a value, or nothing where an empty line leaves the field out.
    ///
    /// # Errors
    /// If the line does not fit.
    pub(super) fn read(&self, line: &str) -> Result<Option<Value>, FieldError> {
        match (line.is_empty(), self.default()) {
            (false, _) => self.schema.parse(line).map(Some),
            (true, Some(value)) => Ok(Some(value)),
            (true, None) if self.required => Err(FieldError::Missing),
            (true, None) => Ok(None),
        }
    }

    /// The values to choose from, if they are given.
    fn choices(&self) -> Vec<Choice<'_>> {
        match &self.schema {
            PrimitiveSchemaDefinition::String(_)
            | PrimitiveSchemaDefinition::Number(_)
            | PrimitiveSchemaDefinition::Boolean(_) => Vec::new(),
            PrimitiveSchemaDefinition::Enum(choice) => choice.choices(),
        }
    }

    /// Whether several values may be chosen.
    pub(super) fn takes_several(&self) -> bool {
        match &self.schema {
            PrimitiveSchemaDefinition::String(_)
            | PrimitiveSchemaDefinition::Number(_)
            | PrimitiveSchemaDefinition::Boolean(_) => false,
            PrimitiveSchemaDefinition::Enum(choice) => choice.is_multi(),
        }
    }

    /// What may be entered, in a few words.
    pub(super) fn kind(&self) -> String {
        match &self.schema {
            PrimitiveSchemaDefinition::String(schema) => {
                let what = match schema.format {
                    Some(StringFormat::Email) => "a mail address",
                    Some(StringFormat::Uri) => "a URI",
                    Some(StringFormat::Date) => "a date, as 2026-12-31",
                    Some(StringFormat::DateTime) => "a date and time, as 2026-12-31T12:00:00Z",
                    None => "a text",
                };
                let bounds = bounds(schema.min_length.filter(|least| *least > 0), schema.max_length);
                if bounds.is_empty() { what.to_owned() } else { format!("{what} of{bounds} characters") }
            }
            PrimitiveSchemaDefinition::Number(schema) => {
                let what = match schema.kind {
                    NumberKind::Number => "a number",
                    NumberKind::Integer => "a whole number",
                };
                match (schema.minimum, schema.maximum) {
                    (Some(least), Some(most)) => format!("{what} from {least} to {most}"),
                    (Some(least), None) => format!("{what} from {least}"),
                    (None, Some(most)) => format!("{what} up to {most}"),
                    (None, None) => what.to_owned(),
                }
            }
            PrimitiveSchemaDefinition::Boolean(_) => "yes or no".to_owned(),
            PrimitiveSchemaDefinition::Enum(EnumSchema::Single(_) | EnumSchema::Legacy(_)) => "one of these".to_owned(),
            PrimitiveSchemaDefinition::Enum(EnumSchema::Multi(multi)) => {
                let (least, most) = match multi {
                    MultiSelectEnumSchema::Untitled(schema) => (schema.min_items, schema.max_items),
                    MultiSelectEnumSchema::Titled(schema) => (schema.min_items, schema.max_items),
                };
                format!("any{} of these, with commas between them", bounds(least, most))
            }
        }
    }

    /// A value as a person would enter it.
    fn plain(&self, value: &Value) -> String {
        let title = |value: &Value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let choice = self.choices().into_iter().find(|choice| choice.value == text);
            choice.map_or(text, |choice| choice.title.to_owned())
        };
        match value {
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            Value::Array(values) => values.iter().map(title).collect::<Vec<_>>().join(", "),
            Value::Null | Value::Number(_) | Value::String(_) | Value::Object(_) => title(value),
        }
    }
}

/// ` 1 to 3`, ` at least 1`, ` at most 3`, or nothing.
fn bounds(least: Option<u64>, most: Option<u64>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!(" {least} to {most}"),
        (Some(least), None) => format!(" at least {least}"),
        (None, Some(most)) => format!(" at most {most}"),
        (None, None) => String::new(),
    }
}
