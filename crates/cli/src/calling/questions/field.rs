//! One field of a form, as it is shown to a person.

use std::fmt::Write;

use anypod_client::proto::elicitation::{
    EnumSchema, MultiSelectEnumSchema, NumberKind, PrimitiveSchemaDefinition, SingleSelectEnumSchema, StringFormat,
    TitledChoice,
};
use serde_json::{Number, Value};

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

/// A value with what people see of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice<'a> {
    /// The value.
    pub(super) value: &'a str,
    /// What people see.
    pub(super) title: &'a str,
}

impl Field {
    /// Asks for it.
    pub(super) fn prompt(&self) -> String {
        let (title, description) = self.words();
        let mut out = output::emphasis(title.unwrap_or(&self.name));
        if let Some(text) = description {
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
        match &self.schema {
            PrimitiveSchemaDefinition::String(schema) => schema.default.clone().map(Value::String),
            PrimitiveSchemaDefinition::Number(schema) => schema.default.and_then(number),
            PrimitiveSchemaDefinition::Boolean(schema) => schema.default.map(Value::Bool),
            PrimitiveSchemaDefinition::Enum(EnumSchema::Single(single)) => match single {
                SingleSelectEnumSchema::Untitled(schema) => schema.default.clone().map(Value::String),
                SingleSelectEnumSchema::Titled(schema) => schema.default.clone().map(Value::String),
            },
            PrimitiveSchemaDefinition::Enum(EnumSchema::Legacy(schema)) => schema.default.clone().map(Value::String),
            PrimitiveSchemaDefinition::Enum(EnumSchema::Multi(multi)) => match multi {
                MultiSelectEnumSchema::Untitled(schema) => schema.default.clone().map(Value::from),
                MultiSelectEnumSchema::Titled(schema) => schema.default.clone().map(Value::from),
            },
        }
    }

    /// The values to choose from, if they are given.
    pub(super) fn choices(&self) -> Vec<Choice<'_>> {
        match &self.schema {
            PrimitiveSchemaDefinition::String(_)
            | PrimitiveSchemaDefinition::Number(_)
            | PrimitiveSchemaDefinition::Boolean(_) => Vec::new(),
            PrimitiveSchemaDefinition::Enum(EnumSchema::Single(single)) => match single {
                SingleSelectEnumSchema::Untitled(schema) => listed(&schema.values, None),
                SingleSelectEnumSchema::Titled(schema) => titled(&schema.choices),
            },
            PrimitiveSchemaDefinition::Enum(EnumSchema::Legacy(schema)) => {
                listed(&schema.values, schema.enum_names.as_deref())
            }
            PrimitiveSchemaDefinition::Enum(EnumSchema::Multi(multi)) => match multi {
                MultiSelectEnumSchema::Untitled(schema) => listed(&schema.items.values, None),
                MultiSelectEnumSchema::Titled(schema) => titled(&schema.items.choices),
            },
        }
    }

    /// Whether several values may be chosen.
    pub(super) const fn takes_several(&self) -> bool {
        matches!(self.schema, PrimitiveSchemaDefinition::Enum(EnumSchema::Multi(_)))
    }

    /// Its title and its description.
    fn words(&self) -> (Option<&str>, Option<&str>) {
        macro_rules! words {
            ($schema:expr) => {
                ($schema.title.as_deref(), $schema.description.as_deref())
            };
        }
        match &self.schema {
            PrimitiveSchemaDefinition::String(schema) => words!(schema),
            PrimitiveSchemaDefinition::Number(schema) => words!(schema),
            PrimitiveSchemaDefinition::Boolean(schema) => words!(schema),
            PrimitiveSchemaDefinition::Enum(EnumSchema::Single(SingleSelectEnumSchema::Untitled(schema))) => {
                words!(schema)
            }
            PrimitiveSchemaDefinition::Enum(EnumSchema::Single(SingleSelectEnumSchema::Titled(schema))) => {
                words!(schema)
            }
            PrimitiveSchemaDefinition::Enum(EnumSchema::Legacy(schema)) => words!(schema),
            PrimitiveSchemaDefinition::Enum(EnumSchema::Multi(MultiSelectEnumSchema::Untitled(schema))) => {
                words!(schema)
            }
            PrimitiveSchemaDefinition::Enum(EnumSchema::Multi(MultiSelectEnumSchema::Titled(schema))) => {
                words!(schema)
            }
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

fn titled(choices: &[TitledChoice]) -> Vec<Choice<'_>> {
    choices.iter().map(|choice| Choice { value: &choice.value, title: &choice.title }).collect()
}

fn listed<'a>(values: &'a [String], titles: Option<&'a [String]>) -> Vec<Choice<'a>> {
    let title = |number: usize| titles.and_then(|titles| titles.get(number)).map(String::as_str);
    let choices = values.iter().enumerate();
    choices.map(|(number, value)| Choice { value, title: title(number).unwrap_or(value) }).collect()
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

/// A number, whole if it is.
pub(super) fn number(number: f64) -> Option<Value> {
    // Beyond this, neighbouring whole numbers are the same to a double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.fract() == 0.0 && number.abs() < EXACT {
        true => format!("{number:.0}").parse::<i64>().ok().map(Value::from),
        false => Number::from_f64(number).map(Value::Number),
    }
}
