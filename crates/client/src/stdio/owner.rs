//! Whose answer a line is that cannot be read as a message, because it is too long or malformed.
//!
//! Only then does the one request fail that the line belongs to, and not every one.

/// Who a line belongs to, as far as its ends tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It answers the request of this id.
    Request(u64),
    /// It answers nothing: a notification, a request, or no message at all.
    Nobody,
    /// It is an answer, and does not tell of what.
    Unknown,
}

/// Looks at the first and the last bytes of a line. Servers write `id` before the result or at the very end.
pub(super) fn owner(start: &[u8], end: &[u8]) -> Owner {
    let Some(mut rest) = start.trim_ascii_start().strip_prefix(b"{") else { return Owner::Nobody };
    let mut id = None;
    while let Some((key, value)) = member(rest) {
        match (key, id) {
            (b"result" | b"error", None) => return last_id(end).map_or(Owner::Unknown, Owner::Request),
            (b"result" | b"error", Some(id)) => return Owner::Request(id),
            (b"method" | b"params", _) => return Owner::Nobody,
            _ => {}
        }
        let Some((value, after)) = scalar(value) else { return Owner::Unknown };
        if key == b"id" {
            let Some(number) = number(value) else { return Owner::Nobody };
            id = Some(number);
        }
        rest = after;
    }
    id.map_or(Owner::Nobody, Owner::Request)
}

/// The key of the next member, and what follows its colon.
fn member(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b",").unwrap_or(text).trim_ascii_start().strip_prefix(b"\"")?;
    let (key, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b'"')?)?;
    let value = rest.strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")?;
    Some((key, value.trim_ascii_start()))
}

/// A number, a literal or a string without escapes, and what follows it.
fn scalar(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = match text.first()? {
        b'{' | b'[' => return None,
        b'"' => text.iter().skip(1).position(|byte| *byte == b'"')? + 2,
        _ => text.iter().position(|byte| b",} \t\r".contains(byte))?,
    };
    let (value, rest) = text.split_at_checked(length)?;
    (!value.contains(&b'\\')).then_some((value, rest))
}

/// The id with which a message ends: `"id":7}`. Nothing but a member of the message itself can stand there.
fn last_id(end: &[u8]) -> Option<u64> {
    let end = end.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let digits = end.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, digits) = end.split_at_checked(end.len() - digits)?;
    let rest = rest.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end().strip_suffix(b"\"id\"")?;
    rest.trim_ascii_end().ends_with(b",").then(|| number(digits)).flatten()
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(line: &str) -> Owner {
        owner(line.as_bytes(), line.as_bytes())
    }

    #[test]
    fn finds_the_id_before_the_result_and_at_the_end() {
        for line in [
            r#"{"jsonrpc":"2.0","id":7,"result":{}}"#,
            r#" { "id" : 7 , "jsonrpc" : "2.0" , "error" : {"id":9} } "#,
            r#"{"result":{"id":8},"jsonrpc":"2.0","id":7}"#,
            r#"{"error":{"code":1,"message":"\"id\":6}"}, "id": 7 }"#,
            r#"{"jsonrpc":"2.0","id":7}"#,
        ] {
            assert_eq!(whole(line), Owner::Request(7), "{line}");
        }
    }

    #[test]
    fn takes_nothing_else_for_an_answer() {
        for line in [
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{}}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":{},"id":7}"#,
            r#"{"params":{},"method":"x","jsonrpc":"2.0","id":7}"#,
            r#"{"jsonrpc":"2.0","id":"7","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":-7,"result":{}}"#,
            "listening on 7",
            "",
            "{",
        ] {
            assert_eq!(whole(line), Owner::Nobody, "{line}");
        }
    }

    #[test]
    fn says_when_an_answer_does_not_tell_whose_it_is() {
        for line in [
            r#"{"jsonrpc":"2.0","result":{"id":7}}"#,
            r#"{"result":"x,\"id\":7}"#,
            r#"{"result":{},"my\"id":7}"#,
            r#"{"x":{},"id":7,"result":1}"#,
        ] {
            assert_eq!(whole(line), Owner::Unknown, "{line}");
        }
    }

    proptest! {
        #[test]
        fn looks_at_any_bytes(start in ".*", end in ".*") {
            owner(start.as_bytes(), end.as_bytes());
        }

        #[test]
        fn looks_at_what_is_nearly_a_message(line in r#"([{},:"]|id|result|method|[0-9]|\\| ){0,40}"#) {
            whole(&line);
        }
    }
}
