//! The page that says what every key means, written from the types.

use std::fmt::Write as _;

use serde_json::Value;

use super::document::Key;
use super::schema::schema;
use super::shape::{Kind, Shape};

/// How the page begins.
const BEGINNING: &str = "\
# Configuration of the gateway

`anypod gateway --config anypod.toml` reads a file in [TOML](https://toml.io). This page is generated from the types that
read it; [anypod.schema.json](anypod.schema.json) is the same for editors, and [examples](examples/) are files to begin with.

- Everything has a default except the upstreams. A key that is not on this page is an error.
- `anypod gateway check anypod.toml` says everything that is wrong, each with its line, or shows what is in effect.
- Paths in the file are relative to the file.
- Times are texts: a whole number and a unit, `ms`, `s`, `min`, `h` or `d`, such as `\"500ms\"`. Ten years are the most.
- Globs are texts in which `*` stands for any characters.
- The file, and the files that it names, are read again when they change, and on SIGHUP. What is wrong then is refused as a
  whole, and what was in effect before goes on. No request is lost by it: what is under way ends by what was in effect when
  it began.
- What is changed in `[[listener]]`, `admin`, `[observe]`, and of `[fleet]` in `replicas`, `advertise` and `peers`, takes
  effect with the next start; the log says so, and the rest takes effect at once. Certificates at the same paths do not
  wait. Bounds of connections and of sessions are those with which they began.
- When the list `pods` changes, pods that stay keep their connections, their sessions and what is known of their health. When
  anything else of an upstream changes, it is begun anew.
- A `[[route.rate]]` that stands there as it was keeps its buckets, so that nobody gets a second burst. What a route was told
  by its upstreams and may keep, it keeps as long as these, its `names`, its `cache` and its rules are as they were, and one
  of the pods in `pods` stays. What is changed begins anew.
";

/// The page that says what every key means, as Markdown.
pub fn reference() -> String {
    let mut page = BEGINNING.to_owned();
    table(Shape::of(schema()), &Key::default(), &mut page);
    page
}

/// A table and, after it, those within it.
fn table(shape: Shape<'_>, key: &Key, page: &mut String) {
    let title = if key == &Key::default() { "The file".to_owned() } else { format!("`{}`", key.header()) };
    let _ = write!(page, "\n## {title}\n\n{}\n\n", shape.doc_of_type());
    page.push_str("| key | what it holds | default | what it is |\n|---|---|---|---|\n");
    for (name, here) in shape.keys() {
        let default = default(shape, name, here);
        let _ = writeln!(page, "| `{name}` | {} | {default} | {} |", holds(here, &key.name(name)), meaning(here));
    }
    for (name, here) in shape.keys() {
        match here.kind() {
            Kind::Table => table(here, &key.name(name), page),
            Kind::List(of) if *of == Kind::Table => {
                if let Some(element) = here.element() {
                    table(element, &key.name(name).index(0), page);
                }
            }
            Kind::List(_)
            | Kind::Flag
            | Kind::Whole
            | Kind::Number
            | Kind::Text
            | Kind::Time
            | Kind::Choice(_)
            | Kind::Named(_) => {}
        }
    }
}

fn holds(shape: Shape<'_>, key: &Key) -> String {
    match shape.kind() {
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Whole => "whole number".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Time => "time".to_owned(),
        Kind::Choice(choices) => choices.iter().map(|choice| format!("`\"{choice}\"`")).collect::<Vec<_>>().join(", "),
        Kind::List(of) if *of == Kind::Table => format!("`{}`, any number", key.index(0).header()),
        Kind::List(_) => "list of texts".to_owned(),
        Kind::Named(of) if *of == Kind::Text => "table of texts".to_owned(),
        Kind::Named(_) => "table of lists of texts".to_owned(),
        Kind::Table => format!("`{}`", key.header()),
    }
}

fn default(parent: Shape<'_>, name: &str, shape: Shape<'_>) -> String {
    match (shape.default(), shape.kind()) {
        (None, _) if parent.requires(name) => "must be given".to_owned(),
        (None, _) | (Some(Value::Array(_) | Value::Object(_) | Value::Null), _) => String::new(),
        (Some(value), Kind::Whole) => match value.as_u64().filter(|number| number.is_multiple_of(1 << 10)) {
            Some(bytes) if name.ends_with("bytes") => format!("`{bytes}` ({} KiB)", bytes >> 10),
            Some(_) | None => format!("`{value}`"),
        },
        (Some(value), _) => format!("`{value}`"),
    }
}

/// The doc of a key without its default, which has a column of its own, and what its choices mean.
fn meaning(shape: Shape<'_>) -> String {
    let doc = match shape.default() {
        Some(Value::Array(_) | Value::Object(_) | Value::Null) | None => shape.doc().to_owned(),
        Some(_) => without_default(shape.doc()),
    };
    let choices = shape.choices().map(|(name, doc)| format!("<br>`{name}`: {doc}")).collect::<String>();
    format!("{doc}{choices}").replace('|', "\\|")
}

/// Leaves out ` Default 10 s.`; what stands behind it in the same sentence stays.
fn without_default(doc: &str) -> String {
    let Some((before, after)) = doc.split_once(" Default ") else { return doc.to_owned() };
    let end = after.find([':', ';', ',', '.']).unwrap_or(after.len());
    // A comma or point between digits is part of a number.
    let rest = match after[end..].chars().nth(1) {
        Some(next) if next.is_ascii_digit() => after.split_once(". ").map_or("", |(_, rest)| rest),
        _ => after[end..].trim_start_matches([':', ';', ',', '.']).trim_start(),
    };
    let mut rest = rest.to_owned();
    if let Some(first) = rest.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{before} {rest}").trim_end().to_owned()
}
