//! Rules on arguments: what could never fit, and what would not be looked at.

use anypod_proto::method::Method;

use super::Findings;
use super::routes::LONGEST_GLOB;
use crate::config::conform::quoted;
use crate::config::document::Key;
use crate::config::{Mode, Rule};
use crate::glob::{all_of, any};
use crate::policy::has_arguments;

pub(super) fn check(rule: &Rule, mode: Mode, here: &Key, found: &mut Findings<'_>) {
    if rule.arguments.is_empty() {
        return;
    }
    let place = here.name("arguments");
    if mode != Mode::Parse {
        found.add(
            &place,
            "`arguments` are looked at only where whole bodies are read: write mode = \"parse\" in this [[route]]",
        );
    }
    let methods = all_of(&rule.methods);
    if !Method::ALL.iter().any(|method| has_arguments(Some(*method)) && any(&methods, method.as_str())) {
        found.add(&place, "only `tools/call` and `prompts/get` have arguments: write one of them into `methods`");
    }
    for (pointer, globs) in &rule.arguments {
        condition(pointer, globs, &place.name(pointer), found);
    }
}

fn condition(pointer: &str, globs: &[String], here: &Key, found: &mut Findings<'_>) {
    if !is_pointer(pointer) {
        let shown = quoted(pointer);
        found.add(here, format!("{shown} is no JSON Pointer to an argument: write one such as \"/table\""));
    }
    if globs.is_empty() {
        found.add(here, format!("no value fits {}: write [\"*\"] for any", quoted(pointer)));
    }
    for (at, glob) in globs.iter().enumerate().filter(|(_, glob)| glob.len() > LONGEST_GLOB) {
        found.add(&here.index(at), format!("{} is too long: a glob has {LONGEST_GLOB} bytes at most", quoted(glob)));
    }
}

/// RFC 6901, section 3: `~` begins `~0` or `~1`. The empty one leads to all arguments, which are an object.
fn is_pointer(text: &str) -> bool {
    text.starts_with('/') && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}
