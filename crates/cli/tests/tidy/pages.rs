//! The pages: what they name exists, what they show is what is built.

use std::path::Path;

use crate::{names, none, read, root, sources};

const PAGES: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs/client.md",
    "docs/command-line.md",
    "docs/extensions.md",
    "docs/gateway-configuration.md",
];

/// Text between backticks and the targets of links, outside of fenced blocks.
fn mentions(page: &str) -> Vec<String> {
    let text = read(page);
    let prose: String = text.split("\n```").step_by(2).collect::<Vec<_>>().join("\n");
    let quoted = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    let linked = prose.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()).map(str::to_owned);
    quoted.chain(linked.filter(|target| !target.contains("://") && !target.is_empty())).collect()
}

/// Whether a mention is meant as a file or folder of the repository.
fn is_path(mention: &str) -> bool {
    let file = [".rs", ".md", ".toml", ".sh", ".yaml"].iter().any(|end| mention.ends_with(end));
    let plain = mention.chars().all(|char| char.is_ascii_alphanumeric() || "._-/".contains(char));
    plain && mention.len() > 1 && !mention.starts_with('/') && (file || mention.ends_with('/'))
}

#[test]
fn files_that_the_pages_name_exist() {
    // What a run writes, and what is only there once it has run.
    let written = ["bench/RESULTS.md", "RESULTS.md", "target/", ".peers/", "target/test-logs/"];
    let mut found = Vec::new();
    let decisions = names(&root().join("docs/decisions")).into_iter().map(|name| format!("docs/decisions/{name}"));
    for page in PAGES.map(str::to_owned).into_iter().chain(decisions) {
        for mention in mentions(&page).iter().filter(|mention| is_path(mention) && !written.contains(&mention.as_str()))
        {
            let (root, path) = (root(), Path::new(mention));
            let beside = Path::new(&page).parent().unwrap().join(path);
            if ![path, &Path::new("crates").join(path), &beside].iter().any(|path| root.join(path).exists()) {
                found.push(format!("{page}: {mention}"));
            }
        }
    }
    none(&found, "paths are from the root, or from `crates/`; these lead nowhere:");
}

#[test]
fn tests_that_the_architecture_names_exist() {
    let all: String = sources().into_iter().map(|source| source.code).collect();
    let is_sentence = |name: &&String| {
        name.matches('_').count() >= 3
            && name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
    };
    let found: Vec<_> = mentions("ARCHITECTURE.md")
        .iter()
        .filter(is_sentence)
        .filter(|name| !all.contains(&format!("fn {name}(")))
        .cloned()
        .collect();
    none(&found, "ARCHITECTURE.md says that these tests hold an invariant, but there are none of that name:");
}

#[test]
fn the_readme_shows_examples_as_they_are() {
    let [hello, refund] = ["hello", "refund"].map(|name| read(&format!("crates/server/examples/{name}.rs")));
    let call = read("crates/client/examples/call.rs");
    let readme = read("README.md");
    let shown: Vec<_> = readme.split("\n```rust\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    for (name, file) in [("server/examples/hello.rs", &hello), ("client/examples/call.rs", &call)] {
        let (_, code) = file.split_once("\n\n").unwrap();
        assert!(shown.contains(&code.trim_end()), "copy crates/{name}, without its first line");
    }
    let strays: Vec<_> =
        shown.iter().filter(|block| ![&hello, &refund, &call].iter().any(|file| file.contains(*block))).collect();
    assert!(strays.is_empty(), "README.md shows code that is in no example, so nothing compiles it: {strays:#?}");
}

#[test]
fn the_page_of_extensions_shows_its_example_as_it_is() {
    let example = read("crates/server/examples/extension.rs");
    let page = read("docs/extensions.md");
    let shown: Vec<_> = page.split("\n```rust\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    assert!(shown.len() > 6, "{shown:#?}");
    let strays: Vec<_> = shown.iter().filter(|block| !example.contains(**block)).collect();
    assert!(strays.is_empty(), "docs/extensions.md shows code that the example does not have: {strays:#?}");
}

/// The documented items of a definition: the name that follows each doc comment and `before`, with the comment.
fn documented(file: &str, definition: &str, before: &str) -> Vec<(String, String)> {
    let text = read(file);
    let (_, body) = text.split_once(definition).unwrap_or_else(|| panic!("{file} has no `{definition}`"));
    let (body, _) = body.split_once("\n}").unwrap();
    let (mut found, mut doc) = (Vec::new(), String::new());
    for line in body.lines() {
        let Some(line) = line.strip_prefix("    ").filter(|line| !line.starts_with([' ', '#'])) else { continue };
        if let Some(more) = line.strip_prefix("///") {
            doc.push_str(more);
        } else if let Some(item) = line.strip_prefix(before).filter(|_| !doc.is_empty()) {
            let name = item.split(|char: char| !(char.is_alphanumeric() || char == '_')).next().unwrap();
            found.push((name.to_owned(), std::mem::take(&mut doc).trim().to_owned()));
        }
    }
    found
}

#[test]
fn the_bounds_of_the_client_are_on_its_page_as_they_are() {
    let bounds = documented("crates/client/src/limits.rs", "pub struct Limits {", "pub ");
    let row = |(name, doc): &(String, String)| {
        let (what, default) = doc.split_once("Default ").unwrap_or_else(|| panic!("{name} says no default"));
        format!("| `{name}` | {} | {} |", what.trim_end(), default.trim_end_matches('.'))
    };
    let rows: Vec<_> = bounds.iter().map(row).collect();
    assert!(rows.len() > 20, "{rows:#?}");
    let table = rows.join("\n");
    assert!(
        read("docs/client.md").contains(&format!("|---|---|---|\n{table}\n")),
        "copy into docs/client.md:\n{table}\n"
    );
}

#[test]
fn the_page_of_the_client_names_every_error_and_every_setting() {
    let errors = "crates/client/src/error.rs";
    let mut named = documented(errors, "pub enum Error {", "");
    named.extend(documented(errors, "pub enum Broken {", ""));
    named.extend(documented("crates/client/src/builder.rs", "impl ClientBuilder {", "pub fn "));
    named.extend(documented("crates/client/src/builder.rs", "impl ClientBuilder {", "pub const fn "));
    assert!(named.len() > 40, "{named:#?}");
    let page = mentions("docs/client.md");
    let is_there = |name: &str| page.iter().any(|mention| mention.rsplit("::").next() == Some(name));
    let found: Vec<_> = named.into_iter().map(|(name, _)| name).filter(|name| !is_there(name)).collect();
    none(&found, "say in docs/client.md what these mean:");
}

#[test]
fn decisions_are_numbered_without_gaps() {
    let decisions = names(&root().join("docs/decisions"));
    let wrong = |(index, name): (usize, &String)| {
        (!(name.starts_with(&format!("{:04}-", index + 1)) && name.ends_with(".md"))).then(|| name.clone())
    };
    let found: Vec<_> = decisions.iter().enumerate().filter_map(wrong).collect();
    assert!(!decisions.is_empty());
    none(&found, "decisions are docs/decisions/NNNN-title.md, counted from 0001:");
}

#[test]
fn both_licences_are_there_in_full() {
    for (file, ends) in [("LICENSE-APACHE", "END OF TERMS AND CONDITIONS"), ("LICENSE-MIT", "THE SOFTWARE.")] {
        assert!(read(file).contains(ends), "{file} is not complete");
    }
    assert!(read("Cargo.toml").contains("license = \"Apache-2.0 OR MIT\""));
}
