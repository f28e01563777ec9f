//! What servers ask, answered at a real terminal, by scripts, and by nobody.

use std::path::Path;

use serde_json::Value;

use crate::calling::{Said, call};
use crate::remote::{HOSTILE, Remote};
use crate::terminal::{COLUMNS, Terminal};

fn at_terminal(remote: &Remote, args: &[&str]) -> Terminal {
    Terminal::run(&[&["call", &remote.url()], args].concat(), &[])
}

#[test]
fn a_form_is_answered_field_by_field_at_the_terminal() {
    let remote = Remote::start();
    let mut terminal = at_terminal(&remote, &["stay"]);
    terminal.sees("What shall it be?");
    terminal.sees("!decline says no");
    terminal.sees("Name");
    terminal.sees("> ");
    terminal.types("Ada");
    terminal.sees("[2] > ");
    terminal.types("");
    terminal.sees("2) Double");
    terminal.sees("> ");
    terminal.types("2");
    terminal.sees("3) bike");
    terminal.sees("> ");
    terminal.types("1,3");
    terminal.sees("breakfast");
    terminal.sees("> ");
    terminal.types("yes");
    let (code, screen) = terminal.ends();
    assert_eq!(code, Some(0), "{screen}");
    for part in [
        "Accepted",
        r#""name": String("Ada")"#,
        r#""nights": Number(2)"#,
        r#""room": String("d")"#,
        "tea",
        "bike",
        "Bool(true)",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
}

#[test]
fn an_entry_that_does_not_fit_is_asked_for_again() {
    let remote = Remote::start();
    let mut terminal = at_terminal(&remote, &["stay", "--answer", "room=s"]);
    terminal.sees("> ");
    terminal.types("A");
    terminal.sees("That does not fit");
    terminal.sees("> ");
    terminal.types("Ada");
    terminal.sees("[2] > ");
    terminal.types("31");
    terminal.sees("That does not fit: must be at most 30. Wanted is a whole number from 1 to 30.");
    terminal.sees("[2] > ");
    terminal.types("!decline");
    let (code, screen) = terminal.ends();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("Declined"), "{screen}");
}

#[test]
fn the_ways_out_decline_or_cancel() {
    let remote = Remote::start();
    for (keys, expected) in [("!decline\n", "Declined"), ("!cancel\n", "Cancelled"), ("\x04", "Cancelled")] {
        let mut terminal = at_terminal(&remote, &["stay"]);
        terminal.sees("> ");
        terminal.presses(keys);
        let (code, screen) = terminal.ends();
        assert_eq!(code, Some(0), "{screen}");
        assert!(screen.contains(expected), "{keys:?}: {screen}");
    }
}

#[test]
fn a_page_is_shown_with_its_host_and_opened_only_when_asked_to() {
    let remote = Remote::start();
    for (keys, expected) in [("\n", "Declined"), ("print\n", "Accepted"), ("cancel\n", "Cancelled")] {
        let mut terminal = at_terminal(&remote, &["visit"]);
        terminal.sees("Sign in");
        terminal.sees("xn--pple-43d.example");
        terminal.sees("http://xn--pple-43d.example/in?x=1");
        terminal.sees("not encrypted");
        terminal.sees("not written in Latin letters");
        terminal.sees("[no] > ");
        terminal.presses(keys);
        let (_, screen) = terminal.ends();
        assert!(screen.contains(expected), "{keys:?}: {screen}");
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let remote = Remote::start();
    let coloured = |environment: &[(&str, &str)]| {
        let (code, screen) = Terminal::run(&["tools", &remote.url()], environment).ends();
        assert_eq!(code, Some(0), "{screen}");
        screen.contains("\x1b[")
    };
    assert!(coloured(&[]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
    assert!(!coloured(&[("CLICOLOR", "0")]));
    assert!(!coloured(&[("TERM", "dumb")]));
    let piped = Said::of(&["tools", &remote.url()], &[]);
    assert!(!piped.out.contains('\x1b'), "{}", piped.out);
    assert!(Said::of(&["tools", &remote.url()], &[("CLICOLOR_FORCE", "1")]).out.contains('\x1b'));
}

#[test]
fn a_failure_is_red_at_a_terminal() {
    let remote = Remote::start();
    let (code, screen) = at_terminal(&remote, &["fail"]).ends();
    assert_eq!(code, Some(1));
    assert!(screen.contains("\x1b[31mbroken before"), "{screen:?}");
}

#[test]
fn what_a_server_writes_does_not_command_the_terminal() {
    let remote = Remote::start();
    for args in [
        &["call", &remote.url(), "hostile"][..],
        &["read", &remote.url(), "note://one"],
        &["call", &remote.url(), "fail"],
        &["call", &remote.url(), "hostile", "--output", "json"],
        &["call", &remote.url(), "log", "--log", "info"],
        &["call", &remote.url(), "hostile", "--trace"],
    ] {
        let (_, screen) = Terminal::run(args, &[("NO_COLOR", "1")]).ends();
        assert!(screen.contains("before"), "{args:?}: {screen:?}");
        let bare = screen.replace("\r\n", "\n").replace("\r\x1b[K", "");
        assert!(!bare.contains(['\x1b', '\x07', '\u{9b}', '\r']), "{args:?}: {screen:?}");
        assert!(!screen.contains(HOSTILE));
    }
}

#[test]
fn progress_is_a_bar_that_is_gone_at_the_end() {
    let remote = Remote::start();
    let mut terminal = at_terminal(&remote, &["wait"]);
    terminal.sees("[##########..........]  50 % half of it");
    remote.release();
    let (code, screen) = terminal.ends();
    assert_eq!(code, Some(0));
    assert!(screen.ends_with("\r\x1b[Kall of it\r\n"), "{screen:?}");
}

#[test]
fn ctrl_c_ends_it_and_leaves_no_bar() {
    let remote = Remote::start();
    let mut terminal = at_terminal(&remote, &["wait"]);
    terminal.sees("half of it");
    terminal.interrupts();
    let (code, screen) = terminal.ends();
    assert_eq!(code, Some(130));
    assert!(screen.ends_with("\r\x1b[K"), "{screen:?}");
}

#[test]
fn tables_keep_to_the_width_of_the_terminal() {
    let remote = Remote::start();
    let (_, screen) = Terminal::run(&["tools", &remote.url()], &[("NO_COLOR", "1")]).ends();
    for line in screen.lines() {
        assert!(line.chars().count() <= usize::from(COLUMNS), "{line:?}");
    }
}

#[test]
fn without_a_terminal_and_without_an_answer_it_declines_and_says_so() {
    let remote = Remote::start();
    let said = call(&remote, &["stay"]);
    assert_eq!((said.code, said.out.trim()), (Some(0), "Declined"));
    assert!(said.err.contains("declined") && said.err.contains("--answer name="), "{}", said.err);
    let said = call(&remote, &["visit"]);
    assert_eq!(said.out.trim(), "Declined");
    assert!(said.err.contains("http://xn--pple-43d.example/in?x=1"), "{}", said.err);
}

#[test]
fn a_script_answers_on_the_command_line_and_from_a_file() {
    let remote = Remote::start();
    let answers =
        ["stay", "--answer", "name=Ada", "--answer", "room=Double", "--answer", "extras=tea", "--answer", "extras=2"];
    let said = call(&remote, &answers);
    assert_eq!(said.code, Some(0), "{}", said.err);
    for part in [r#"String("Ada")"#, "Number(2)", r#"String("d")"#, "tea", "bath"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("answers-{}.json", std::process::id()));
    std::fs::write(&file, r#"{ "name": "Eve", "nights": 3, "room": "s" }"#).unwrap();
    let file_name = file.to_str().unwrap();
    let said = call(&remote, &["stay", "--answers", file_name]);
    assert!(said.out.contains("Eve") && said.out.contains("Number(3)"), "{}", said.out);
    let said = call(&remote, &["stay", "--answers", file_name, "--answer", "nights=many"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("--answer nights=many"), "{}", said.err);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn the_model_and_the_roots_are_there_only_where_they_are_given() {
    let remote = Remote::start();
    for tool in ["model", "where"] {
        assert_eq!(call(&remote, &[tool]).code, Some(3), "{tool}");
    }
    let answer = r#"{"role":"assistant","model":"m","content":{"type":"text","text":"from the model"}}"#;
    let said = call(&remote, &["model", "--sampling-command", &shell_words::join(["echo", answer])]);
    assert_eq!((said.code, said.out.trim()), (Some(0), "from the model"), "{}", said.err);
    let said = call(&remote, &["where", "--root", "/"]);
    assert_eq!((said.code, said.out.trim()), (Some(0), "file:///"), "{}", said.err);
}

#[test]
fn no_answer_is_sent_that_nobody_gave() {
    let remote = Remote::start();
    let said = call(&remote, &["stay", "--answer", "nights=3", "--output", "json"]);
    let result: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(result["content"][0]["text"], "Declined", "{result}");
}

#[test]
fn an_answer_to_no_field_is_named_when_a_form_is_declined() {
    let remote = Remote::start();
    let said = call(&remote, &["stay", "--answer", "nmae=Ada"]);
    assert!(said.err.contains("it has no field `nmae`"), "{}", said.err);
}
