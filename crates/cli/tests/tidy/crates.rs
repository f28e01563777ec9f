//! The crates: who may depend on whom, and on what.

use crate::{crates, none, read, root};

/// How far up a crate stands. It may depend on those that stand below it. A new crate needs a reason as good as
/// those in ARCHITECTURE.md, and a place here.
const HEIGHTS: [(&str, u8); 7] =
    [("proto", 0), ("store", 1), ("server", 2), ("client", 2), ("gateway", 3), ("testkit", 3), ("cli", 4)];

/// What the tests of a crate may depend on besides what stands below it: the means of testing, and the other side of
/// the wire. The server's tests do without the client, so that each has one that it is not tested with.
const FOR_TESTS: [(&str, &str); 5] = [
    ("client", "server"),
    ("client", "testkit"),
    ("server", "testkit"),
    ("gateway", "testkit"),
    // With its contract, which is a feature.
    ("store", "store"),
];

/// What has to do with the outside world, with time or with chance.
const IMPURE: [&str; 10] =
    ["tokio", "hyper", "hyper-util", "axum", "tracing", "log", "rand", "getrandom", "time", "chrono"];

/// The most packages in the lock file. Twelve of them are of other systems than ours, and never built here.
const PACKAGES: usize = 256;

#[derive(PartialEq)]
enum Section {
    Normal,
    Dev,
    Other,
}

/// The dependencies of a crate.
fn dependencies(folder: &str) -> Vec<(String, Section)> {
    let mut section = "".to_owned();
    let mut found = Vec::new();
    for line in read(&format!("crates/{folder}/Cargo.toml")).lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some(name) = line.split(['=', '.', ' ']).next().filter(|name| !name.is_empty()) {
            let section = match section.rsplit('.').next() {
                Some("dependencies" | "build-dependencies") => Section::Normal,
                Some("dev-dependencies") => Section::Dev,
                _ => Section::Other,
            };
            if section != Section::Other && !name.starts_with('#') {
                found.push((name.to_owned(), section));
            }
        }
    }
    found
}

fn height(folder: &str) -> u8 {
    let known = HEIGHTS.iter().find(|(name, _)| *name == folder);
    known.unwrap_or_else(|| panic!("crates/{folder} has no place among {HEIGHTS:?}")).1
}

#[test]
fn crates_depend_downwards_only() {
    let mut found = Vec::new();
    for folder in crates() {
        for (name, section) in dependencies(&folder) {
            let Some(on) = name.strip_prefix("anypod-") else { continue };
            let allowed = match section {
                Section::Dev => height(on) < height(&folder) || FOR_TESTS.contains(&(folder.as_str(), on)),
                Section::Normal | Section::Other => height(on) < height(&folder) && on != "testkit",
            };
            if !allowed {
                found.push(format!("{folder} -> {on}"));
            }
        }
    }
    none(&found, "dependencies point down, and the other side and testkit are for tests:");
}

#[test]
fn proto_depends_on_nothing_with_effects() {
    let found: Vec<_> = dependencies("proto")
        .into_iter()
        .filter(|(name, section)| *section == Section::Normal && IMPURE.contains(&name.as_str()))
        .map(|(name, _)| name)
        .collect();
    none(&found, "proto takes time, randomness and bytes as arguments; it must not depend on:");
}

#[test]
fn axum_is_for_tests_and_examples() {
    let found: Vec<_> = crates()
        .into_iter()
        .filter(|folder| dependencies(folder).iter().any(|(name, section)| name == "axum" && *section != Section::Dev))
        .collect();
    none(&found, "a server is a tower service and needs no framework; see docs/decisions:");
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let takes = |folder: &String| read(&format!("crates/{folder}/Cargo.toml")).contains("[lints]\nworkspace = true\n");
    let found: Vec<_> = crates().into_iter().filter(|folder| !takes(folder)).collect();
    none(&found, "write `[lints]` and `workspace = true` into Cargo.toml of:");
}

#[test]
fn a_package_is_named_after_its_folder() {
    let mut found = Vec::new();
    for folder in crates() {
        let package = if folder == "cli" { "anypod".to_owned() } else { format!("anypod-{folder}") };
        if !read(&format!("crates/{folder}/Cargo.toml")).contains(&format!("\nname = \"{package}\"\n")) {
            found.push(format!("crates/{folder} is not `{package}`"));
        }
        if ["common", "core", "utils", "util", "helpers"].contains(&folder.as_str()) {
            found.push(format!("crates/{folder} says nothing about what is in it"));
        }
    }
    none(&found, "folders bear the short name, packages `anypod-` and that:");
}

#[test]
fn the_lock_file_stays_small() {
    let count = read("Cargo.lock").lines().filter(|line| *line == "[[package]]").count();
    assert!(count < PACKAGES, "{count} packages: every dependency has to earn its place, see docs/decisions");
    assert!(root().join("deny.toml").is_file(), "deny.toml says which licences and sources are allowed");
}
