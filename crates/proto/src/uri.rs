//! What is a URI: a scheme and, after it, only what may stand in one.
//!
//! Spec: server/resources, "Custom URI Schemes"; RFC 3986, appendix A.

/// Whether `text` is an absolute URI. Looks at the scheme and the characters, not at what a scheme of its
/// own demands of the rest. What is not ASCII must be percent-encoded.
pub fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    is_scheme(scheme) && !rest.is_empty() && has_uri_characters(rest)
}

/// What a URL may be shown as, whatever is wrong with it: a user and a password before the host are left out.
pub fn without_credentials(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://…{}", &rest[at..]),
        None => text.to_owned(),
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn has_uri_characters(rest: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte);
    let is_hex = |at: usize| rest.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    let fragments = rest.bytes().filter(|byte| *byte == b'#').count();
    fragments <= 1
        && rest.bytes().enumerate().all(|(at, byte)| match byte {
            b'%' => is_hex(at + 1) && is_hex(at + 2),
            other => allowed(other),
        })
}

#[cfg(test)]
mod tests {
    use super::{is_uri, without_credentials};

    #[test]
    fn shows_no_user_and_no_password() {
        for (text, shown) in [
            ("http://user:secret@a/b", "http://…@a/b"),
            ("http://us@er:sec@ret@a:1?c=d@e", "http://…@a:1?c=d@e"),
            ("user:secret@a", "://…@a"),
            ("http://a/b@c", "http://a/b@c"),
            ("a", "a"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn tells_uris_from_other_text() {
        for good in ["https://a.example/b?c=%20#d", "file:///a", "note://one", "urn:isbn:1", "x+y-1.z:[::1]"] {
            assert!(is_uri(good), "{good}");
        }
        for bad in ["", "a", "/a", ":a", "a:", "1a:b", "a b:c", "a:b c", "a:\u{e9}", "a:%2", "a:%zz", "a:#b#c", "a:<b>"]
        {
            assert!(!is_uri(bad), "{bad}");
        }
    }
}
