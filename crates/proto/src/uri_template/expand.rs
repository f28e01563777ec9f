//! From variables to a URI. RFC 6570, section 3 and appendix A.

use super::{Operator, Part};

pub(super) fn expand<'v>(parts: &[Part], variables: &[Box<str>], lookup: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Literal(text) => out.push_str(text),
            Part::Expression { operator, first, end } => {
                let values = variables[*first..*end].iter().filter_map(|name| Some((&**name, lookup(name)?)));
                push_values(&mut out, *operator, values);
            }
        }
    }
    out
}

fn push_values<'n>(out: &mut String, operator: Operator, values: impl Iterator<Item = (&'n str, &'n str)>) {
    let mut lead = operator.lead();
    for (name, value) in values {
        out.extend(lead.map(char::from));
        lead = Some(operator.separator());
        match operator {
            Operator::Simple | Operator::Label | Operator::Path => push_encoded(out, value, false),
            Operator::Reserved | Operator::Fragment => push_encoded(out, value, true),
            Operator::Parameter if value.is_empty() => out.push_str(name),
            Operator::Parameter | Operator::Query | Operator::Continuation => {
                out.push_str(name);
                out.push('=');
                push_encoded(out, value, false);
            }
        }
    }
}

/// Percent-encodes all but unreserved characters; with `keep_reserved` also leaves reserved ones and
/// what is encoded already.
pub(super) fn push_encoded(out: &mut String, value: &str, keep_reserved: bool) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for (at, byte) in value.bytes().enumerate() {
        let keep = match byte {
            b'%' => keep_reserved && triple(&value.as_bytes()[at..]).is_some(),
            _ => is_unreserved(byte) || keep_reserved && is_reserved(byte),
        };
        if keep {
            out.push(char::from(byte));
        } else {
            let [high, low] = [byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)]));
            out.extend(['%', high, low]);
        }
    }
}

/// The byte that `%` and two hexadecimal digits at the start of `text` stand for.
pub(super) fn triple(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_reserved(byte: u8) -> bool {
    matches!(byte, b':' | b'/' | b'?' | b'#' | b'[' | b']' | b'@')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use super::super::UriTemplate;

    /// The variables of the examples in RFC 6570, sections 1.2 and 3.2.
    fn value(name: &str) -> Option<&'static str> {
        Some(match name {
            "var" => "value",
            "hello" => "Hello World!",
            "half" => "50%",
            "base" => "http://example.com/home/",
            "path" => "/foo/bar",
            "empty" => "",
            "x" => "1024",
            "y" => "768",
            "v" => "6",
            "who" => "fred",
            "dub" => "me/too",
            _ => return None,
        })
    }

    #[test]
    fn expands_as_the_rfc_shows() {
        let shown = [
            ("{var}", "value"),
            ("{hello}", "Hello%20World%21"),
            ("{half}", "50%25"),
            ("O{empty}X", "OX"),
            ("O{undef}X", "OX"),
            ("{x,y}", "1024,768"),
            ("{x,hello,y}", "1024,Hello%20World%21,768"),
            ("?{x,empty}", "?1024,"),
            ("?{x,undef}", "?1024"),
            ("?{undef,y}", "?768"),
            ("{+hello}", "Hello%20World!"),
            ("{+half}", "50%25"),
            ("{base}index", "http%3A%2F%2Fexample.com%2Fhome%2Findex"),
            ("{+base}index", "http://example.com/home/index"),
            ("up{+path}{var}/here", "up/foo/barvalue/here"),
            ("{+x,hello,y}", "1024,Hello%20World!,768"),
            ("{#var}", "#value"),
            ("{#x,hello,y}", "#1024,Hello%20World!,768"),
            ("foo{#empty}", "foo#"),
            ("foo{#undef}", "foo"),
            ("X{.var}", "X.value"),
            ("X{.x,y}", "X.1024.768"),
            ("X{.empty}", "X."),
            ("{/who}", "/fred"),
            ("{/half,who}", "/50%25/fred"),
            ("{/who,dub}", "/fred/me%2Ftoo"),
            ("{/var,empty}", "/value/"),
            ("{/var,undef}", "/value"),
            ("{;x,y}", ";x=1024;y=768"),
            ("{;x,y,empty}", ";x=1024;y=768;empty"),
            ("{;v,undef,who}", ";v=6;who=fred"),
            ("{?x,y}", "?x=1024&y=768"),
            ("{?x,y,empty}", "?x=1024&y=768&empty="),
            ("{?undef,y}", "?y=768"),
            ("?fixed=yes{&x}", "?fixed=yes&x=1024"),
            ("{&x,y,empty}", "&x=1024&y=768&empty="),
            ("caf\u{e9}/%41", "caf%C3%A9/%41"),
        ];
        for (template, uri) in shown {
            let template = UriTemplate::parse(template).expect(template);
            assert_eq!(template.expand(value), uri, "{template}");
        }
    }

    #[test]
    fn a_reserved_value_keeps_what_is_encoded_already() {
        let template = UriTemplate::parse("{+a}{#b}").expect("a template");
        assert_eq!(template.expand(|_| Some("%2F%zz%")), "%2F%25zz%25#%2F%25zz%25");
    }
}
