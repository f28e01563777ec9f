//! What is wrong with a command line is one clear line and exit code 2.

use std::net::TcpListener;

use crate::supervisor::anypod;

/// Runs it and returns the one line on standard error.
fn refused(args: &[&str]) -> String {
    let output = anypod().args(args).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
    assert_eq!(output.stdout, b"", "{args:?}");
    stderr
}

#[test]
fn a_taken_port_is_one_line_and_says_which_and_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = refused(&["up", "--port", &port]);
    assert!(line.contains(&port) && line.contains("--port"), "{line}");
}

#[test]
fn a_taken_port_is_one_line_for_a_pod_too() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let line = refused(&["demo", "--port", &port]);
    assert!(line.contains(&port) && line.contains("--port"), "{line}");
}

#[test]
fn a_bad_flag_is_one_line() {
    for args in [
        &["--frobnicate"][..],
        &["up", "--pods", "0"],
        &["up", "--pods", "many"],
        &["up", "--port", "65536"],
        &["up", "--host", "nowhere"],
        &["up", "--drain", "soon"],
        &["up", "http://a/mcp", "--pods", "2"],
        &["frobnicate"],
        &["keys", "show"],
        &["gateway", "--port", "many"],
        &["gateway", "--config", "anypod.toml", "--upstream", "http://a/mcp"],
        &["gateway", "check"],
    ] {
        let line = refused(args);
        assert!(line.contains("--help"), "{line}");
    }
}

#[test]
fn a_pod_command_without_a_place_for_the_port_is_one_line() {
    let line = refused(&["up", "--port", "0", "--pod", "server --port 8000"]);
    assert!(line.contains("{port}"), "{line}");
}

#[test]
fn a_key_file_that_no_pod_would_get_is_one_line() {
    let line = refused(&["up", "--port", "0", "--pod", "server {port}", "--key-file", "ring"]);
    assert!(line.contains("{key-file}"), "{line}");
}

#[test]
fn a_refusal_names_the_page_to_read_and_the_flag_that_was_meant() {
    let line = refused(&["keys", "rotate"]);
    assert!(line.contains("`anypod keys rotate --help`"), "{line}");
    let line = refused(&["up", "--prot", "1"]);
    assert!(line.contains("--port") && line.contains("`anypod up --help`"), "{line}");
}

#[test]
fn a_pod_command_that_does_not_exist_is_one_line() {
    let line = refused(&["up", "--port", "0", "--pod", "no-such-program {port}"]);
    assert!(line.contains("no-such-program"), "{line}");
}

#[test]
fn a_key_file_that_is_missing_or_bad_is_one_line() {
    let line = refused(&["up", "--port", "0", "--key-file", "no-such-file"]);
    assert!(line.contains("no-such-file"), "{line}");
    let line = refused(&["up", "--port", "0", "--key-file", env!("CARGO_BIN_EXE_anypod")]);
    assert!(line.contains("key file"), "{line}");
}

#[test]
fn a_gateway_before_nothing_or_before_no_url_is_one_line() {
    let line = refused(&["gateway"]);
    assert!(line.contains("--upstream") && line.contains("--config"), "{line}");
    let line = refused(&["gateway", "--port", "0", "--upstream", "a:9000", "--upstream", "b:9000"]);
    assert!(line.contains("\"a:9000\"") && line.contains("\"b:9000\""), "{line}");
    let line = refused(&["gateway", "--config", "no-such-file.toml"]);
    assert!(line.contains("no-such-file.toml"), "{line}");
}

#[test]
fn a_pod_to_stand_before_that_is_no_url_and_a_host_that_is_none_are_one_line() {
    let line = refused(&["up", "--port", "0", "a:9000", "b:9000"]);
    assert!(line.contains("\"a:9000\"") && line.contains("\"b:9000\""), "{line}");
    let line = refused(&["up", "--port", "0", "--allow-host", "http://a"]);
    assert!(line.contains("http://a"), "{line}");
}

#[test]
fn help_is_no_error() {
    for args in [&["--help"][..], &["up", "--help"], &["gateway", "--help"], &["--version"]] {
        let output = anypod().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(output.stderr, b"", "{args:?}");
    }
}
