//! The calling subcommands in pipes, as scripts use them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;

use anypod_server::Event;
use serde_json::{Value, json};

use crate::remote::{HOSTILE, Remote};
use crate::supervisor::anypod;

/// What a run came to.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let output = anypod().args(args).envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap();
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Calls a tool of `remote`.
pub(crate) fn call(remote: &Remote, args: &[&str]) -> Said {
    Said::of(&[&["call", &remote.url()], args].concat(), &[])
}

/// A server that answers the first request of every client with this result.
fn results_in(result: &Value) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string();
    let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    answers(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}"))
}

/// A server that answers every request with these bytes.
fn answers(bytes: impl Into<String>) -> String {
    let bytes = bytes.into();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            read_request(&mut stream);
            let _ = stream.get_mut().write_all(bytes.as_bytes());
        }
    });
    url
}

/// Reads a request and returns its body.
fn read_request(stream: &mut impl BufRead) -> String {
    let mut length = 0;
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    let _ = stream.read_exact(&mut body);
    String::from_utf8(body).unwrap()
}

#[test]
fn a_tool_is_called_with_typed_arguments() {
    let remote = Remote::start();
    let said = call(&remote, &["add", "a=1", "b=2"]);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), "3\n", ""));
    let said = call(&remote, &["add", "--json", r#"{"a":40}"#, "b:=2"]);
    assert_eq!(said.out, "42\n", "{}", said.err);
}

#[test]
fn arguments_come_from_standard_input_and_from_files() {
    let remote = Remote::start();
    let mut child = anypod()
        .args(["call", &remote.url(), "add", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(br#"{"a":1,"b":1}"#).unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"2\n");
    let said = call(&remote, &["add", "--json", "@/no/such/file"]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("/no/such/file"), "{}", said.err);
}

#[test]
fn json_output_is_the_result_in_one_line() {
    let remote = Remote::start();
    let said = call(&remote, &["hostile", "--output", "json"]);
    assert_eq!(said.out.lines().count(), 1);
    let result: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(result["content"][0]["text"], HOSTILE);
    for list in ["tools", "prompts", "resources", "templates"] {
        let said = Said::of(&[list, &remote.url(), "--output", "json"], &[]);
        let page: Value =
            serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{list}: {} {}", said.out, said.err));
        assert!(page.is_object(), "{list}");
    }
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let remote = Remote::start();
    let code = |args: &[&str]| Said::of(args, &[]).code;
    let url = remote.url();
    assert_eq!(code(&["call", &url, "add", "a=1", "b=1"]), Some(0));
    assert_eq!(code(&["call", &url, "fail"]), Some(1));
    assert_eq!(code(&["call", &url, "fail", "--output", "json"]), Some(1));
    assert_eq!(code(&["call", &url, "add", "a=one", "b=1"]), Some(2));
    assert_eq!(code(&["call", &url, "no_such_tool"]), Some(2));
    assert_eq!(code(&["call", &url]), Some(2));
    assert_eq!(code(&["call"]), Some(2));
    assert_eq!(code(&["call", "nowhere", "add"]), Some(2));
    assert_eq!(code(&["read", &url, "note://none"]), Some(3));
    assert_eq!(code(&["tools", "http://127.0.0.1:1/mcp"]), Some(3));
    assert_eq!(code(&["tools", &answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")]), Some(3));
    let login = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\n\r\n";
    let said = Said::of(&["tools", &answers(login)], &[]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.err.contains("ANYPOD_TOKEN"), "{}", said.err);
}

#[test]
fn whoever_names_no_tool_is_told_which_there_are() {
    let remote = Remote::start();
    let said = call(&remote, &[]);
    assert!(said.out.contains("add") && said.out.contains("a=<integer>"), "{}", said.out);
    assert!(said.err.contains("no tool is named"), "{}", said.err);
    let said = call(&remote, &["ad"]);
    assert!(said.err.contains("did you mean `add`?"), "{}", said.err);
}

#[test]
fn content_that_is_no_text_is_named_and_not_dumped() {
    let remote = Remote::start();
    let said = call(&remote, &["mixed"]);
    assert_eq!(said.out, "a text\n[image image/png, 2.0 KiB]\n[resource note://two, 6 bytes]\ninside\n");
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let remote = Remote::start();
    let mut child = anypod()
        .args(["call", &remote.url(), "long"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(line, "a line\n");
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn prompts_resources_and_the_server_itself_are_shown() {
    let remote = Remote::start();
    let url = remote.url();
    assert_eq!(Said::of(&["prompt", &url, "greet", "name=Ada"], &[]).out, "user:\nHello, Ada!\n");
    let said = Said::of(&["prompt", &url, "greet", "nmae=Ada"], &[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("did you mean `name`?"), "{}", said.err);
    assert!(Said::of(&["read", &url, "note://one"], &[]).out.starts_with("before\\u{1b}[2J"));
    assert!(Said::of(&["discover", &url], &[]).out.contains("remote 1.0.0"));
    assert!(Said::of(&["resources", &url], &[]).out.contains("note://one"));
}

#[test]
fn progress_in_a_pipe_is_silent_unless_lines_are_asked_for() {
    let remote = Remote::start();
    remote.release();
    let said = call(&remote, &["wait"]);
    assert_eq!((said.out.as_str(), said.err.as_str()), ("all of it\n", ""));
    remote.release();
    assert_eq!(call(&remote, &["wait", "--progress"]).err, "1/2 half of it\n");
}

#[test]
fn log_messages_go_to_standard_error_from_the_level_that_was_asked_for() {
    let remote = Remote::start();
    let said = call(&remote, &["log", "--log", "info"]);
    assert_eq!(said.out, "logged\n");
    assert!(said.err.starts_with("warning disk: before\\u{1b}"), "{}", said.err);
    assert!(!said.err.contains("too little"), "{}", said.err);
}

#[test]
fn a_trace_shows_every_exchange_without_secrets() {
    let remote = Remote::start();
    let url = format!("{}?api_key=sesame", remote.url());
    let args = ["call", &url, "add", "a=1", "b=2", "--trace", "--header", "X-Api-Key: sesame"];
    let said = Said::of(&args, &[("ANYPOD_TOKEN", "sesame")]);
    assert_eq!(said.out, "3\n", "{}", said.err);
    for part in [
        "> #1 POST",
        "api_key=***",
        "x-api-key: ***",
        "authorization: Bearer ***",
        "mcp-name: add",
        "< #2 HTTP/1.1 200 OK",
    ] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    assert!(!said.err.contains("sesame"), "{}", said.err);
}

#[test]
fn a_token_on_the_command_line_is_warned_of() {
    let remote = Remote::start();
    let said = Said::of(&["tools", &remote.url(), "-H", "Authorization: Bearer sesame"], &[]);
    assert!(said.err.contains("warning") && !said.err.contains("sesame"), "{}", said.err);
}

#[test]
fn a_command_is_called_in_either_era_and_ends_with_us() {
    let demo = [env!("CARGO_BIN_EXE_anypod"), "demo", "--stdio"];
    for era in [&[][..], &["--era", "modern"], &["--era", "legacy"]] {
        let said = Said::of(&[&["call", "add", "a=1", "b=2"], era, &["--"], &demo].concat(), &[]);
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), "{\"sum\":3}\n", ""), "{era:?}");
    }
    let answers = ["--answer", "name=Ada", "--answer", "room=single", "--answer", "nights=2"];
    for era in ["modern", "legacy"] {
        let said =
            Said::of(&[&["call", "book", "city=Oslo", "--era", era], &answers[..], &["--"], &demo].concat(), &[]);
        assert!(said.out.contains("Ada"), "{era}: {} {}", said.out, said.err);
    }
}

#[test]
fn a_command_without_a_tool_lists_what_there_is() {
    let demo = [env!("CARGO_BIN_EXE_anypod"), "demo", "--stdio"];
    let said = Said::of(&[&["call", "--"], &demo[..]].concat(), &[]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.out.contains("add") && said.err.contains("before --"), "{} {}", said.out, said.err);
    let said = Said::of(&["tools", "--header", "a: b", "--", "server"], &[]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    let said = Said::of(&["tools", "--", "no-such-program"], &[]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains("no-such-program"), "{}", said.err);
}

#[test]
fn what_a_command_writes_to_its_standard_error_is_named_and_cleaned() {
    let script = r"printf '\033[31mred\033[0m \033]0;owned\007\n' >&2; exec anypod demo --stdio";
    let path = std::path::Path::new(env!("CARGO_BIN_EXE_anypod")).parent().unwrap().to_str().unwrap();
    let path = format!("{path}:/usr/bin:/bin");
    let said = Said::of(&["call", "add", "a=1", "b=2", "--", "sh", "-c", script], &[("PATH", &path)]);
    assert_eq!(said.out, "{\"sum\":3}\n", "{}", said.err);
    assert_eq!(said.err, "sh: red \\u{1b}]0;owned\\u{7}\n");
}

#[test]
fn a_legacy_server_is_called_like_any_other() {
    let remote = Remote::start();
    let said = call(&remote, &["add", "a=1", "b=2", "--era", "legacy"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "3\n"), "{}", said.err);
    let answers = ["stay", "--era", "legacy", "--answer", "name=Ada", "--answer", "room=s"];
    let said = call(&remote, &answers);
    assert!(said.out.contains("Ada"), "{} {}", said.out, said.err);
}

#[test]
fn a_call_that_takes_too_long_is_given_up() {
    let remote = Remote::start();
    let said = call(&remote, &["wait", "--timeout", "50ms"]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains("50ms"), "{}", said.err);
    let silent = ["tools", "--era", "modern", "--timeout", "50ms", "--", "cat"];
    assert_eq!(Said::of(&silent, &[]).code, Some(3), "a list has the same deadline");
}

#[test]
fn a_task_is_named_looked_at_and_waited_for() {
    let task = |result_type: &str, status: &str, more: Value| {
        let mut task = json!({
            "resultType": result_type, "taskId": "t-1", "status": status, "createdAt": "2026-11-20T10:00:00Z",
            "lastUpdatedAt": "2026-11-20T10:00:00Z", "ttlMs": null,
        });
        task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        results_in(&task)
    };
    let url = task("task", "working", json!({}));
    let said = Said::of(&["call", &url, "slow", "--json", "{}", "--detach", "--era", "modern"], &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "t-1\n"), "{}", said.err);
    let url = task("complete", "completed", json!({ "result": { "content": [{ "type": "text", "text": "done" }] } }));
    let said = Said::of(&["task", "wait", &url, "t-1", "--era", "modern"], &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "done\n"), "{}", said.err);
    let said = Said::of(&["task", "get", &url, "t-1", "--era", "modern"], &[]);
    assert!(said.out.contains("completed") && said.out.ends_with("done\n"), "{}", said.out);
    let said = Said::of(&["task", "get", &url, "t-1", "--era", "modern", "--output", "json"], &[]);
    let task: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(task["result"]["content"][0]["text"], "done", "{task}");
}

#[test]
fn a_task_that_is_given_up_is_cancelled_at_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (send, methods) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let request: Value = serde_json::from_str(&read_request(&mut stream)).unwrap();
            send.send(request["method"].as_str().unwrap().to_owned()).unwrap();
            let result = json!({
                "resultType": if request["method"] == "tools/call" { "task" } else { "complete" },
                "taskId": "t-1", "status": "working", "createdAt": "2026-11-20T10:00:00Z",
                "lastUpdatedAt": "2026-11-20T10:00:00Z", "ttlMs": null, "pollIntervalMs": 1000,
            });
            let body = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string();
            let head = format!("content-type: application/json\r\nconnection: close\r\ncontent-length: {}", body.len());
            stream.get_mut().write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes()).unwrap();
        }
    });
    let said = Said::of(&["call", &url, "slow", "--json", "{}", "--era", "modern", "--timeout", "500ms"], &[]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    let methods: Vec<String> = methods.try_iter().collect();
    assert_eq!(methods.first().map(String::as_str), Some("tools/call"));
    assert_eq!(methods.last().map(String::as_str), Some("tasks/cancel"), "{methods:?}");
}

#[test]
fn changes_are_told_one_line_each_until_the_server_ends_it() {
    let remote = Remote::start();
    let mut child = anypod()
        .args(["listen", &remote.url(), "--output", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    assert!(line.contains("tools, prompts, resources"), "{line}");
    remote.announce(Event::ToolsChanged);
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told, json!({ "method": "notifications/tools/list_changed" }));
    remote.drain();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn every_subcommand_explains_itself_with_an_example_and_its_exit_codes() {
    for command in [
        "call",
        "tools",
        "prompts",
        "resources",
        "templates",
        "read",
        "prompt",
        "complete",
        "discover",
        "listen",
        "task get",
        "task wait",
        "task cancel",
        "task update",
    ] {
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let said = Said::of(&args, &[]);
        assert_eq!(said.code, Some(0), "{command}");
        for part in ["Example", "anypod ", "Exit codes: 0 result"] {
            assert!(said.out.contains(part), "{command}: {part}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let remote = Remote::start();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = anypod().args(["tools", &remote.url()]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.starts_with("error: the output cannot be written: "), "{err}");
}

#[test]
fn discover_tells_a_legacy_server_from_a_modern_one() {
    let remote = Remote::start();
    let modern = Said::of(&["discover", &remote.url()], &[]);
    assert!(modern.out.contains("\nversions ") && !modern.out.contains("\nera "), "{}", modern.out);
    let legacy = Said::of(&["discover", &remote.url(), "--era", "legacy"], &[]);
    assert!(legacy.out.contains("\nera           legacy\n") && !legacy.out.contains("\nversions "), "{}", legacy.out);
}

#[test]
fn a_timeout_of_nothing_is_wrong_usage() {
    let said = Said::of(&["tools", "http://127.0.0.1:1", "--timeout", "0s"], &[]);
    assert_eq!(said.code, Some(2), "{}", said.err);
}

#[test]
fn a_token_that_is_too_long_is_not_cut() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("token-{}", std::process::id()));
    std::fs::write(&file, "x".repeat(70_000)).unwrap();
    let said = Said::of(&["tools", "http://127.0.0.1:1", "--bearer-file", file.to_str().unwrap()], &[]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("more than 65536 bytes"), "{}", said.err);
}

#[test]
fn tls_to_a_plain_port_is_told_as_such() {
    let remote = Remote::start();
    let said = Said::of(&["tools", &remote.url().replace("http://", "https://"), "--timeout", "20s"], &[]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(said.err.contains("it may be no TLS server, and its URL http://"), "{}", said.err);
}
