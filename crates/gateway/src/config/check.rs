//! What types cannot say: everything that is wrong with a configuration that can be read.

mod arguments;
mod bounds;
mod fleet;
mod listeners;
mod named;
mod routes;
mod upstreams;
mod urls;
mod warnings;

use super::Config;
use super::document::{Document, Key};
use super::error::Problem;

/// How far a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// What follows from the text.
    Text,
    /// That, and whether the files that it names are there and are what they should be.
    Files,
}

/// What is wrong so far.
struct Findings<'c> {
    document: Option<&'c Document<'c>>,
    problems: Vec<Problem>,
}

impl Findings<'_> {
    /// Notes what is wrong with the value of a key, and what to write instead.
    fn add(&mut self, key: &Key, text: impl Into<String>) {
        let text = text.into();
        self.problems.push(match self.document {
            Some(document) => document.problem_at(key, text),
            None => Problem { origin: key.to_string(), place: None, text },
        });
    }
}

/// Everything that is wrong.
pub(super) fn problems(config: &Config, document: Option<&Document<'_>>, depth: Depth) -> Vec<Problem> {
    let mut found = Findings { document, problems: Vec::new() };
    listeners::check(config, &mut found);
    fleet::check(&config.fleet, &mut found);
    upstreams::check(&config.upstream, &mut found);
    routes::check(config, &mut found);
    bounds::check(&config.limits, &mut found);
    if depth == Depth::Files {
        named::check(config, &mut found);
    }
    found.problems
}

/// The key of a table of the file.
fn key(name: &str) -> Key {
    Key::default().name(name)
}

/// The elements of a list that another before them equals, each with the index of that other.
fn repeated<T: PartialEq>(list: &[T]) -> impl Iterator<Item = (usize, usize)> {
    list.iter().enumerate().filter_map(|(at, element)| {
        let first = list[..at].iter().position(|other| other == element)?;
        Some((at, first))
    })
}
