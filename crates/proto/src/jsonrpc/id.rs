//! Identifiers that are a string or an integer.

/// Why a text or JSON value is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be a string or an integer between -2^63 and 2^63-1, not {found}")]
pub struct InvalidId {
    what: &'static str,
    found: String,
}

impl InvalidId {
    pub(crate) fn new(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, found: found.into() }
    }
}

/// Writes a type that is a string or an integer on the wire, and nothing else.
macro_rules! string_or_integer {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            /// An integer.
            Integer(i64),
            /// A string, which may be empty.
            String(String),
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    Self::Integer(number) => number.fmt(f),
                    Self::String(text) => text.fmt(f),
                }
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                Self::Integer(number)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::String(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self::String(text)
            }
        }

        impl TryFrom<&serde_json::Value> for $name {
            type Error = $crate::jsonrpc::InvalidId;

            fn try_from(value: &serde_json::Value) -> Result<Self, Self::Error> {
                let invalid = |found: &str| $crate::jsonrpc::InvalidId::new($what, found);
                match value {
                    serde_json::Value::String(text) => Ok(Self::String(text.clone())),
                    serde_json::Value::Number(number) => match number.as_i64() {
                        Some(integer) => Ok(Self::Integer(integer)),
                        None => Err(invalid(&number.to_string())),
                    },
                    serde_json::Value::Null => Err(invalid("null")),
                    serde_json::Value::Bool(_) => Err(invalid("a boolean")),
                    serde_json::Value::Array(_) => Err(invalid("an array")),
                    serde_json::Value::Object(_) => Err(invalid("an object")),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    Self::Integer(number) => serializer.serialize_i64(*number),
                    Self::String(text) => serializer.serialize_str(text),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!($what, ": a string or an integer between -2^63 and 2^63-1"))
                    }

                    fn visit_i64<E>(self, number: i64) -> Result<$name, E> {
                        Ok($name::Integer(number))
                    }

                    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<$name, E> {
                        match i64::try_from(number) {
                            Ok(number) => Ok($name::Integer(number)),
                            Err(_) => {
                                Err(E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
                            }
                        }
                    }

                    fn visit_str<E>(self, text: &str) -> Result<$name, E> {
                        Ok($name::String(text.to_owned()))
                    }

                    fn visit_string<E>(self, text: String) -> Result<$name, E> {
                        Ok($name::String(text))
                    }
                }

                deserializer.deserialize_any(Visitor)
            }
        }
    };
}

pub(crate) use string_or_integer;

string_or_integer! {
    /// Identifies a request among those its sender has open. `1` and `"1"` are different ids.
    ///
    /// Null, fractions and integers outside of 64 bits are refused: no two implementations agree on
    /// how to echo them.
    RequestId, "id"
}
