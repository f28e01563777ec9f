//! What is remembered of eras.

use std::ffi::OsStr;

use anypod_client::era::{EraStore, Eras, ServerName};
use anypod_client::proto::version::Era;

fn url(url: &str) -> ServerName {
    ServerName::url(&url.parse().unwrap())
}

fn command(words: &[&str]) -> ServerName {
    ServerName::command(OsStr::new(words[0]), words[1..].iter().map(OsStr::new))
}

#[test]
fn remembers_the_last_verdict_until_it_is_forgotten() {
    let eras = Eras::default();
    let server = url("https://example.com/mcp");
    assert_eq!(eras.get(&server), None);
    eras.put(&server, Era::Modern);
    eras.put(&server, Era::Legacy);
    assert_eq!(eras.get(&server), Some(Era::Legacy));
    eras.remove(&server);
    assert_eq!(eras.get(&server), None);
}

#[test]
fn is_written_out_and_read_again() {
    let eras = Eras::default();
    eras.put(&url("https://example.com/mcp"), Era::Modern);
    eras.put(&command(&["./server"]), Era::Legacy);
    let text = serde_json::to_string(&eras).unwrap();
    assert!(text.contains(r#""era":"modern""#) && text.contains(r#""era":"legacy""#), "{text}");
    let read: Eras = serde_json::from_str(&text).unwrap();
    assert_eq!(read.get(&url("https://example.com/mcp")), Some(Era::Modern));
    assert_eq!(read.get(&command(&["./server"])), Some(Era::Legacy));
}

#[test]
fn forgets_the_oldest_of_too_many() {
    let eras = Eras::default();
    let server = |number: usize| url(&format!("http://127.0.0.1:{number}/"));
    (1..=1025).for_each(|number| eras.put(&server(number), Era::Modern));
    assert_eq!(eras.get(&server(1)), None);
    assert_eq!(eras.get(&server(2)), Some(Era::Modern));
    assert_eq!(eras.get(&server(1025)), Some(Era::Modern));
}

#[test]
fn tells_servers_apart_by_origin_path_and_arguments() {
    assert_eq!(url("https://Example.com/mcp?key=1"), url("https://example.com:443/mcp"));
    let different = [
        url("https://example.com/mcp"),
        url("http://example.com/mcp"),
        url("https://example.com:8443/mcp"),
        url("https://example.com/other"),
        url("https://example.org/mcp"),
        command(&["npx", "a", "b"]),
        command(&["npx", "a b"]),
        command(&["npx"]),
        ServerName::socket(OsStr::new("/run/a"), "/mcp"),
        ServerName::socket(OsStr::new("/run/a"), "/"),
    ];
    for (at, one) in different.iter().enumerate() {
        assert!(different[at + 1..].iter().all(|other| other != one), "{one}");
    }
}

#[test]
fn shows_origin_or_program_and_no_secret() {
    let shown = url("https://user:hunter2@example.com/mcp/s3cret?key=s3cret").to_string();
    assert!(shown.starts_with("https://example.com:443#"), "{shown}");
    let shown = shown + &command(&["./server", "--key", "s3cret"]).to_string();
    assert!(shown.contains("./server#"), "{shown}");
    assert!(!shown.contains("s3cret") && !shown.contains("hunter2"), "{shown}");
}
