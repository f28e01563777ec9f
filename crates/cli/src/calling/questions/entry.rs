//! What a person or a script entered for a field, as a value that fits it.

use anypod_client::proto::elicitation::{
    EnumSchema, MultiSelectEnumSchema, NumberKind, NumberSchema, PrimitiveSchemaDefinition, StringFormat, StringSchema,
};
use anypod_client::proto::uri::is_uri;
use serde_json::Value;

use super::field::{Choice, Field, number};

/// What was entered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    /// A value that fits.
    Value(Value),
    /// Nothing, where nothing need be.
    Nothing,
}

/// What a line means. An empty one is the default, or nothing.
///
/// # Errors
/// Says what is wanted, if the line does not fit.
pub(super) fn read(field: &Field, line: &str) -> Result<Entry, String> {
    if line.is_empty() {
        return match field.default() {
            Some(value) => Ok(Entry::Value(value)),
            None if field.required => Err("it is required".to_owned()),
            None => Ok(Entry::Nothing),
        };
    }
    match field.takes_several() {
        true => read_all(field, &line.split(',').map(|text| text.trim().to_owned()).collect::<Vec<_>>()),
        false => fit(field, line).map(Entry::Value),
    }
}

/// What several texts mean, of which only a field that takes several has more than one.
///
/// # Errors
/// As [`read`].
pub(super) fn read_all(field: &Field, texts: &[String]) -> Result<Entry, String> {
    if !field.takes_several() {
        return match texts {
            [text] => fit(field, text).map(Entry::Value),
            _ => Err("only one answer is wanted".to_owned()),
        };
    }
    let texts = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty());
    let mut values: Vec<Value> = Vec::new();
    for text in texts {
        let value = choose(&field.choices(), text)?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let value = Value::Array(values);
    check(field, &value).map(|()| Entry::Value(value))
}

/// A text as a value that fits.
fn fit(field: &Field, text: &str) -> Result<Value, String> {
    let value = match &field.schema {
        PrimitiveSchemaDefinition::String(_) => Value::String(text.to_owned()),
        PrimitiveSchemaDefinition::Number(_) => {
            text.parse().ok().and_then(number).ok_or_else(|| format!("it must be {}", field.kind()))?
        }
        PrimitiveSchemaDefinition::Boolean(_) => match text.to_lowercase().as_str() {
            "y" | "yes" | "true" => Value::Bool(true),
            "n" | "no" | "false" => Value::Bool(false),
            _ => return Err("it must be yes or no".to_owned()),
        },
        PrimitiveSchemaDefinition::Enum(_) => choose(&field.choices(), text)?,
    };
    check(field, &value).map(|()| value)
}

/// A choice by its value, its title or its number in the list. Numbers come last: values may be numbers too.
fn choose(choices: &[Choice<'_>], text: &str) -> Result<Value, String> {
    let by_value = || choices.iter().find(|choice| choice.value == text);
    let by_title = || choices.iter().find(|choice| choice.title.eq_ignore_ascii_case(text));
    let by_number = || choices.get(text.parse::<usize>().ok()?.checked_sub(1)?);
    let found = by_value().or_else(by_title).or_else(by_number);
    let known = || choices.iter().map(|choice| choice.title).collect::<Vec<_>>().join(", ");
    found.map(|choice| Value::from(choice.value)).ok_or_else(|| format!("`{text}` is none of {}", known()))
}

/// Whether a value fits a field.
///
/// # Errors
/// Says what is wanted, if it does not.
pub(super) fn check(field: &Field, value: &Value) -> Result<(), String> {
    let fits = match (&field.schema, value) {
        (PrimitiveSchemaDefinition::String(schema), Value::String(text)) => is_text(schema, text),
        (PrimitiveSchemaDefinition::Number(schema), Value::Number(found)) => {
            found.as_f64().is_some_and(|found| is_number(schema, found))
        }
        (PrimitiveSchemaDefinition::Boolean(_), Value::Bool(_)) => true,
        (PrimitiveSchemaDefinition::Enum(EnumSchema::Single(_) | EnumSchema::Legacy(_)), Value::String(text)) => {
            field.choices().iter().any(|choice| choice.value == text)
        }
        (PrimitiveSchemaDefinition::Enum(EnumSchema::Multi(multi)), Value::Array(values)) => {
            let (least, most) = match multi {
                MultiSelectEnumSchema::Untitled(schema) => (schema.min_items, schema.max_items),
                MultiSelectEnumSchema::Titled(schema) => (schema.min_items, schema.max_items),
            };
            let choices = field.choices();
            let known = |value: &Value| choices.iter().any(|choice| value == choice.value);
            counts(values.len(), least, most) && values.iter().all(known)
        }
        (
            PrimitiveSchemaDefinition::String(_)
            | PrimitiveSchemaDefinition::Number(_)
            | PrimitiveSchemaDefinition::Boolean(_)
            | PrimitiveSchemaDefinition::Enum(_),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_),
        ) => false,
    };
    if fits { Ok(()) } else { Err(format!("it must be {}", field.kind())) }
}

fn is_number(schema: &NumberSchema, found: f64) -> bool {
    let whole = match schema.kind {
        NumberKind::Number => true,
        NumberKind::Integer => found.fract() == 0.0,
    };
    whole
        && found.is_finite()
        && schema.minimum.is_none_or(|least| found >= least)
        && schema.maximum.is_none_or(|most| found <= most)
}

/// Length and format. What of a format cannot be said by its shape alone is left to the server.
fn is_text(schema: &StringSchema, text: &str) -> bool {
    let formed = match schema.format {
        Some(StringFormat::Email) => {
            text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        }
        Some(StringFormat::Uri) => is_uri(text),
        Some(StringFormat::Date) => is_date(text),
        Some(StringFormat::DateTime) => text.get(..10).is_some_and(is_date) && text[10..].starts_with(['T', 't']),
        None => true,
    };
    formed && counts(text.chars().count(), schema.min_length, schema.max_length)
}

fn is_date(text: &str) -> bool {
    let shape = text.len() == 10
        && text.char_indices().all(|(at, char)| match at {
            4 | 7 => char == '-',
            _ => char.is_ascii_digit(),
        });
    let part = |range| text.get(range).and_then(|part: &str| part.parse::<u8>().ok()).unwrap_or(0);
    shape && (1..=12).contains(&part(5..7)) && (1..=31).contains(&part(8..10))
}

fn counts(found: usize, least: Option<u64>, most: Option<u64>) -> bool {
    let found = u64::try_from(found).unwrap_or(u64::MAX);
    least.is_none_or(|least| found >= least) && most.is_none_or(|most| found <= most)
}
