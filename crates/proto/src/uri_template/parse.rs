//! From text to parts. RFC 6570, section 2.

use super::expand::{push_encoded, triple};
use super::{MAX_TEMPLATE_LEN, MAX_VARIABLES, Operator, Part, TemplateError, TemplateErrorKind as Kind};

type Parsed = (Vec<Part>, Vec<Box<str>>);

pub(super) fn parse(text: &str) -> Result<Parsed, TemplateError> {
    if text.len() > MAX_TEMPLATE_LEN {
        return Err(TemplateError { offset: MAX_TEMPLATE_LEN, kind: Kind::TooLong });
    }
    let mut parser = Parser { text, at: 0, parts: Vec::new(), variables: Vec::new() };
    while parser.at < text.len() {
        parser.literal()?;
        parser.expression()?;
    }
    Ok((parser.parts, parser.variables))
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    parts: Vec<Part>,
    variables: Vec<Box<str>>,
}

impl Parser<'_> {
    fn fail<T>(&self, kind: Kind) -> Result<T, TemplateError> {
        Err(TemplateError { offset: self.at, kind })
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn literal(&mut self) -> Result<(), TemplateError> {
        let begin = self.at;
        while let Some(next) = self.rest().chars().next().filter(|next| *next != '{') {
            match next {
                '}' => return self.fail(Kind::Unopened),
                '%' if triple(self.rest().as_bytes()).is_none() => return self.fail(Kind::Literal(next)),
                ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '|' => return self.fail(Kind::Literal(next)),
                _ if next.is_control() => return self.fail(Kind::Literal(next)),
                _ => self.at += next.len_utf8(),
            }
        }
        if self.at > begin {
            let mut literal = String::with_capacity(self.at - begin);
            push_encoded(&mut literal, &self.text[begin..self.at], true);
            self.parts.push(Part::Literal(literal.into()));
        }
        Ok(())
    }

    fn expression(&mut self) -> Result<(), TemplateError> {
        let Some(inner) = self.rest().strip_prefix('{') else {
            return Ok(());
        };
        let Some(len) = inner.find('}') else {
            return self.fail(Kind::Unclosed);
        };
        self.at += 1;
        let end = self.at + len;
        let operator = self.operator()?;
        let first = self.variables.len();
        loop {
            self.variable(end)?;
            if self.at == end {
                break;
            }
            self.at += 1;
        }
        self.at += 1;
        self.parts.push(Part::Expression { operator, first, end: self.variables.len() });
        Ok(())
    }

    fn operator(&mut self) -> Result<Operator, TemplateError> {
        let operator = match self.rest().as_bytes()[0] {
            b'+' => Operator::Reserved,
            b'#' => Operator::Fragment,
            b'.' => Operator::Label,
            b'/' => Operator::Path,
            b';' => Operator::Parameter,
            b'?' => Operator::Query,
            b'&' => Operator::Continuation,
            reserved @ (b'=' | b',' | b'!' | b'@' | b'|') => {
                return self.fail(Kind::ReservedOperator(char::from(reserved)));
            }
            _ => return Ok(Operator::Simple),
        };
        self.at += 1;
        Ok(operator)
    }

    /// Reads a name up to the comma behind it or the `end` of the expression.
    fn variable(&mut self, end: usize) -> Result<(), TemplateError> {
        let begin = self.at;
        let mut after_dot = true;
        while let Some(next) = self.text[self.at..end].chars().next().filter(|next| *next != ',') {
            match next {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => self.at += 1,
                '%' if triple(&self.text.as_bytes()[self.at..end]).is_some() => self.at += 3,
                '.' if !after_dot => self.at += 1,
                '*' | ':' => return self.fail(Kind::Modifier(next)),
                _ => return self.fail(Kind::Name(next)),
            }
            after_dot = next == '.';
        }
        if self.at == begin {
            return self.fail(Kind::NoName);
        }
        let error = |offset, kind| Err(TemplateError { offset, kind });
        let name = &self.text[begin..self.at];
        if after_dot {
            return error(self.at - 1, Kind::Name('.'));
        }
        if self.variables.iter().any(|other| **other == *name) {
            return error(begin, Kind::Repeated);
        }
        if self.variables.len() == MAX_VARIABLES {
            return error(begin, Kind::TooManyVariables);
        }
        self.variables.push(name.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::UriTemplate;
    use super::*;

    fn error(text: &str) -> (usize, Kind) {
        let error = UriTemplate::parse(text).expect_err(text);
        (error.offset, error.kind)
    }

    #[test]
    fn lists_variables_in_their_order() {
        let template = UriTemplate::parse("x://{a}/{+b.c}{?d_1,%41}#{e}").expect("a template");
        assert_eq!(template.variables().collect::<Vec<_>>(), ["a", "b.c", "d_1", "%41", "e"]);
    }

    #[test]
    fn says_where_a_template_is_wrong_and_how() {
        assert_eq!(error("x://{a"), (4, Kind::Unclosed));
        assert_eq!(error("x://a}"), (5, Kind::Unopened));
        assert_eq!(error("{}"), (1, Kind::NoName));
        assert_eq!(error("{+}"), (2, Kind::NoName));
        assert_eq!(error("{a,}"), (3, Kind::NoName));
        assert_eq!(error("{a,,b}"), (3, Kind::NoName));
        assert_eq!(error("{a b}"), (2, Kind::Name(' ')));
        assert_eq!(error("{a{b}"), (2, Kind::Name('{')));
        assert_eq!(error("{é}"), (1, Kind::Name('é')));
        assert_eq!(error("{a..b}"), (3, Kind::Name('.')));
        assert_eq!(error("{a.}"), (2, Kind::Name('.')));
        assert_eq!(error("{a%4}"), (2, Kind::Name('%')));
        assert_eq!(error("{/path*}"), (6, Kind::Modifier('*')));
        assert_eq!(error("{a:3}"), (2, Kind::Modifier(':')));
        assert_eq!(error("{=a}"), (1, Kind::ReservedOperator('=')));
        assert_eq!(error("{,a}"), (1, Kind::ReservedOperator(',')));
        assert_eq!(error("{a}/{b,a}"), (7, Kind::Repeated));
        assert_eq!(error("a b"), (1, Kind::Literal(' ')));
        assert_eq!(error("a%2"), (1, Kind::Literal('%')));
        assert_eq!(error("a\n"), (1, Kind::Literal('\n')));
    }

    #[test]
    fn bounds_length_and_variables() {
        assert!(UriTemplate::parse(&"a".repeat(MAX_TEMPLATE_LEN)).is_ok());
        assert_eq!(error(&"a".repeat(MAX_TEMPLATE_LEN + 1)), (MAX_TEMPLATE_LEN, Kind::TooLong));
        let many = |count: usize| (0..count).map(|at| format!("{{v{at}}}")).collect::<String>();
        assert!(UriTemplate::parse(&many(MAX_VARIABLES)).is_ok());
        assert_eq!(error(&many(MAX_VARIABLES + 1)).1, Kind::TooManyVariables);
    }

    #[test]
    fn an_error_says_what_to_write_instead() {
        let said = UriTemplate::parse("file:///{path*}").expect_err("a modifier").to_string();
        assert_eq!(said, "at offset 13: the modifier '*' is not supported; for a value with slashes write `{+name}`");
    }
}
