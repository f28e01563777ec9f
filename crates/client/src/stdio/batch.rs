//! Several messages in one array, as revision 2025-03-26 has them.

use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::Broken;

/// Hands over the elements of an array as they are read, up to the first failure. `Ok(None)` if it is no array.
pub(super) fn each(text: &[u8], take: impl FnMut(&str) -> Result<(), Broken>) -> Result<Option<()>, Broken> {
    let mut json = serde_json::Deserializer::from_slice(text);
    match json.deserialize_seq(Each(take)) {
        Ok(taken) => taken.map(Some),
        Err(_) => Ok(None),
    }
}

struct Each<F>(F);

impl<'de, F: FnMut(&str) -> Result<(), Broken>> Visitor<'de> for Each<F> {
    type Value = Result<(), Broken>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<Self::Value, A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            if let Err(broken) = (self.0)(element.get()) {
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Err(broken));
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str, most: usize) -> (Vec<String>, Result<Option<()>, Broken>) {
        let mut taken = Vec::new();
        let read = each(text.as_bytes(), |element| {
            taken.push(element.to_owned());
            if taken.len() > most { Err(Broken::EndlessList) } else { Ok(()) }
        });
        (taken, read)
    }

    #[test]
    fn takes_one_by_one_until_it_is_too_much() {
        assert_eq!(taken("[1, {\"a\":[]}]", 9), (vec!["1".to_owned(), "{\"a\":[]}".to_owned()], Ok(Some(()))));
        assert_eq!(taken("[1,2,3]", 1), (vec!["1".to_owned(), "2".to_owned()], Err(Broken::EndlessList)));
    }

    #[test]
    fn what_is_no_array_is_none() {
        for text in ["[", "[info] listening", "{}"] {
            assert_eq!(taken(text, 0).1, Ok(None), "{text}");
        }
    }
}
