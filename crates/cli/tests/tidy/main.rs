//! Holds the whole repository to the rules that no compiler knows. A failure lists every place and says what to
//! do instead. ARCHITECTURE.md says which invariant each test is for.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod code;
mod crates;
mod files;
mod lexer;
mod pages;
mod words;

use std::path::{Path, PathBuf};

use lexer::Source;

/// Fails with all of `found` and what to do about it.
#[track_caller]
fn none(found: &[String], instead: &str) {
    assert!(found.is_empty(), "{instead}\n  {}\n", found.join("\n  "));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of what is in a folder, in order; folders end with a slash. What is built or installed is left out.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let slash = if entry.file_type().unwrap().is_dir() { "/" } else { "" };
            format!("{}{slash}", entry.file_name().to_string_lossy())
        })
        .filter(|name| !matches!(name.as_str(), "target/" | "node_modules/") && !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// The paths of all Rust files below a folder, from the root of the repository.
fn rust_files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in names(&root().join(folder)) {
        match name.strip_suffix('/') {
            Some(inner) => found.extend(rust_files(&format!("{folder}/{inner}"))),
            None if name.ends_with(".rs") => found.push(format!("{folder}/{name}")),
            None => {}
        }
    }
    found
}

/// Every Rust file of the crates, read.
fn sources() -> Vec<Source> {
    rust_files("crates").into_iter().map(|path| Source::read(read(&path), path)).collect()
}

/// The folders below `crates/`.
fn crates() -> Vec<String> {
    names(&root().join("crates")).iter().filter_map(|name| name.strip_suffix('/').map(str::to_owned)).collect()
}
