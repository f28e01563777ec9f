//! Files: how they begin, how long they may get, what they are called.

use crate::{none, read, rust_files};

/// The most lines of a Rust file; most have 100 to 300.
const LINES: usize = 600;

fn all() -> impl Iterator<Item = String> {
    ["crates", "bench", "fuzz"].into_iter().flat_map(rust_files)
}

#[test]
fn every_file_says_what_it_is_for() {
    // Attributes of a whole target may stand before its documentation.
    let says = |text: &str| {
        text.lines()
            .find(|line| !line.starts_with("#![") && !line.is_empty())
            .is_some_and(|line| line.starts_with("//! "))
    };
    let found: Vec<_> = all().filter(|path| !says(&read(path))).collect();
    none(&found, "begin the file with `//!` and what it is for:");
}

#[test]
fn no_file_grows_beyond_reading() {
    let found: Vec<_> = all()
        .map(|path| (read(&path).lines().count(), path))
        .filter(|(lines, _)| *lines > LINES)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    none(&found, "split files of more than 600 lines:");
}

#[test]
fn modules_stand_beside_their_folders() {
    let found: Vec<_> = all().filter(|path| path.ends_with("/mod.rs")).collect();
    none(&found, "`foo.rs` with `foo/` beside it:");
}
