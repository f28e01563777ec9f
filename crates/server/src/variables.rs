//! The variables of a URI template and the arguments of a prompt, read into a type: each is text, and a number or a boolean where the
//! type wants one.

use std::collections::BTreeMap;

use serde::de::value::{Error, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Reads `variables` as `T`.
pub(crate) fn read<T: DeserializeOwned>(variables: &BTreeMap<String, String>) -> Result<T, Error> {
    T::deserialize(MapDeserializer::new(variables.iter().map(|(name, value)| (name.as_str(), Text(value)))))
}

/// The text of one variable.
struct Text<'a>(&'a str);

impl<'de> IntoDeserializer<'de> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parse {
    ($($method:ident => $visit:ident: $type:ty,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse::<$type>() {
                Ok(value) => visitor.$visit(value),
                // The visitor's own complaint names what it expects.
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    parse! {
        deserialize_bool => visit_bool: bool,
        deserialize_i8 => visit_i8: i8,
        deserialize_i16 => visit_i16: i16,
        deserialize_i32 => visit_i32: i32,
        deserialize_i64 => visit_i64: i64,
        deserialize_u8 => visit_u8: u8,
        deserialize_u16 => visit_u16: u16,
        deserialize_u32 => visit_u32: u32,
        deserialize_u64 => visit_u64: u64,
        deserialize_f32 => visit_f32: f32,
        deserialize_f64 => visit_f64: f64,
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Format {
        Json,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Page {
        book: String,
        number: u32,
        format: Option<Format>,
    }

    fn page(pairs: &[(&str, &str)]) -> Result<Page, Error> {
        read(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn reads_text_numbers_and_enums() {
        let expected = Page { book: "12".to_owned(), number: 7, format: Some(Format::Json) };
        assert_eq!(page(&[("book", "12"), ("number", "7"), ("format", "json")]).unwrap(), expected);
        assert_eq!(page(&[("book", "x"), ("number", "7")]).unwrap().format, None);
    }

    #[test]
    fn refuses_a_number_that_is_none() {
        assert!(page(&[("book", "x"), ("number", "seven")]).unwrap_err().to_string().contains("u32"));
    }
}
