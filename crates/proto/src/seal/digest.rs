//! Digests to bind a token to what is too large to compare, such as the arguments of a call.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// SHA-256 over `parts`, each with its length in front: no two different lists digest alike.
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        feed_part(&mut hash, part);
    }
    hash.finalize().into()
}

/// SHA-256 over what a JSON text says: white space, the order of members and escapes do not matter.
///
/// Numbers count as they are read: integers of up to 64 bits exactly, all others as doubles; `1` and
/// `1.0` differ. Of members with the same name the last one counts.
///
/// # Errors
/// The text is not JSON, or nests more than 127 deep.
pub fn digest_json(text: &str) -> Result<[u8; 32], serde_json::Error> {
    let value = serde_json::from_str(text)?;
    let mut hash = Sha256::new();
    feed_value(&mut hash, &value);
    Ok(hash.finalize().into())
}

fn feed_part(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

/// One letter for the type, then the content with its length or count.
fn feed_value(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Null => hash.update(b"z"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Number(number) => {
            hash.update(b"n");
            feed_part(hash, number.to_string().as_bytes());
        }
        Value::String(text) => {
            hash.update(b"s");
            feed_part(hash, text.as_bytes());
        }
        Value::Array(items) => {
            hash.update(b"a");
            hash.update((items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| feed_value(hash, item));
        }
        Value::Object(members) => {
            hash.update(b"o");
            hash.update((members.len() as u64).to_be_bytes());
            // A feature of some other crate can make the map keep the order of the text.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in members {
                feed_part(hash, name.as_bytes());
                feed_value(hash, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> [u8; 32] {
        digest_json(text).expect("JSON")
    }

    #[test]
    fn lists_of_parts_that_join_alike_digest_differently() {
        let lists: [&[&[u8]]; 5] = [&[], &[b""], &[b"ab"], &[b"a", b"b"], &[b"", b"ab"]];
        for (at, list) in lists.iter().enumerate() {
            for other in &lists[at + 1..] {
                assert_ne!(digest(list), digest(other));
            }
        }
    }

    #[test]
    fn white_space_order_and_escapes_do_not_matter() {
        let plain = r#"{"a":[1,{"c":"é","d":null}],"b":true}"#;
        let other = "{ \"b\" : true,\n\"a\":[1, {\"d\":null,\"\\u0063\":\"\\u00e9\"}] }";
        assert_eq!(of(plain), of(other));
    }

    #[test]
    fn different_values_digest_differently() {
        let texts = [
            "null",
            "false",
            "true",
            "0",
            "1",
            "1.0",
            "-1",
            "\"1\"",
            "\"\"",
            "[]",
            "[[]]",
            "[1]",
            "[1,1]",
            "[[1],1]",
            "{}",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"b":1}"#,
            r#"[{"a":1},{"b":2}]"#,
            r#"[{"a":1,"b":2}]"#,
            "9007199254740993",
            "9007199254740992",
        ];
        for (at, text) in texts.iter().enumerate() {
            for other in &texts[at + 1..] {
                assert_ne!(of(text), of(other), "{text} {other}");
            }
        }
    }

    #[test]
    fn refuses_what_is_not_json_and_what_nests_too_deep() {
        assert!(digest_json("{").is_err());
        assert!(digest_json(&"[".repeat(100_000)).is_err());
        let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
        assert!(digest_json(&deep).is_ok());
    }
}
