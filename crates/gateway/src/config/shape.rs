//! The JSON Schema of the configuration, read as what a key may hold.

use std::fmt;

use serde_json::{Map, Value};

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'s> {
    root: &'s Value,
    /// What is said about this key: beside a reference, or all there is.
    here: &'s Value,
    /// What the reference leads to, or `here`.
    target: &'s Value,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Flag,
    Whole,
    Number,
    Text,
    Time,
    Choice(Vec<String>),
    List(Box<Kind>),
    /// Names of the user's own, each with one of these.
    Named(Box<Kind>),
    Table,
}

impl<'s> Shape<'s> {
    /// The whole file.
    pub(super) fn of(schema: &'s Value) -> Self {
        Self { root: schema, here: schema, target: schema }
    }

    fn at(self, here: &'s Value) -> Self {
        let target =
            here.get("$ref").and_then(Value::as_str).and_then(|name| self.root.pointer(name.strip_prefix('#')?));
        Self { root: self.root, here, target: target.unwrap_or(here) }
    }

    fn named(self) -> Option<&'s Map<String, Value>> {
        self.target.get("properties")?.as_object()
    }

    /// The keys of a table, in the order of the type.
    pub(super) fn keys(self) -> impl Iterator<Item = (&'s str, Shape<'s>)> {
        self.named().into_iter().flatten().map(move |(name, here)| (name.as_str(), self.at(here)))
    }

    /// What a key of a table may hold.
    pub(super) fn key(self, name: &str) -> Option<Self> {
        Some(self.at(self.named()?.get(name)?))
    }

    /// What the elements of a list may be.
    pub(super) fn element(self) -> Option<Self> {
        Some(self.at(self.target.get("items")?))
    }

    /// What stands at each of the user's own names.
    pub(super) fn each(self) -> Option<Self> {
        Some(self.at(self.target.get("additionalProperties")?))
    }

    /// Whether a table has to have this key.
    pub(super) fn requires(self, name: &str) -> bool {
        let required = self.target.get("required").and_then(Value::as_array);
        required.is_some_and(|names| names.iter().any(|known| known == name))
    }

    /// What stands in the file when the key does not.
    pub(super) fn default(self) -> Option<&'s Value> {
        self.here.get("default")
    }

    /// The least that a number may be.
    pub(super) fn least(self) -> Option<i64> {
        self.target.get("minimum")?.as_i64()
    }

    /// The doc of the key.
    pub(super) fn doc(self) -> &'s str {
        text(self.here, "description").or_else(|| text(self.target, "description")).unwrap_or_default()
    }

    /// The doc of the type.
    pub(super) fn doc_of_type(self) -> &'s str {
        text(self.target, "description").unwrap_or_default()
    }

    /// The choices that there are, with their docs.
    pub(super) fn choices(self) -> impl Iterator<Item = (&'s str, &'s str)> {
        let choices = self.target.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        choices.filter_map(|choice| Some((text(choice, "const")?, text(choice, "description").unwrap_or_default())))
    }

    pub(super) fn kind(self) -> Kind {
        let choices: Vec<_> = self.choices().map(|(name, _)| name.to_owned()).collect();
        if !choices.is_empty() {
            return Kind::Choice(choices);
        }
        match text(self.target, "type") {
            Some("boolean") => Kind::Flag,
            Some("integer") => Kind::Whole,
            Some("number") => Kind::Number,
            Some("array") => Kind::List(Box::new(self.element().map_or(Kind::Text, Self::kind))),
            Some("object") if self.named().is_none() => {
                Kind::Named(Box::new(self.each().map_or(Kind::Text, Self::kind)))
            }
            Some("object") => Kind::Table,
            _ if text(self.here, "$ref") == Some("#/$defs/Time") => Kind::Time,
            _ => Kind::Text,
        }
    }
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str()
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Whole => f.write_str("a whole number"),
            Self::Number => f.write_str("a number"),
            Self::Text => f.write_str("a text in quotes"),
            Self::Time => f.write_str("a time in quotes, such as \"10s\""),
            Self::Choice(choices) => f.write_str(&one_of(choices)),
            Self::List(kind) => match kind.as_ref() {
                Self::Table => f.write_str("a list of tables"),
                Self::Text => f.write_str("a list of texts, such as [\"…\", \"…\"]"),
                Self::Flag
                | Self::Whole
                | Self::Number
                | Self::Time
                | Self::Choice(_)
                | Self::List(_)
                | Self::Named(_) => {
                    write!(f, "a list, each {kind}")
                }
            },
            Self::Named(kind) => match kind.as_ref() {
                Self::Text => f.write_str("a table of texts"),
                kind => write!(f, "a table, at each name {kind}"),
            },
            Self::Table => f.write_str("a table"),
        }
    }
}

fn one_of(choices: &[String]) -> String {
    let quoted: Vec<_> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
