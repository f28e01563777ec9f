//! What may be answered to a form: its defaults, and which values fit its fields.
//!
//! Spec: client/elicitation, "Requested Schema".

use serde_json::{Number, Value, json};

use super::{
    BooleanSchema, NumberKind, NumberSchema, PrimitiveSchemaDefinition, RequestedSchema, StringFormat, StringSchema,
};
use crate::{
    jsonrpc::{JsonObject, number},
    schema::{Limits, Role, Schema},
};

/// Why a value does not fit a field, in words for the person who fills it in.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FieldError {
    /// The field must be filled in.
    #[error("must be filled in")]
    Missing,
    /// The form has no field of that name.
    #[error("is no field of this form")]
    Unknown,
    /// It must be text.
    #[error("must be text")]
    NotText,
    /// It must be a number.
    #[error("must be a number")]
    NotANumber,
    /// It must be a whole number.
    #[error("must be a whole number")]
    NotWhole,
    /// It must be yes or no.
    #[error("must be yes or no")]
    NotABoolean,
    /// It must be a list of choices.
    #[error("must be a list of choices")]
    NotAList,
    /// Fewer characters than this.
    #[error("must have at least {0} characters")]
    TooShort(u64),
    /// More characters than this.
    #[error("must have at most {0} characters")]
    TooLong(u64),
    /// Not of the format.
    #[error("must be {}", described(*.0))]
    Format(StringFormat),
    /// Less than this.
    #[error("must be at least {0}")]
    TooSmall(f64),
    /// More than this.
    #[error("must be at most {0}")]
    TooLarge(f64),
    /// None of the choices.
    #[error("`{0}` is none of the choices")]
    NoChoice(String),
    /// Fewer choices than this.
    #[error("choose at least {0}")]
    TooFew(u64),
    /// More choices than this.
    #[error("choose at most {0}")]
    TooMany(u64),
}

const fn described(format: StringFormat) -> &'static str {
    match format {
        StringFormat::Email => "a mail address, such as ada@example.com",
        StringFormat::Uri => "a URI, such as https://example.com/",
        StringFormat::Date => "a day, such as 2026-07-31",
        StringFormat::DateTime => "a time on a day, such as 2026-07-31T12:00:00Z",
    }
}

/// Which field of a form is filled in wrongly, and why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{field}`: {error}")]
pub struct FormError {
    /// The field's name.
    pub field: String,
    /// What is wrong with it.
    pub error: FieldError,
}

impl RequestedSchema {
    /// What the form says if nothing is entered: every field that has a default. A default that its own field does not
    /// allow is left out.
    pub fn defaults(&self) -> JsonObject {
        let fields = self.properties.0.iter();
        let defaults = fields.filter_map(|(name, field)| Some((name.clone(), field.default_value()?)));
        defaults.collect()
    }

    /// Whether a field must be filled in.
    pub fn requires(&self, name: &str) -> bool {
        self.required.iter().flatten().any(|required| required == name)
    }

    /// Checks a filled-in form: every value fits its field, no required one is missing, and there is none that the
    /// form does not have.
    ///
    /// # Errors
    /// The first that is wrong, in the order of the form.
    pub fn check(&self, content: &JsonObject) -> Result<(), FormError> {
        let refuse = |field: &String, error| Err(FormError { field: field.clone(), error });
        for (name, field) in &self.properties.0 {
            if let Some(Err(error)) = content.get(name).map(|value| field.check(value)) {
                return refuse(name, error);
            }
        }
        if let Some(missing) = self.required.iter().flatten().find(|name| !content.contains_key(*name)) {
            return refuse(missing, FieldError::Missing);
        }
        match content.keys().find(|name| self.properties.find(name).is_none()) {
            Some(unknown) => refuse(unknown, FieldError::Unknown),
            None => Ok(()),
        }
    }
}

impl PrimitiveSchemaDefinition {
    /// Its name, for people.
    pub fn title(&self) -> Option<&str> {
        match self {
            Self::String(StringSchema { title, .. })
            | Self::Number(NumberSchema { title, .. })
            | Self::Boolean(BooleanSchema { title, .. }) => title.as_deref(),
            Self::Enum(field) => field.view().title,
        }
    }

    /// What to enter.
    pub fn description(&self) -> Option<&str> {
        match self {
            Self::String(StringSchema { description, .. })
            | Self::Number(NumberSchema { description, .. })
            | Self::Boolean(BooleanSchema { description, .. }) => description.as_deref(),
            Self::Enum(field) => field.view().description,
        }
    }

    /// What is entered at first, if the field allows it.
    pub fn default_value(&self) -> Option<Value> {
        let default = match self {
            Self::String(field) => field.default.clone().map(Value::from),
            Self::Number(field) => field.default.and_then(number_value),
            Self::Boolean(field) => field.default.map(Value::from),
            Self::Enum(field) => field.view().default,
        };
        default.filter(|value| self.check(value).is_ok())
    }

    /// Checks a value.
    ///
    /// # Errors
    /// If it does not fit the field.
    pub fn check(&self, value: &Value) -> Result<(), FieldError> {
        match self {
            Self::String(field) => field.check_text(value.as_str().ok_or(FieldError::NotText)?),
            Self::Number(field) => field.check_number(value.as_number().ok_or(FieldError::NotANumber)?),
            Self::Boolean(_) => value.as_bool().map(drop).ok_or(FieldError::NotABoolean),
            Self::Enum(field) => field.view().check(value),
        }
    }
}

/// A number as JSON, whole where it is whole.
pub(super) fn number_value(number: f64) -> Option<Value> {
    number::serialize(&number, serde_json::value::Serializer).ok().filter(Value::is_number)
}

impl StringSchema {
    fn check_text(&self, text: &str) -> Result<(), FieldError> {
        let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        match (self.min_length, self.max_length, self.format) {
            (Some(least), _, _) if length < least => Err(FieldError::TooShort(least)),
            (_, Some(most), _) if length > most => Err(FieldError::TooLong(most)),
            (_, _, Some(format)) if !has_format(format, text) => Err(FieldError::Format(format)),
            (_, _, _) => Ok(()),
        }
    }
}

/// As the server will see it, which checks forms as JSON Schemas.
fn has_format(format: StringFormat, text: &str) -> bool {
    let form = json!({ "type": "object", "properties": { "text": { "format": format } } });
    let schema = Schema::compile(&form, Role::Form, &Limits::default());
    schema.is_ok_and(|schema| schema.validate_value(&json!({ "text": text })).is_ok())
}

impl NumberSchema {
    fn check_number(&self, number: &Number) -> Result<(), FieldError> {
        let float = number.as_f64().ok_or(FieldError::NotANumber)?;
        match (self.kind, self.minimum, self.maximum) {
            (NumberKind::Integer, _, _) if float.fract() != 0.0 => Err(FieldError::NotWhole),
            (_, Some(least), _) if float < least => Err(FieldError::TooSmall(least)),
            (_, _, Some(most)) if float > most => Err(FieldError::TooLarge(most)),
            (_, _, _) => Ok(()),
        }
    }
}
