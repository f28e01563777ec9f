//! The words of the protocol, each written once: header names, method names, error codes, versions, keys of `_meta`.

use crate::lexer::Source;
use crate::{none, sources};

/// Literals outside of tests that `is_word` knows, in files other than those that begin with `home`.
fn strays(home: &str, is_word: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.is_src() && !source.path.starts_with(home)) {
        let words = source.literals().filter(|(_, text)| is_word(text));
        found.extend(words.map(|(at, text)| format!("{} \"{text}\"", source.place(at))));
    }
    found
}

/// The literals of the file where a kind of word is at home.
fn at_home(path: &str) -> Vec<String> {
    let source = sources().into_iter().find(|source| source.path == path);
    let source: Source = source.unwrap_or_else(|| panic!("{path} is gone: where are its words now?"));
    source.literals().map(|(_, text)| text.to_owned()).collect()
}

#[test]
fn header_names_are_written_in_header_rs_only() {
    let names = at_home("crates/proto/src/header.rs");
    assert!(names.iter().any(|name| name == "mcp-protocol-version"), "{names:?}");
    let is_name = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.starts_with("mcp-") || names.contains(&text)
    };
    none(&strays("crates/proto/src/header", is_name), "use the constants of `proto::header`:");
}

#[test]
fn method_names_are_written_in_method_rs_only() {
    let methods: Vec<_> =
        at_home("crates/proto/src/method.rs").into_iter().filter(|text| !text.contains(' ')).collect();
    assert!(methods.iter().any(|method| method == "tools/call"), "{methods:?}");
    let is_method = |text: &str| {
        methods.iter().any(|method| text == method || method.contains('/') && text.contains(&format!("\"{method}\"")))
    };
    none(&strays("crates/proto/src/method.rs", is_method), "use the enums of `proto::method`:");
}

#[test]
fn versions_are_written_in_version_rs_only() {
    let versions = at_home("crates/proto/src/version.rs");
    assert!(versions.iter().any(|version| version == "2026-07-28"), "{versions:?}");
    let is_version = |text: &str| versions.iter().any(|version| text.contains(version.as_str()));
    let found = strays("crates/proto/src/version.rs", |text| text.len() < 200 && is_version(text));
    none(&found, "use `proto::version::Version`, and compare versions, not their names:");
}

#[test]
fn meta_keys_are_written_in_meta_rs_only() {
    let bare = ["traceparent", "tracestate", "baggage"];
    let is_key = |text: &str| text.contains("io.modelcontextprotocol/") || bare.contains(&text);
    none(&strays("crates/proto/src/meta.rs", is_key), "use the constants of `proto::meta`:");
}

#[test]
fn error_codes_are_written_in_code_rs_only() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.is_src() && source.path != "crates/proto/src/code.rs") {
        let in_code = source.code.match_indices("-32").map(|(at, _)| at).filter(|at| !source.is_test(*at));
        found.extend(in_code.filter(|at| is_code(&source.text[*at..])).map(|at| source.place(at)));
        let in_text =
            source.literals().filter(|(_, text)| text.match_indices("-32").any(|(at, _)| is_code(&text[at..])));
        found.extend(in_text.map(|(at, _)| source.place(at)));
    }
    none(&found, "use `proto::code::Code`:");
}

/// Whether `text` begins with one of JSON-RPC's reserved codes.
fn is_code(text: &str) -> bool {
    let digits: String = text[1..].chars().filter(|char| *char != '_').take_while(char::is_ascii_digit).collect();
    digits.len() == 5 && digits.starts_with("32")
}
