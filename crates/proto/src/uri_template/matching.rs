//! From a URI to variables.
//!
//! A table says for each piece and each offset whether the pieces from there on match the URI from
//! there on. It is filled backwards, one row from the rows behind it, so that no choice is tried
//! twice, whatever template and URI are; the walk forward then only takes steps that lead to the end.

use super::expand::triple;
use super::{Operator, Part};

/// The longest URI that is matched, in bytes. With the bounds of a template it bounds the table to 600 kB.
pub const MAX_URI_LEN: usize = 8192;

/// What a part asks of a URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(Box<str>),
    Value(Value),
    Pairs(Pairs),
}

/// The value of one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    variable: usize,
    lead: Option<u8>,
    /// Where a value ends at the latest.
    ends: &'static [u8],
    /// Where to go on if the value is missing. `None` if it has to be there, and not empty.
    otherwise: Option<usize>,
}

/// Names with values, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pairs {
    operator: Operator,
    first: usize,
    end: usize,
}

/// A pair as it was found.
struct Pair {
    variable: usize,
    value: (usize, usize),
}

pub(super) fn compile(parts: &[Part]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in parts {
        match part {
            Part::Literal(text) => pieces.push(Piece::Literal(text.clone())),
            Part::Expression { operator, first, end } => compile_expression(&mut pieces, *operator, *first, *end),
        }
    }
    pieces
}

fn compile_expression(pieces: &mut Vec<Piece>, operator: Operator, first: usize, end: usize) {
    let ends: &[u8] = match operator {
        Operator::Parameter | Operator::Query | Operator::Continuation => {
            return pieces.push(Piece::Pairs(Pairs { operator, first, end }));
        }
        Operator::Reserved | Operator::Fragment => b"",
        Operator::Simple if end - first > 1 => b"/?#,",
        Operator::Label if end - first > 1 => b"/?#.",
        Operator::Simple | Operator::Label | Operator::Path => b"/?#",
    };
    // A value can only be there if the one before it is: which one is missing could not be told.
    let after = pieces.len() + (end - first);
    let mut lead = operator.lead();
    for variable in first..end {
        let otherwise = lead.map(|_| after);
        pieces.push(Piece::Value(Value { variable, lead, ends, otherwise }));
        lead = Some(operator.separator());
    }
}

/// The values that were found, by variable.
pub(super) fn match_uri(pieces: &[Piece], variables: &[Box<str>], uri: &str) -> Option<Vec<(usize, String)>> {
    if uri.len() > MAX_URI_LEN {
        return None;
    }
    // Most templates that do not match differ here, where it costs nothing.
    if let Some(Piece::Literal(text)) = pieces.first()
        && !uri.starts_with(&**text)
    {
        return None;
    }
    let matcher = Matcher { uri: uri.as_bytes(), variables };
    matcher.walk(pieces, &matcher.fill(pieces))
}

/// Whether the pieces from a place on match the URI from an offset on.
struct Table {
    width: usize,
    cells: Vec<bool>,
}

impl Table {
    fn row(&self, place: usize) -> &[bool] {
        &self.cells[place * self.width..][..self.width]
    }
}

#[derive(Clone, Copy)]
struct Matcher<'a> {
    uri: &'a [u8],
    variables: &'a [Box<str>],
}

impl<'a> Matcher<'a> {
    fn fill(self, pieces: &[Piece]) -> Table {
        let width = self.uri.len() + 1;
        let mut table = Table { width, cells: vec![false; width * (pieces.len() + 1)] };
        // Behind the last piece only the end of the URI matches.
        if let Some(last) = table.cells.last_mut() {
            *last = true;
        }
        for (place, piece) in pieces.iter().enumerate().rev() {
            let row = self.fill_row(piece, place, &table);
            table.cells[place * width..][..width].copy_from_slice(&row);
        }
        table
    }

    fn fill_row(self, piece: &Piece, place: usize, table: &Table) -> Vec<bool> {
        let next = table.row(place + 1);
        let offsets = 0..table.width;
        match piece {
            Piece::Literal(text) => {
                let matches = |at: usize| self.uri[at..].starts_with(text.as_bytes()) && next[at + text.len()];
                offsets.map(matches).collect()
            }
            Piece::Value(value) => {
                let runs = self.runs(value, next);
                let missing = |at: usize| value.otherwise.is_some_and(|other| table.row(other)[at]);
                let there = |at: usize| self.begin(value, at).is_some_and(|at| runs[at]);
                offsets.map(|at| missing(at) || there(at)).collect()
            }
            Piece::Pairs(pairs) => {
                let matches = |at: usize| next[at] || self.pairs(pairs, at).iter().any(|pair| next[pair.value.1]);
                offsets.map(matches).collect()
            }
        }
    }

    /// Whether a value that goes on at an offset can end so that `next` matches.
    fn runs(self, value: &Value, next: &[bool]) -> Vec<bool> {
        let mut runs = next.to_vec();
        for at in (0..self.uri.len()).rev() {
            runs[at] = runs[at] || self.character(at, value.ends).is_some_and(|after| runs[after]);
        }
        runs
    }

    /// Where the part of a value begins that may be empty: behind its lead, or its first character.
    fn begin(self, value: &Value, at: usize) -> Option<usize> {
        match value.lead {
            Some(lead) => (self.uri.get(at) == Some(&lead)).then_some(at + 1),
            None => self.character(at, value.ends),
        }
    }

    /// The end of the character at an offset, if it can be part of a value. Characters are never taken
    /// apart, whether UTF-8 stands there raw or percent-encoded: half a character decodes to nothing.
    fn character(self, at: usize, ends: &[u8]) -> Option<usize> {
        match *self.uri.get(at)? {
            b'%' => {
                let width = width(triple(&self.uri[at..])?)?;
                let mut tail = self.uri[at + 3..].chunks(3).take(width - 1).map(triple);
                let is_whole = tail.len() == width - 1 && tail.all(|byte| matches!(byte, Some(0x80..=0xbf)));
                is_whole.then_some(at + 3 * width)
            }
            0..=b' ' | 0x7f => None,
            byte if ends.contains(&byte) => None,
            byte => Some(at + width(byte)?),
        }
    }

    /// The pairs from an offset on, as many as there are.
    fn pairs(self, pairs: &Pairs, at: usize) -> Vec<Pair> {
        let mut found: Vec<Pair> = Vec::new();
        let mut at = at;
        let mut lead = pairs.operator.lead();
        while lead.is_some() && self.uri.get(at) == lead.as_ref() {
            let Some(pair) = self.pair(pairs, at + 1) else { break };
            if found.iter().any(|other| other.variable == pair.variable) {
                break;
            }
            at = pair.value.1;
            lead = Some(pairs.operator.separator());
            found.push(pair);
        }
        found
    }

    fn pair(self, pairs: &Pairs, at: usize) -> Option<Pair> {
        let is_parameter = pairs.operator == Operator::Parameter;
        let ends: &[u8] = if is_parameter { b"/?#;" } else { b"?#&" };
        let rest = &self.uri[at..];
        // The longest name could be compared at every offset: find its end first.
        let len = rest.iter().position(|byte| *byte == b'=' || ends.contains(byte)).unwrap_or(rest.len());
        let names = &self.variables[pairs.first..pairs.end];
        let variable = pairs.first + names.iter().position(|name| name.as_bytes() == &rest[..len])?;
        let begin = match rest.get(len) {
            Some(b'=') => at + len + 1,
            // RFC 6570, section 3.2.7: an empty parameter has no `=`.
            _ if is_parameter => return Some(Pair { variable, value: (at + len, at + len) }),
            _ => return None,
        };
        let mut end = begin;
        while let Some(after) = self.character(end, ends) {
            end = after;
        }
        Some(Pair { variable, value: (begin, end) })
    }

    fn walk(self, pieces: &[Piece], table: &Table) -> Option<Vec<(usize, String)>> {
        let mut found = Vec::with_capacity(self.variables.len());
        let (mut place, mut at) = (0, 0);
        if !table.row(0)[0] {
            return None;
        }
        while let Some(piece) = pieces.get(place) {
            let next = table.row(place + 1);
            place += 1;
            match piece {
                Piece::Literal(text) => at += text.len(),
                Piece::Value(value) => match self.longest(value, at, next) {
                    Some(end) => {
                        let begin = at + usize::from(value.lead.is_some());
                        found.push((value.variable, self.decode(begin, end)?));
                        at = end;
                    }
                    None => place = value.otherwise?,
                },
                Piece::Pairs(pairs) => {
                    let mut pairs = self.pairs(pairs, at);
                    while pairs.last().is_some_and(|pair| !next[pair.value.1]) {
                        pairs.pop();
                    }
                    for pair in pairs {
                        found.push((pair.variable, self.decode(pair.value.0, pair.value.1)?));
                        at = pair.value.1;
                    }
                }
            }
        }
        Some(found)
    }

    /// The last end of the value at an offset from which `next` matches.
    fn longest(self, value: &Value, at: usize, next: &[bool]) -> Option<usize> {
        let mut at = Some(self.begin(value, at)?);
        let ends = std::iter::from_fn(|| {
            let end = at?;
            at = self.character(end, value.ends);
            Some(end)
        });
        ends.filter(|end| next[*end]).last()
    }

    fn decode(self, begin: usize, end: usize) -> Option<String> {
        let mut bytes = Vec::with_capacity(end - begin);
        let mut rest = &self.uri[begin..end];
        while let Some((byte, after)) = rest.split_first() {
            match triple(rest) {
                Some(decoded) => {
                    bytes.push(decoded);
                    rest = &rest[3..];
                }
                None => {
                    bytes.push(*byte);
                    rest = after;
                }
            }
        }
        String::from_utf8(bytes).ok()
    }
}

/// How many bytes a character has in UTF-8 that begins with `byte`.
const fn width(byte: u8) -> Option<usize> {
    match byte {
        0..=0x7f => Some(1),
        0xc2..=0xdf => Some(2),
        0xe0..=0xef => Some(3),
        0xf0..=0xf4 => Some(4),
        0x80..=0xc1 | 0xf5..=0xff => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MAX_TEMPLATE_LEN, MAX_VARIABLES, UriTemplate};
    use super::*;

    fn matched(template: &str, uri: &str) -> Option<String> {
        let template = UriTemplate::parse(template).expect(template);
        let values = template.match_uri(uri)?;
        Some(values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn gives_back_what_every_operator_wrote() {
        let cases = [
            ("x://a", "x://a", ""),
            ("", "", ""),
            ("x://{a}", "x://b%20c%C3%A9", "a=b cé"),
            ("x://{a}/y/{b}", "x://1/y/2", "a=1 b=2"),
            ("x://{a,b}", "x://1,2", "a=1 b=2"),
            ("x://{a,b}", "x://1", "a=1"),
            ("file:///{+path}", "file:///a/b%2Fc?d#e", "path=a/b/c?d#e"),
            ("x{#a}", "x#b/c", "a=b/c"),
            ("x{#a}", "x", ""),
            ("x{.a}", "x.tar.gz", "a=tar.gz"),
            ("x{.a,b}", "x.tar.gz", "a=tar b=gz"),
            ("x{/a,b}", "x/1/2", "a=1 b=2"),
            ("x{/a,b}", "x/1", "a=1"),
            ("x{/a}/", "x/", ""),
            ("x{/a}/", "x//", "a="),
            ("x{;a,b}/y", "x;a=1;b/y", "a=1 b="),
            ("x{?a,b}", "x?a=1&b=2", "a=1 b=2"),
            ("x{?a,b}", "x?b=2&a=", "a= b=2"),
            ("x{?a,b}", "x?b=2", "b=2"),
            ("x{?a,b}", "x", ""),
            ("x?f=1{&a}", "x?f=1&a=2", "a=2"),
            ("x{?a}{&b}#{c}", "x?a=1&b=2#3", "a=1 b=2 c=3"),
            ("x{?a}", "x?a=b=c/d:e@f", "a=b=c/d:e@f"),
            ("caf\u{e9}{a}", "caf%C3%A91", "a=1"),
            ("{a}", "é", "a=é"),
            ("{a}{b}", "né", "a=n b=é"),
            ("{a}{b}", "n%C3%A9", "a=n b=é"),
            ("{+a}{+b}", "%e5%b8%9d%F0%9F%8E%88", "a=帝 b=🎈"),
        ];
        for (template, uri, values) in cases {
            assert_eq!(matched(template, uri).as_deref(), Some(values), "{template} {uri}");
        }
    }

    #[test]
    fn refuses_what_the_template_cannot_give() {
        let cases = [
            ("x://a", "x://b"),
            ("x://a", "x://ab"),
            ("x://{a}", "x://"),
            ("x://{a}", "x://b/c"),
            ("x://{a}", "x://b?c"),
            ("x://{a}", "x://b#c"),
            ("x://{a}", "x://b c"),
            ("x://{a}", "x://b\n"),
            ("x://{a}", "x://%"),
            ("x://{a}", "x://%4"),
            ("x://{a}", "x://%zz"),
            ("x://{a}", "x://%ff"),
            ("x://{a}", "x://%C3"),
            ("x://{a}", "x://%C3a%A9"),
            ("x://{a}{b}", "x://%C3%A9"),
            ("x://{a}", "x://%ED%A0%80"),
            ("x://{a}", "y://x://1"),
            ("file:///{+path}", "file:///"),
            ("x{?a}", "x?"),
            ("x{?a}", "x?a"),
            ("x{?a}", "x?b=1"),
            ("x{?a}", "x?a=1&b=1"),
            ("x{?a}", "x?a=1&a=1"),
            ("x{?a}", "x&a=1"),
            ("x{?a}", "x?a=1&"),
            ("x{?a,b}", "x?a=1?b=1"),
            ("x{;a}", "x;ab"),
        ];
        for (template, uri) in cases {
            assert_eq!(matched(template, uri), None, "{template} {uri}");
        }
    }

    #[test]
    fn earlier_variables_take_most() {
        assert_eq!(matched("{+a}/{b}", "1/2/3").as_deref(), Some("a=1/2 b=3"));
        assert_eq!(matched("{a}.{b}", "1.2.3").as_deref(), Some("a=1.2 b=3"));
        assert_eq!(matched("{a}{b}", "123").as_deref(), Some("a=12 b=3"));
        assert_eq!(matched("x{/a}{/b}", "x/1").as_deref(), Some("a=1"));
        assert_eq!(matched("{+a}b{+c}b", "bbbbb").as_deref(), Some("a=bb c=b"));
    }

    #[test]
    fn a_uri_is_bounded() {
        let template = UriTemplate::parse("{+a}").expect("a template");
        assert!(template.match_uri(&"a".repeat(MAX_URI_LEN)).is_some());
        assert!(template.match_uri(&"a".repeat(MAX_URI_LEN + 1)).is_none());
    }

    /// With backtracking each of these would take longer than the universe is old: the number of ways
    /// to share the URI among the variables is astronomical, and none of them matches.
    #[test]
    fn hostile_templates_end() {
        let variables = |format: &dyn Fn(usize) -> String| (0..MAX_VARIABLES).map(format).collect::<String>();
        let templates = [
            variables(&|at| format!("{{+v{at}}}a")) + "!",
            variables(&|at| format!("{{v{at}}}")) + "!",
            variables(&|at| format!("{{/v{at}}}{}", "/a".repeat(20))) + "!",
            variables(&|at| format!("{{&v{at}}}")) + "!",
            variables(&|at| format!("{{?v{at}}}")) + "!",
            format!("{{+a}}{}", "a".repeat(MAX_TEMPLATE_LEN - 5)) + "!",
        ];
        let uris = ["a", "/a", "&v1=a", "&v1=&v2=", "?v1=a", ";", "%61", "é"];
        for template in &templates {
            let template = UriTemplate::parse(template).expect("a template");
            for uri in uris {
                assert_eq!(template.match_uri(&uri.repeat(MAX_URI_LEN / uri.len())), None);
            }
        }
    }
}
