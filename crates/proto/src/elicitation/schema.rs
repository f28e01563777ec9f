//! The schema of a form: one flat object of primitive fields.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::{
    EnumSchema, LegacyTitledEnumSchema, MultiSelectEnumSchema, SingleSelectEnumSchema, TitledMultiSelectEnumSchema,
    TitledSingleSelectEnumSchema, UntitledMultiSelectEnumSchema, UntitledSingleSelectEnumSchema,
};
use crate::jsonrpc::{JsonObject, JsonValue, number, optional_setters};

/// Writes a type whose only value is the `type` of a schema.
macro_rules! type_tag {
    ($(#[$doc:meta])* $name:ident, $variant:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(rename_all = "lowercase")]
        pub(crate) enum $name {
            #[default]
            $variant,
        }
    };
}

type_tag! { ObjectType, Object }
type_tag! { StringType, String }
type_tag! { BooleanType, Boolean }
type_tag! { ArrayType, Array }

/// The fields of a form, and which of them must be filled in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestedSchema {
    /// The dialect; 2020-12 if absent.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    #[serde(rename = "type")]
    kind: ObjectType,
    /// The fields, in the order in which they are to be shown.
    pub properties: Properties,
    /// The names of those that must be filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<Vec<String>>,
}

impl RequestedSchema {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field that may be left empty.
    #[must_use]
    pub fn optional(mut self, name: impl Into<String>, field: impl Into<PrimitiveSchemaDefinition>) -> Self {
        self.properties.0.push((name.into(), field.into()));
        self
    }

    /// Adds a field that must be filled in.
    #[must_use]
    pub fn required(self, name: impl Into<String>, field: impl Into<PrimitiveSchemaDefinition>) -> Self {
        let name = name.into();
        let mut form = self.optional(name.clone(), field);
        form.required.get_or_insert_default().push(name);
        form
    }
}

/// Fields in the order of the wire, which is the order in which a person sees them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties(pub Vec<(String, PrimitiveSchemaDefinition)>);

impl Properties {
    /// The field of that name.
    pub fn find(&self, name: &str) -> Option<&PrimitiveSchemaDefinition> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, field)| field)
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, field)| (name, field)))
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Properties;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of primitive schemas")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Properties(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PrimitiveSchemaDefinition {
    /// Text.
    String(StringSchema),
    /// A number.
    Number(NumberSchema),
    /// Yes or no.
    Boolean(BooleanSchema),
    /// A choice.
    Enum(EnumSchema),
}

/// Decided by `type`, and among strings and arrays by the keywords that list choices.
impl<'de> Deserialize<'de> for PrimitiveSchemaDefinition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = JsonObject::deserialize(deserializer)?;
        read(object).map_err(D::Error::custom)
    }
}

fn read(object: JsonObject) -> Result<PrimitiveSchemaDefinition, serde_json::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Type {
        String,
        Number,
        Integer,
        Boolean,
        Array,
    }
    let kind = Type::deserialize(object.get("type").unwrap_or(&JsonValue::Null))?;
    let has = |keyword: &str| object.contains_key(keyword);
    let (titled, legacy, listed) = (has("oneOf"), has("enumNames"), has("enum"));
    let titled_items = object.get("items").is_some_and(|items| items.get("anyOf").is_some());
    let value = JsonValue::Object(object);
    match kind {
        Type::Number | Type::Integer => NumberSchema::deserialize(value).map(Into::into),
        Type::Boolean => BooleanSchema::deserialize(value).map(Into::into),
        Type::String if titled => TitledSingleSelectEnumSchema::deserialize(value).map(Into::into),
        Type::String if legacy => LegacyTitledEnumSchema::deserialize(value).map(Into::into),
        Type::String if listed => UntitledSingleSelectEnumSchema::deserialize(value).map(Into::into),
        Type::String => StringSchema::deserialize(value).map(Into::into),
        Type::Array if titled_items => TitledMultiSelectEnumSchema::deserialize(value).map(Into::into),
        Type::Array => UntitledMultiSelectEnumSchema::deserialize(value).map(Into::into),
    }
}

macro_rules! field_from {
    ($($schema:ident => $wrap:expr;)*) => {
        $(impl From<$schema> for PrimitiveSchemaDefinition {
            fn from(schema: $schema) -> Self {
                $wrap(schema)
            }
        })*
    };
}

field_from! {
    StringSchema => Self::String;
    NumberSchema => Self::Number;
    BooleanSchema => Self::Boolean;
    EnumSchema => Self::Enum;
    UntitledSingleSelectEnumSchema =>
        |schema| Self::Enum(EnumSchema::Single(SingleSelectEnumSchema::Untitled(schema)));
    TitledSingleSelectEnumSchema =>
        |schema| Self::Enum(EnumSchema::Single(SingleSelectEnumSchema::Titled(schema)));
    UntitledMultiSelectEnumSchema =>
        |schema| Self::Enum(EnumSchema::Multi(MultiSelectEnumSchema::Untitled(schema)));
    TitledMultiSelectEnumSchema =>
        |schema| Self::Enum(EnumSchema::Multi(MultiSelectEnumSchema::Titled(schema)));
    LegacyTitledEnumSchema => |schema| Self::Enum(EnumSchema::Legacy(schema));
}

/// A field for text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StringSchema {
    #[serde(rename = "type")]
    kind: StringType,
    /// Its name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What to enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The least number of characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u64>,
    /// The greatest number of characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// What the text must look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<StringFormat>,
    /// What is entered at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl StringSchema {
    /// A field for any text.
    pub fn new() -> Self {
        Self::default()
    }
}

optional_setters! { StringSchema {
    /// Sets the name for people.
    with_title(title: impl Into<String>);
    /// Says what to enter.
    with_description(description: impl Into<String>);
    /// Sets the least number of characters.
    with_min_length(min_length: u64);
    /// Sets the greatest number of characters.
    with_max_length(max_length: u64);
    /// Says what the text must look like.
    with_format(format: StringFormat);
    /// Sets what is entered at first.
    with_default(default: impl Into<String>);
} }

/// What a text must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StringFormat {
    /// A mail address.
    Email,
    /// A URI.
    Uri,
    /// A day, as `2026-07-28`.
    Date,
    /// A time on a day, as `2026-07-28T12:00:00Z`.
    DateTime,
}

/// A field for a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberSchema {
    /// Whether it must be whole.
    #[serde(rename = "type")]
    pub kind: NumberKind,
    /// Its name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What to enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The least it may be.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::option")]
    pub minimum: Option<f64>,
    /// The most it may be.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::option")]
    pub maximum: Option<f64>,
    /// What is entered at first.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::option")]
    pub default: Option<f64>,
}

/// Whether a number must be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NumberKind {
    /// It need not.
    Number,
    /// It must.
    Integer,
}

impl NumberSchema {
    /// A field for any number.
    pub fn number() -> Self {
        Self::of(NumberKind::Number)
    }

    /// A field for a whole number.
    pub fn integer() -> Self {
        Self::of(NumberKind::Integer)
    }

    fn of(kind: NumberKind) -> Self {
        Self { kind, title: None, description: None, minimum: None, maximum: None, default: None }
    }
}

optional_setters! { NumberSchema {
    /// Sets the name for people.
    with_title(title: impl Into<String>);
    /// Says what to enter.
    with_description(description: impl Into<String>);
    /// Sets the least it may be.
    with_minimum(minimum: impl Into<f64>);
    /// Sets the most it may be.
    with_maximum(maximum: impl Into<f64>);
    /// Sets what is entered at first.
    with_default(default: impl Into<f64>);
} }

/// A field for yes or no.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BooleanSchema {
    #[serde(rename = "type")]
    kind: BooleanType,
    /// Its name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the answer means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is chosen at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
}

impl BooleanSchema {
    /// A field for yes or no.
    pub fn new() -> Self {
        Self::default()
    }
}

optional_setters! { BooleanSchema {
    /// Sets the name for people.
    with_title(title: impl Into<String>);
    /// Says what the answer means.
    with_description(description: impl Into<String>);
    /// Sets what is chosen at first.
    with_default(default: bool);
} }
