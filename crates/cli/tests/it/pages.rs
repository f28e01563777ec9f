//! The pages: what they show of the command line is what the binary does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::supervisor::Supervisor;

/// Where the pages say that the demo is.
const SHOWN: &str = "http://127.0.0.1:8080/mcp";

/// What a page shows: each command with what it prints.
fn shown(page: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("\n```console\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    commands
        .map(|command| match command.split_once('\n') {
            Some((line, output)) => (line.to_owned(), output.trim_end().to_owned()),
            None => (command.to_owned(), String::new()),
        })
        .collect()
}

/// Whether `text` is `pattern`, in which each `…` stands for anything.
fn fits(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = if part.is_empty() { "" } else { after };
    }
    rest.is_empty()
}

/// Runs a line in a shell that knows the binary under test as `anypod`, with its standard error in its output.
fn shell(line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_anypod")).parent().unwrap();
    let script = format!("exec 2>&1; PATH=\"$0:$PATH\"; {line}");
    let output = Command::new("sh").args(["-c", &script]).arg(program).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn commands_on_the_pages_do_what_the_pages_say() {
    let up = Supervisor::start(2, &[]);
    let url = format!("http://{}/mcp", up.address);
    for page in ["README.md", "docs/command-line.md"] {
        let shown = shown(page);
        assert!(shown.len() > 2, "{page} shows {} commands", shown.len());
        for (line, expected) in shown {
            let output = shell(&line.replace(SHOWN, &url));
            assert!(fits(&output, &expected), "{page}: $ {line}\n{output}\ninstead of\n{expected}");
        }
    }
}

#[test]
fn every_option_for_calling_and_for_stores_is_on_the_page() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/command-line.md")).unwrap();
    let mut options = BTreeSet::new();
    let calling =
        ["call", "tools", "prompts", "resources", "templates", "read", "prompt", "complete", "discover", "listen"];
    for subcommand in calling.into_iter().chain(["store tasks", "notify"]) {
        let help = shell(&format!("anypod {subcommand} --help"));
        let words = help.lines().filter(|line| line.trim_start().starts_with('-')).flat_map(str::split_whitespace);
        options.extend(words.filter(|word| word.starts_with("--")).map(|word| word.trim_end_matches(',').to_owned()));
    }
    options.remove("--help");
    assert!(options.len() > 15, "{options:?}");
    let missing: Vec<_> = options.iter().filter(|option| !page.contains(option.as_str())).collect();
    assert!(missing.is_empty(), "say in docs/command-line.md what these do: {missing:?}");
}

#[test]
fn dots_on_a_page_stand_for_anything() {
    for (text, pattern, expected) in [
        ("a1b", "a…b", true),
        ("ab", "a…b", true),
        ("a1b2", "a…b", false),
        ("a1", "a…", true),
        ("xa1b", "a…b", false),
        ("ab", "ab", true),
        ("abc", "ab", false),
    ] {
        assert_eq!(fits(text, pattern), expected, "{text} {pattern}");
    }
}
