//! What code must not do, and where the few places are that may.

use crate::lexer::find_words;
use crate::{none, sources};

/// Uses of `words` outside of tests, in files whose paths begin with `below` and with none of `except`.
fn uses(below: &str, words: &[&str], except: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.is_src() && source.path.starts_with(below)) {
        if except.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        for word in words {
            let places = source.uses(word).into_iter().filter(|at| !source.is_test(*at));
            found.extend(places.map(|at| format!("{} {word}", source.place(at))));
        }
    }
    found
}

#[test]
fn proto_does_no_io_reads_no_clock_makes_no_randomness_and_logs_nothing() {
    let effects = [
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::thread",
        "Instant",
        "SystemTime",
        "getrandom",
        "rand",
        "OsRng",
        "tokio",
        "tracing",
        "spawn",
        "println",
        "eprintln",
        "print",
        "eprint",
        "static mut",
    ];
    none(&uses("crates/proto/src", &effects, &[]), "take it as an argument:");
}

#[test]
fn the_clock_the_environment_and_randomness_have_one_place_per_side() {
    // SDK users have no `cli`, so server and client bring what is real and let it be replaced.
    let places = ["crates/server/src/outside.rs", "crates/client/src/outside.rs", "crates/cli/src/real.rs"];
    let real = ["SystemTime", "std::time::Instant", "getrandom", "rand", "env::var", "env::var_os", "env::vars"];
    none(&uses("crates/", &real, &places), "take an `Outside`, or ask `real`:");
}

#[test]
fn queues_are_bounded() {
    let words = ["unbounded", "unbounded_channel", "UnboundedSender", "UnboundedReceiver"];
    none(&uses("crates/", &words, &[]), "give the queue a bound that has a name:");
}

#[test]
fn libraries_do_not_unwrap() {
    let found = uses("crates/", &[".unwrap()"], &[]);
    none(&found, "return an error, or say with `expect` why it cannot happen:");
}

#[test]
fn only_output_rs_prints() {
    let words = ["println!", "print!", "eprintln!", "eprint!", "stdout()"];
    // On stdio the messages are the server's output, and the log goes to where a subscriber sends it. The gateway's access
    // log goes to standard output where the configuration says so.
    let places = ["crates/cli/src/output.rs", "crates/server/src/stdio", "crates/gateway/src/observe/log.rs"];
    none(&uses("crates/", &words, &places), "print through `output`, log with `tracing`:");
}

#[test]
fn nothing_is_left_for_later() {
    let mut found = Vec::new();
    for source in sources() {
        for word in ["todo!", "unimplemented!", "dbg!"] {
            found.extend(source.uses(word).into_iter().map(|at| format!("{} {word}", source.place(at))));
        }
        for word in ["TODO", "FIXME", "XXX", "HACK"] {
            let places = find_words(&source.comments, word).into_iter();
            found.extend(places.map(|at| format!("{} {word}", source.place(at))));
        }
    }
    none(&found, "do it now, or write an issue:");
}

#[test]
fn tests_neither_sleep_nor_get_skipped() {
    let mut found = Vec::new();
    for source in sources() {
        let virtual_time = ["start_paused", "time::pause", "pause"].iter().any(|word| !source.uses(word).is_empty());
        for word in ["#[ignore", "thread::sleep", "sleep", "sleep_until"] {
            if virtual_time && word.starts_with("sleep") {
                continue;
            }
            let places = source.uses(word).into_iter().filter(|at| source.is_test(*at));
            found.extend(places.map(|at| format!("{} {word}", source.place(at))));
        }
    }
    none(&found, "wait for what is to happen, or pause the time; a test runs or does not exist:");
}

#[test]
fn names_say_what_a_thing_is() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.is_src()) {
        for keyword in ["struct ", "enum ", "trait ", "type ", "fn "] {
            for at in source.uses(keyword) {
                let rest = &source.code[at + keyword.len()..];
                let name = rest.split(|char: char| !(char.is_alphanumeric() || char == '_')).next().unwrap_or_default();
                let vague = ["Manager", "Helper", "Helpers", "Util", "Utils", "Common"];
                if name.starts_with("get_") || vague.iter().any(|word| name.ends_with(word)) {
                    found.push(format!("{} {name}", source.place(at)));
                }
            }
        }
    }
    // The specification's word for it: `prompts/get`.
    found.retain(|place| !place.ends_with(" get_prompt"));
    none(&found, "nouns for types, verbs for functions, and none that fits everything:");
}

#[test]
fn requests_are_admitted_at_the_transports_only() {
    // A detached call is one that was admitted before, and is read again.
    let at_transports = ["crates/server/src/http.rs", "crates/server/src/stdio", "crates/server/src/detached.rs"];
    let found = uses("crates/server/src", &["admit("], &at_transports);
    none(&found, "a request that is admitted twice can be two requests:");
}
