//! The access log, in real files and over a real thread.

use std::sync::mpsc;
use std::time::Duration;

use anypod_server::Principal;
use serde_json::{Value, json};

use super::*;
use crate::config;
use crate::observe::tests::world::{Scratch, World};
use crate::observe::{Outcome, Seen};

const PATIENCE: Duration = Duration::from_secs(60);
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn config(file: &Scratch) -> config::Observe {
    config::Observe { access_log: Some(file.0.clone()), ..Default::default() }
}

fn alice() -> Arc<Principal> {
    Arc::new(Principal::new("gateway", "alice"))
}

#[tokio::test]
async fn a_request_is_a_line_with_what_was_understood_of_it() {
    let file = Scratch::new("line");
    let observer = World::default().observer(&config(&file));
    let seen = observer.traced_call("add", PARENT);
    observer.done(Seen { principal: Some(alice()), ..seen });
    observer.flush(PATIENCE).await;
    let mut lines = lines(&file.0);
    let principal = lines[0]["principal"].take();
    assert_eq!(principal.as_str().map(str::len), Some(12), "{principal}");
    // It began 5 ms before the second that the wall clock says, as far as we know.
    let expected = json!({
        "time": "2026-07-28T09:29:59.995Z", "took_ms": 5.0, "head_ms": 3.0, "http": "POST", "status": 200,
        "route": "/mcp", "method": "tools/call", "name": "add", "outcome": "ok", "era": "modern",
        "version": "2026-07-28", "client": "desk", "client_version": "2.0", "principal": null, "upstream": "tools",
        "upstream_era": "modern", "pod": "10.0.0.5:9000", "bytes_in": 100, "bytes_out": 200,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    });
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let time = line["time"].as_str().unwrap();
    assert!(time.starts_with("2026-07-28T09:29:59.99") || time.starts_with("2026-07-28T09:30:0"), "{time}");
    let mut line = line.clone();
    line["time"] = expected["time"].clone();
    assert_eq!(line, expected);
}

#[tokio::test]
async fn every_field_of_a_line_is_on_the_page_about_observing() {
    let file = Scratch::new("fields");
    let observer = World::default().observer(&config(&file));
    let mut seen = observer.traced_call("add", PARENT);
    seen.leg.as_mut().unwrap().retries = 2;
    let outcome = Outcome::Failed("head_timeout");
    let code = Some(anypod_proto::code::Code::InternalError.number());
    observer.done(Seen { principal: Some(alice()), cached: true, hopped: true, affinity: true, outcome, code, ..seen });
    observer.flush(PATIENCE).await;
    let line = lines(&file.0).pop().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway-observing.md");
    let page = std::fs::read_to_string(page).unwrap();
    let fields = line.as_object().unwrap();
    assert_eq!(fields.len(), 26, "all of them: {fields:?}");
    for field in fields.keys() {
        assert!(page.contains(&format!("`{field}`")), "say in docs/gateway-observing.md what `{field}` is");
    }
}

#[tokio::test]
async fn hostile_texts_stay_in_their_line() {
    let file = Scratch::new("hostile");
    let observer = World::default().observer(&config(&file));
    let client = observer.client("a\n{\"forged\":1}", "\"\u{1b}[2J");
    let http_method = http::Method::from_bytes("X".repeat(5000).as_bytes()).unwrap();
    observer.done(Seen { client: Some(client), http_method, ..observer.call(&"\n".repeat(5000)) });
    observer.flush(PATIENCE).await;
    let text = std::fs::read_to_string(&file.0).unwrap();
    assert_eq!(lines(&file.0).len(), 1);
    assert!(text.len() < 1000 && !text.contains('\u{1b}'), "{text}");
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_opened_again() {
    let (file, old) = (Scratch::new("moved"), Scratch::new("moved.1"));
    let observer = World::default().observer(&config(&file));
    observer.done(observer.call("before"));
    observer.flush(PATIENCE).await;
    std::fs::rename(&file.0, &old.0).unwrap();
    observer.done(observer.call("between"));
    observer.flush(PATIENCE).await;
    observer.reopen();
    observer.done(observer.call("after"));
    observer.flush(PATIENCE).await;
    let names = |path: &Path| lines(path).iter().map(|line| line["name"].clone()).collect::<Vec<_>>();
    assert_eq!((names(&old.0), names(&file.0)), (vec![json!("before"), json!("between")], vec![json!("after")]));
}

#[tokio::test]
async fn an_existing_file_is_appended_to_and_a_folder_that_is_not_there_is_an_error() {
    let file = Scratch::new("append");
    std::fs::write(&file.0, "{}\n").unwrap();
    let observer = World::default().observer(&config(&file));
    observer.done(observer.call("add"));
    observer.flush(PATIENCE).await;
    assert_eq!(lines(&file.0).len(), 2);
    let error = Log::open(&file.0.join("below/a/file")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
}

/// Says when it is written to, and takes nothing until it is told to.
struct Stuck {
    reached: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
    stuck: bool,
}

impl Write for Stuck {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.stuck) {
            self.reached.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_a_stuck_disk_has_no_time_for_is_dropped_and_counted() {
    let ((reached, is_reached), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let log = Log::start(Place::Stdout, Box::new(Stuck { reached, go_on, stuck: true })).unwrap();
    let observer = World::default().metrics(10);
    let record = || Arc::new(Record { seen: observer.call("add"), ended: super::super::Nanos(0) });
    log.write(record());
    is_reached.recv().unwrap();
    for _ in 0..QUEUE + 100 {
        log.write(record());
    }
    assert_eq!((log.written(), log.dropped()), (0, 100));
    go.send(()).unwrap();
    log.flush().await;
    assert_eq!((log.written(), log.dropped()), (QUEUE as u64 + 1, 100));
}

#[tokio::test]
async fn lines_that_a_full_disk_refuses_are_dropped_and_counted() {
    // The machine's own full disk.
    let log = Log::open(Path::new("/dev/full")).unwrap();
    let observer = World::default().metrics(10);
    for _ in 0..3 {
        log.write(Arc::new(Record { seen: observer.call("add"), ended: super::super::Nanos(0) }));
        log.flush().await;
    }
    assert_eq!((log.written(), log.dropped()), (0, 3));
}
