//! Fields whose values are given: one of several, or some of several.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::{
    PrimitiveSchemaDefinition,
    schema::{ArrayType, StringType},
};
use crate::jsonrpc::optional_setters;

/// A choice.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EnumSchema {
    /// One of several.
    Single(SingleSelectEnumSchema),
    /// Some of several.
    Multi(MultiSelectEnumSchema),
    /// One of several, titled as before 2025-11-25.
    Legacy(LegacyTitledEnumSchema),
}

/// One of several.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum SingleSelectEnumSchema {
    /// Shown as they are.
    Untitled(UntitledSingleSelectEnumSchema),
    /// Shown by their titles.
    Titled(TitledSingleSelectEnumSchema),
}

/// Some of several.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum MultiSelectEnumSchema {
    /// Shown as they are.
    Untitled(UntitledMultiSelectEnumSchema),
    /// Shown by their titles.
    Titled(TitledMultiSelectEnumSchema),
}

impl<'de> Deserialize<'de> for EnumSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match PrimitiveSchemaDefinition::deserialize(deserializer)? {
            PrimitiveSchemaDefinition::Enum(schema) => Ok(schema),
            PrimitiveSchemaDefinition::String(_)
            | PrimitiveSchemaDefinition::Number(_)
            | PrimitiveSchemaDefinition::Boolean(_) => Err(D::Error::custom("the schema lists no choices")),
        }
    }
}

impl<'de> Deserialize<'de> for SingleSelectEnumSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match EnumSchema::deserialize(deserializer)? {
            EnumSchema::Single(schema) => Ok(schema),
            EnumSchema::Multi(_) | EnumSchema::Legacy(_) => {
                Err(D::Error::custom("the schema is not that of one of several"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for MultiSelectEnumSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match EnumSchema::deserialize(deserializer)? {
            EnumSchema::Multi(schema) => Ok(schema),
            EnumSchema::Single(_) | EnumSchema::Legacy(_) => {
                Err(D::Error::custom("the schema is not that of some of several"))
            }
        }
    }
}

/// A value and what people see of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TitledChoice {
    /// The value.
    #[serde(rename = "const")]
    pub value: String,
    /// What people see.
    pub title: String,
}

fn untitled<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Vec<String> {
    values.into_iter().map(Into::into).collect()
}

fn titled<V: Into<String>, T: Into<String>>(choices: impl IntoIterator<Item = (V, T)>) -> Vec<TitledChoice> {
    choices.into_iter().map(|(value, title)| TitledChoice { value: value.into(), title: title.into() }).collect()
}

/// One of several, shown as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UntitledSingleSelectEnumSchema {
    #[serde(rename = "type")]
    kind: StringType,
    /// The field's name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What to choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The values.
    #[serde(rename = "enum")]
    pub values: Vec<String>,
    /// What is chosen at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl UntitledSingleSelectEnumSchema {
    /// One of these values.
    pub fn new<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Self {
        let values = untitled(values);
        Self { kind: StringType::String, title: None, description: None, values, default: None }
    }
}

/// One of several, shown by their titles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TitledSingleSelectEnumSchema {
    #[serde(rename = "type")]
    kind: StringType,
    /// The field's name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What to choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The values with their titles.
    #[serde(rename = "oneOf")]
    pub choices: Vec<TitledChoice>,
    /// What is chosen at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl TitledSingleSelectEnumSchema {
    /// One of these values, each with its title.
    pub fn new<V: Into<String>, T: Into<String>>(choices: impl IntoIterator<Item = (V, T)>) -> Self {
        let choices = titled(choices);
        Self { kind: StringType::String, title: None, description: None, choices, default: None }
    }
}

/// One of several, titled as before 2025-11-25: [`TitledSingleSelectEnumSchema`] takes its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LegacyTitledEnumSchema {
    #[serde(rename = "type")]
    kind: StringType,
    /// The field's name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What to choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The values.
    #[serde(rename = "enum")]
    pub values: Vec<String>,
    /// Their titles, in the same order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enum_names: Option<Vec<String>>,
    /// What is chosen at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

impl LegacyTitledEnumSchema {
    /// One of these values, each with its title.
    pub fn new<V: Into<String>, T: Into<String>>(choices: impl IntoIterator<Item = (V, T)>) -> Self {
        let pairs = choices.into_iter().map(|(value, title)| (value.into(), title.into()));
        let (values, names) = pairs.unzip();
        Self {
            kind: StringType::String,
            title: None,
            description: None,
            values,
            enum_names: Some(names),
            default: None,
        }
    }
}

/// Some of several, shown as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UntitledMultiSelectEnumSchema {
    #[serde(rename = "type")]
    kind: ArrayType,
    /// The field's name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What to choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How many at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_items: Option<u64>,
    /// How many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u64>,
    /// The values.
    pub items: ChoiceItems,
    /// What is chosen at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Vec<String>>,
}

/// Values to choose from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChoiceItems {
    #[serde(rename = "type")]
    kind: StringType,
    /// The values.
    #[serde(rename = "enum")]
    pub values: Vec<String>,
}

impl UntitledMultiSelectEnumSchema {
    /// Some of these values.
    pub fn new<S: Into<String>>(values: impl IntoIterator<Item = S>) -> Self {
        Self {
            kind: ArrayType::Array,
            title: None,
            description: None,
            min_items: None,
            max_items: None,
            items: ChoiceItems { kind: StringType::String, values: untitled(values) },
            default: None,
        }
    }
}

/// Some of several, shown by their titles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TitledMultiSelectEnumSchema {
    #[serde(rename = "type")]
    kind: ArrayType,
    /// The field's name, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What to choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How many at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_items: Option<u64>,
    /// How many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u64>,
    /// The values with their titles.
    pub items: TitledChoiceItems,
    /// What is chosen at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Vec<String>>,
}

/// Values to choose from, with their titles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TitledChoiceItems {
    /// The values with their titles.
    #[serde(rename = "anyOf")]
    pub choices: Vec<TitledChoice>,
}

impl TitledMultiSelectEnumSchema {
    /// Some of these values, each with its title.
    pub fn new<V: Into<String>, T: Into<String>>(choices: impl IntoIterator<Item = (V, T)>) -> Self {
        Self {
            kind: ArrayType::Array,
            title: None,
            description: None,
            min_items: None,
            max_items: None,
            items: TitledChoiceItems { choices: titled(choices) },
            default: None,
        }
    }
}

macro_rules! choice_setters {
    ($($schema:ident($default:ty),)*) => {
        $(optional_setters! { $schema {
            /// Sets the field's name for people.
            with_title(title: impl Into<String>);
            /// Says what to choose.
            with_description(description: impl Into<String>);
            /// Sets what is chosen at first.
            with_default(default: impl Into<$default>);
        } })*
    };
}

choice_setters! {
    UntitledSingleSelectEnumSchema(String),
    TitledSingleSelectEnumSchema(String),
    LegacyTitledEnumSchema(String),
    UntitledMultiSelectEnumSchema(Vec<String>),
    TitledMultiSelectEnumSchema(Vec<String>),
}

optional_setters! { UntitledMultiSelectEnumSchema {
    /// Says how many at least.
    with_min_items(min_items: u64);
    /// Says how many at most.
    with_max_items(max_items: u64);
} }

optional_setters! { TitledMultiSelectEnumSchema {
    /// Says how many at least.
    with_min_items(min_items: u64);
    /// Says how many at most.
    with_max_items(max_items: u64);
} }
