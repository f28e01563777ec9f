//! The text of a configuration, with the place of everything that stands in it.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::error::{ConfigError, Place, Problem};
use super::{Config, conform};

/// The most syntax errors that are reported: one often makes others.
const SYNTAX_ERRORS: usize = 5;

/// The way to a value: keys, and indexes of lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Key(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Key {
    /// The key of this name in the table.
    pub(super) fn name(&self, name: &str) -> Self {
        self.with(Step::Name(name.to_owned()))
    }

    /// The element of the list.
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// The last name on the way.
    pub(super) fn last(&self) -> &str {
        let name = self.0.iter().rev().find_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) => None,
        });
        name.unwrap_or_default()
    }

    /// The header of the table that this leads to, such as `[fleet]` or `[[route.rule]]`.
    pub(super) fn header(&self) -> String {
        let names: Vec<&str> = self.0.iter().filter_map(Step::as_name).collect();
        match self.0.last() {
            None => "the file".to_owned(),
            Some(Step::Name(_)) => format!("[{}]", names.join(".")),
            Some(Step::Index(_)) => format!("[[{}]]", names.join(".")),
        }
    }
}

impl Step {
    fn as_name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Index(_) => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Name(name) if index == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The text of a configuration, read as TOML.
pub(super) struct Document<'t> {
    name: String,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl<'t> Document<'t> {
    /// # Errors
    ///
    /// When it is no TOML.
    pub(super) fn parse(text: &'t str, path: &Path) -> Result<Self, ConfigError> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { name: path.display().to_string(), text, root };
        let problem = |error: &toml::de::Error| document.problem(error.span(), one_line(error.message()));
        let problems = errors.iter().take(SYNTAX_ERRORS).map(problem).collect();
        ConfigError::of(problems).map(|()| document)
    }

    /// The values, and what is wrong with their names and types. None where types are wrong; wrong names are read as what
    /// they seem to mean, from now on, so that what else is wrong can be told.
    pub(super) fn config(&mut self) -> (Option<Config>, Vec<Problem>) {
        let faults = conform::conform(self.root.get_mut());
        let mistyped = faults.iter().any(|fault| fault.is_of_type);
        let mut problems: Vec<_> = faults.into_iter().map(|fault| self.problem(Some(fault.span), fault.text)).collect();
        if mistyped {
            return (None, problems);
        }
        match Config::deserialize(Deserializer::from(self.root.clone())) {
            Ok(config) => (Some(config), problems),
            Err(error) => {
                problems.push(self.problem(error.span(), one_line(error.message())));
                (None, problems)
            }
        }
    }

    /// A problem with what the key leads to, or would if it were there.
    pub(super) fn problem_at(&self, key: &Key, text: String) -> Problem {
        self.problem(self.span(key), text)
    }

    fn problem(&self, span: Option<Range<usize>>, text: String) -> Problem {
        let place = span.map(|span| place(self.text, span.start));
        Problem { origin: self.name.clone(), place, text }
    }

    /// Where the value stands; if it does not, the innermost table in which it would. None for the whole file.
    fn span(&self, key: &Key) -> Option<Range<usize>> {
        let mut found = None;
        let mut table = Some(self.root.get_ref());
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for step in &key.0 {
            value = match step {
                Step::Name(name) => table?.get(name.as_str()),
                Step::Index(index) => value?.get_ref().as_array()?.get(*index),
            };
            let Some(here) = value else { return found };
            table = here.get_ref().as_table();
            found = Some(here.span());
        }
        found
    }
}

fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Place { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "admin = \"ä\"\n\n[[upstream]]\nname = \"a\"\npods = [\"x\",\n  \"y\"]\n[upstream.health]\nevery = \"1s\"\n";

    #[test]
    fn a_value_stands_where_it_is_written_and_a_missing_one_where_it_would() {
        let document = Document::parse(TEXT, Path::new("a.toml")).unwrap();
        let place = |key: &Key| document.problem_at(key, String::new()).place().map(|at| (at.line, at.column));
        let upstream = Key::default().name("upstream").index(0);
        assert_eq!(place(&Key::default().name("admin")), Some((1, 9)));
        assert_eq!(place(&upstream), Some((3, 1)));
        assert_eq!(place(&upstream.name("pods").index(1)), Some((6, 3)));
        assert_eq!(place(&upstream.name("health").name("every")), Some((8, 9)));
        assert_eq!(place(&upstream.name("health").name("pause")), Some((7, 1)));
        assert_eq!(place(&upstream.name("pods-file")), Some((3, 1)));
        assert_eq!(place(&Key::default().name("route")), None);
    }

    #[test]
    fn a_key_is_shown_as_a_path_and_as_a_header() {
        let key = Key::default().name("route").index(1).name("rule").index(0);
        assert_eq!((key.to_string(), key.header()), ("route[1].rule[0]".to_owned(), "[[route.rule]]".to_owned()));
        assert_eq!(Key::default().name("fleet").header(), "[fleet]");
    }
}
