//! Holds what a file says against the names and types that there are, all of it at once.
//!
//! The types themselves are read by serde, which stops at the first mistake. This reports every one, with what was
//! probably meant.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::Key;
use super::schema::schema;
use super::shape::{Kind, Shape};
use super::time::Time;

/// How many letters may differ between what is written and what was meant, at most a third of them.
const NEAR: usize = 3;
/// How many letters have to be there to be the beginning of a name.
const BEGINNING: usize = 4;

/// A name or a type that is wrong.
pub(super) struct Fault {
    /// Where.
    pub(super) span: Range<usize>,
    /// What is wrong, and what to write instead.
    pub(super) text: String,
    /// Whether the value cannot be read at all.
    pub(super) is_of_type: bool,
}

/// Finds what is wrong, and renames or takes out the keys that are unknown.
pub(super) fn conform(root: &mut DeTable<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    table(root, Shape::of(schema()), &Key::default(), 0..0, &mut faults);
    faults
}

fn table(table: &mut DeTable<'_>, shape: Shape<'_>, key: &Key, span: Range<usize>, faults: &mut Vec<Fault>) {
    rename(table, shape, key, faults);
    for (name, here) in shape.keys() {
        match table.get_mut(name) {
            Some(found) => value(found, here, &key.name(name), faults),
            // What is missing from the whole file is told by the check, with an example.
            None if shape.requires(name) && key != &Key::default() => {
                let text = format!("{} has no `{name}`: {}", key.header(), here.doc());
                faults.push(Fault { span: span.clone(), text, is_of_type: true });
            }
            None => {}
        }
    }
}

fn value(value: &mut Spanned<DeValue<'_>>, shape: Shape<'_>, key: &Key, faults: &mut Vec<Fault>) {
    let span = value.span();
    let kind = shape.kind();
    match (value.get_mut(), &kind) {
        (DeValue::Table(found), Kind::Table) => return table(found, shape, key, span, faults),
        (DeValue::Array(found), Kind::List(_)) => {
            let Some(element) = shape.element() else { return };
            found.iter_mut().enumerate().for_each(|(at, found)| self::value(found, element, &key.index(at), faults));
            return;
        }
        (DeValue::Table(found), Kind::Named(_)) => {
            let Some(each) = shape.each() else { return };
            found.iter_mut().for_each(|(name, found)| self::value(found, each, &key.name(name.get_ref()), faults));
            return;
        }
        _ => {}
    }
    if let Some(text) = scalar(value.get_ref(), shape, &kind, key) {
        faults.push(Fault { span, text, is_of_type: true });
    }
}

/// What is wrong with a value that is neither a list nor a table, or should be.
fn scalar(value: &DeValue<'_>, shape: Shape<'_>, kind: &Kind, key: &Key) -> Option<String> {
    let name = key.last();
    match (kind, value) {
        (Kind::Flag, DeValue::Boolean(_)) | (Kind::Text, DeValue::String(_)) => None,
        (Kind::Number, DeValue::Float(_) | DeValue::Integer(_)) => None,
        (Kind::Time, DeValue::String(text)) => text.parse::<Time>().err().map(|no_time| format!("`{name}`: {no_time}")),
        (Kind::Choice(choices), DeValue::String(text)) if choices.iter().any(|choice| choice == text) => None,
        (Kind::Choice(choices), DeValue::String(text)) => {
            let meant = nearest(text, choices.iter().map(String::as_str));
            let meant = meant.map(|meant| format!("did you mean \"{meant}\"? ")).unwrap_or_default();
            Some(format!("`{name}` is {}: {meant}write {kind}", quoted(text)))
        }
        (Kind::Whole, DeValue::Integer(number)) => {
            let least = shape.least().unwrap_or(i64::MIN);
            let value = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
            let fits = value.is_ok_and(|value| value >= least);
            (!fits).then(|| format!("`{name}` is {}: write a whole number from {least} on", number.as_str()))
        }
        _ => Some(mistyped(key, value, kind)),
    }
}

fn mistyped(key: &Key, value: &DeValue<'_>, kind: &Kind) -> String {
    let found = match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let header = key.header().replace(['[', ']'], "");
    match (kind, value) {
        (Kind::List(of), DeValue::Table(_)) if **of == Kind::Table => {
            format!("there may be several of [{header}]: write [[{header}]], with two brackets")
        }
        (Kind::Table | Kind::Named(_), DeValue::Array(_)) => {
            format!("there is one [{header}] only: write it with one bracket, and once")
        }
        _ => format!("`{}` is {found}: write {kind}", key.last()),
    }
}

/// Reports the keys that the table cannot have. One whose meaning is plain gets the right name, so that what it says is
/// not missed; others are taken out.
fn rename(table: &mut DeTable<'_>, shape: Shape<'_>, key: &Key, faults: &mut Vec<Fault>) {
    let is_unknown = |name: &str| shape.key(name).is_none();
    let unknown: Vec<String> = table
        .keys()
        .map(|name| name.get_ref())
        .filter(|name| is_unknown(name))
        .map(|name| (**name).to_owned())
        .collect();
    for name in unknown {
        let Some((written, value)) = table.remove_entry(name.as_str()) else { continue };
        let meant = nearest(&name, shape.keys().map(|(known, _)| known));
        let text = format!("unknown key {} in {}: {}", quoted(&name), key.header(), advice(&name, meant, shape));
        faults.push(Fault { span: written.span(), text, is_of_type: false });
        if let Some(meant) = meant.filter(|meant| !table.contains_key(*meant)) {
            table.insert(Spanned::new(written.span(), Cow::Owned(meant.to_owned())), value);
        }
    }
}

fn advice(name: &str, meant: Option<&str>, shape: Shape<'_>) -> String {
    if let Some(meant) = meant {
        return format!("did you mean \"{meant}\"?");
    }
    if let Some(home) = home_of(name, Shape::of(schema()), &Key::default()) {
        return format!("it belongs into {home}");
    }
    let known: Vec<_> = shape.keys().map(|(known, _)| known).collect();
    format!("known are {}", known.join(", "))
}

/// The first table that has a key of this name.
fn home_of(name: &str, shape: Shape<'_>, key: &Key) -> Option<String> {
    if shape.key(name).is_some() && key != &Key::default() {
        return Some(key.header());
    }
    shape.keys().find_map(|(known, here)| match here.kind() {
        Kind::Table => home_of(name, here, &key.name(known)),
        Kind::List(_) => home_of(name, here.element()?, &key.name(known).index(0)),
        Kind::Flag | Kind::Whole | Kind::Number | Kind::Text | Kind::Time | Kind::Choice(_) | Kind::Named(_) => None,
    })
}

/// What was probably meant: what begins like it, or differs in few letters.
pub(super) fn nearest<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let letters = written.chars().count();
    let plain = written.to_ascii_lowercase().replace('_', "-");
    let far = |name: &str| match letters >= BEGINNING && name.starts_with(&plain) {
        true => 0,
        false => strsim::osa_distance(&plain, name),
    };
    let near = known.map(|name| (far(name), name)).filter(|(far, _)| *far <= NEAR.min(letters / 3));
    near.min_by_key(|(far, _)| *far).map(|(_, name)| name)
}

/// What others wrote, short and on one line.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}
