//! `anypod store` on a real file.

use std::future::Future;
use std::time::Duration;

use anypod_store::{
    Claim, End, Fenced, HandBack, Lease, Millis, NewTask, Options, Owner, Question, Reason, Sqlite, Step, Store,
    TaskId, TaskStatus,
};
use serde_json::{Value, json};

use crate::calling::Said;
use crate::keys::Directory;

/// When everything in these stores was written, which is over for long.
const THEN: Millis = Millis(1_500_000_000_000);
/// So long that it is not over yet.
const LONG: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A store in a file of its own.
pub(crate) struct Place {
    directory: Directory,
}

impl Place {
    pub(crate) fn new(test: &str) -> Self {
        Self { directory: Directory::new(test) }
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.directory.file("tasks.db"))
    }

    /// Does something with the store, as a pod would.
    pub(crate) fn with<T, F: Future<Output = T>>(&self, act: impl FnOnce(Sqlite) -> F) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            act(Sqlite::open(self.directory.file("tasks.db"), Options::default(), || THEN).await.unwrap()).await
        })
    }

    fn store(&self, args: &[&str]) -> Said {
        Said::of(&[&["store"], args, &["--store", &self.url()]].concat(), &[])
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let said = self.store(&[args, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert_eq!(said.out.lines().count(), 1, "{}", said.out);
        serde_json::from_str(&said.out).unwrap()
    }
}

/// An id that begins with a hyphen, as one in 64 does.
fn id(number: u8) -> TaskId {
    TaskId::from_random([0xfb, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn new(number: u8, tool: &str) -> NewTask {
    NewTask::new(id(number), Owner::new("ada"), tool, r#"{"secret":"of the call"}"#)
}

/// Creates a task, and takes it up.
async fn leased(store: &Sqlite, number: u8, tool: &str) -> Lease {
    store.create(new(number, tool)).await.unwrap();
    let claim = Claim { worker: "pod-1".to_owned(), tools: vec![tool.to_owned()], most: 1, lease: LONG };
    store.claim(claim).await.unwrap().tasks.remove(0).lease
}

async fn ended(store: &Sqlite, number: u8) {
    let lease = leased(store, number, "resize").await;
    let end = End::new(TaskStatus::Completed, r#"{"secret":"of the outcome"}"#);
    assert_eq!(store.finish(lease, end).await.unwrap(), Fenced::Written);
}

/// Cells of a row of the table, of which none has two spaces in it.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn the_status_counts_what_is_there() {
    let place = Place::new("store-status");
    place.with(|store| async move {
        ended(&store, 1).await;
        leased(&store, 2, "resize").await;
        store.create(new(3, "index")).await.unwrap();
        assert!(store.mark([1; 32], LONG).await.unwrap());
        store.publish(vec!["{}".to_owned()]).await.unwrap();
    });
    let status = place.json(&["status"]);
    assert_eq!(status["place"], place.url());
    let statuses = json!({ "working": 2, "input_required": 0, "completed": 1, "failed": 0, "cancelled": 0 });
    assert_eq!(status["statuses"], statuses);
    assert_eq!(status["phases"], json!({ "queued": 1, "delayed": 0, "leased": 1, "parked": 0, "ended": 1 }));
    assert_eq!(status["oldest_queued"], THEN.0);
    assert!(status["now"].as_u64() > Some(THEN.0), "{status}");
    assert_eq!(status["marks"], 1);
    assert!(status["events"].as_u64() >= Some(1) && status["bytes"].as_u64() > Some(0), "{status}");
    let said = place.store(&["status"]);
    let lines: Vec<_> = said.out.lines().map(cells).collect();
    assert!(lines.contains(&vec!["working", "2"]) && lines.contains(&vec!["leased", "1"]), "{}", said.out);
    assert!(said.out.contains("oldest that waits") && said.out.contains(" d old\n"), "{}", said.out);
}

#[test]
fn tasks_are_listed_with_who_has_them_and_for_how_long() {
    let place = Place::new("store-tasks");
    place.with(|store| async move {
        ended(&store, 1).await;
        leased(&store, 2, "resize").await;
        let lease = leased(&store, 3, "index\u{1b}[31m").await;
        let back = HandBack { reason: Reason::Failed, pause: LONG, message: None };
        assert_eq!(store.hand_back(lease, back).await.unwrap(), Fenced::Written);
    });
    let said = place.store(&["tasks"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(!said.out.contains('\u{1b}'), "{:?}", said.out);
    let rows: Vec<_> = said.out.lines().map(cells).collect();
    assert_eq!(rows.len(), 4, "{}", said.out);
    let row = |number: u8| rows.iter().find(|row| row[0] == id(number).as_str()).unwrap();
    assert_eq!(row(1)[1..4], ["resize", "completed", "ended"]);
    let row2 = row(2);
    assert_eq!(row2[1..4], ["resize", "working", "leased"]);
    assert_eq!(row2[8], "pod-1", "{row2:?}");
    assert!(row2[9].starts_with("lease ends in "), "{row2:?}");
    assert_eq!(row(3)[1..4], ["index\\u{1b}[31m", "working", "delayed"]);
    assert_eq!(row(3)[5], "1, 1 failure");
    assert!(said.out.contains("pause ends in "), "{}", said.out);
    let ids = |args: &[&str]| -> Vec<String> {
        let page = place.json(&[&["tasks"], args].concat());
        page["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["--status", "completed"]), [id(1).as_str()]);
    assert_eq!(ids(&["--tool", "resize", "--status", "working"]), [id(2).as_str()]);
    assert_eq!(ids(&["--status", "input_required"]), [""; 0]);
}

#[test]
fn a_page_says_how_to_go_on_and_the_last_one_does_not() {
    let place = Place::new("store-pages");
    place.with(|store| async move {
        for number in 0..5 {
            store.create(new(number, "resize")).await.unwrap();
        }
    });
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let after = before.as_deref().map_or_else(Vec::new, |page| vec!["--before", page]);
        let page = place.json(&[&["tasks", "--limit", "2"], after.as_slice()].concat());
        seen.extend(page["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()));
        match page["before"].as_str() {
            Some(next) => before = Some(next.to_owned()),
            None => break,
        }
    }
    let all = place.json(&["tasks"]);
    assert!(all["before"].is_null());
    let ids: Vec<_> = all["tasks"].as_array().unwrap().iter().map(|task| task["id"].clone()).collect();
    assert_eq!((seen.len(), &seen), (5, &ids));
    let said = place.store(&["tasks", "--limit", "4"]);
    assert!(said.err.starts_with("more: --before 1500000000000/"), "{}", said.err);
    assert_eq!(place.store(&["tasks", "--limit", "5"]).err, "");
    assert_eq!(place.store(&["tasks", "--before", "yesterday"]).code, Some(2));
}

#[test]
fn a_task_is_shown_with_its_journal_and_nothing_that_is_its_clients() {
    let place = Place::new("store-task");
    place.with(|store| async move {
        let lease = leased(&store, 1, "resize").await;
        let step = Step { key: "fetch".to_owned(), result: r#""secret of the step""#.to_owned() };
        assert_eq!(store.record(lease.clone(), step).await.unwrap(), Fenced::Written);
        assert_eq!(store.say(lease.clone(), "half way".to_owned()).await.unwrap(), Fenced::Written);
        let question = Question { key: "stay".to_owned(), request: r#""secret of the question""#.to_owned() };
        assert_eq!(store.park(lease, vec![question]).await.unwrap(), Fenced::Written);
    });
    let said = place.store(&["task", id(1).as_str()]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    let lines: Vec<_> = said.out.lines().map(cells).collect();
    for line in [["tool", "resize"], ["status", "input_required"], ["phase", "parked"], ["message", "half way"]] {
        assert!(lines.contains(&line.to_vec()), "{}", said.out);
    }
    let step = lines.iter().find(|line| line.first() == Some(&"step")).unwrap();
    assert_eq!(step[1..], ["fetch", &THEN.to_string(), "20 bytes"]);
    let question = lines.iter().find(|line| line.first() == Some(&"question")).unwrap();
    assert_eq!(question[1..], ["stay", &THEN.to_string(), "not yet"]);
    let report = place.json(&["task", id(1).as_str()]);
    assert_eq!((&report["task"]["attempts"], &report["task"]["worker"]), (&json!(1), &json!("pod-1")));
    assert_eq!(report["journal"][0], json!({ "entry": "step", "key": "fetch", "at": THEN.0, "bytes": 20 }));
    assert!(!said.out.contains("secret") && !report.to_string().contains("secret"), "{report}");
}

#[test]
fn a_task_that_begins_again_is_taken_from_its_worker() {
    let place = Place::new("store-retry");
    let lease = place.with(|store| async move { leased(&store, 1, "resize").await });
    let said = place.store(&["retry", id(1).as_str()]);
    let expected = format!("task {} was working and begins again from its journal\n", id(1).as_str());
    assert_eq!((said.code, said.out), (Some(0), expected));
    let end = End::new(TaskStatus::Completed, "1");
    assert_eq!(place.with(|store| async move { store.finish(lease, end).await.unwrap() }), Fenced::Lost);
    assert_eq!(place.json(&["retry", id(1).as_str()]), json!({ "id": id(1).as_str(), "was": "working" }));
}

#[test]
fn a_task_that_has_ended_stays_ended() {
    let place = Place::new("store-ended");
    place.with(|store| async move {
        ended(&store, 1).await;
        leased(&store, 2, "resize").await;
    });
    let said = place.store(&["retry", id(1).as_str()]);
    assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (Some(1), "", 1));
    let says = |text: &str| said.err.contains(text);
    assert!(says("has ended as completed and stays so") && says("call the tool again"), "{}", said.err);
    assert_eq!(place.store(&["cancel", id(1).as_str()]).code, Some(1));
    assert_eq!(place.json(&["cancel", id(2).as_str()]), json!({ "id": id(2).as_str(), "was": "working" }));
    let said = place.store(&["cancel", id(2).as_str()]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("has ended as cancelled"), "{}", said.err);
}

#[test]
fn a_task_that_waits_for_its_client_does_not_begin_again() {
    let place = Place::new("store-parked");
    place.with(|store| async move {
        let lease = leased(&store, 1, "resize").await;
        let question = Question { key: "stay".to_owned(), request: "{}".to_owned() };
        assert_eq!(store.park(lease, vec![question]).await.unwrap(), Fenced::Written);
    });
    let said = place.store(&["retry", id(1).as_str()]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("input_required"), "{}", said.err);
}

#[test]
fn a_task_that_is_not_there_is_one_line_and_exit_code_2() {
    let place = Place::new("store-unknown");
    place.with(|_| async {});
    for command in ["task", "retry", "cancel"] {
        for unknown in [id(9).as_str(), "short", "--no-such-flag"] {
            let said = place.store(&[command, unknown]);
            assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (Some(2), "", 1), "{}", said.err);
            assert!(said.err.contains(unknown), "{}", said.err);
        }
    }
}

#[test]
fn what_is_over_is_deleted_until_nothing_is_left() {
    let place = Place::new("store-gc");
    place.with(|store| async move {
        let brief = Some(Duration::from_secs(60));
        for number in 0..3 {
            store.create(NewTask { ttl: brief, ..new(number, "resize") }).await.unwrap();
            store.cancel(id(number), None, None).await.unwrap();
        }
        ended(&store, 4).await;
        for number in 0..=255 {
            for other in 0..5 {
                let mut digest = [number; 32];
                digest[0] = other;
                assert!(store.mark(digest, Duration::from_secs(1)).await.unwrap());
            }
        }
    });
    let gone = place.json(&["gc"]);
    assert_eq!((&gone["tasks"], &gone["marks"]), (&json!(3), &json!(1280)), "{gone}");
    assert!(gone["bytes_after"].as_u64() < gone["bytes_before"].as_u64(), "{gone}");
    let left = place.json(&["status"]);
    assert_eq!((&left["statuses"]["completed"], &left["marks"]), (&json!(1), &json!(0)));
    let said = place.store(&["gc"]);
    assert!(
        said.out.starts_with("deleted 0 tasks, 0 values, 0 marks and 0 events\ngave back 0 bytes, "),
        "{}",
        said.out
    );
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let place = Place::new("store-missing");
    for command in [&["store", "status"][..], &["notify", "--tools"]] {
        let said = Said::of(&[command, &["--store", &place.url()]].concat(), &[]);
        assert_eq!((said.code, said.err.lines().count()), (Some(2), 1), "{}", said.err);
        assert!(said.err.contains("there is no store"), "{}", said.err);
        assert!(!std::path::Path::new(&place.directory.file("tasks.db")).exists());
    }
}

#[test]
fn the_store_may_stand_in_the_environment_and_has_to_stand_somewhere() {
    let place = Place::new("store-environment");
    place.with(|_| async {});
    assert_eq!(Said::of(&["store", "status"], &[("ANYPOD_STORE", &place.url())]).code, Some(0));
    let said = Said::of(&["store", "status"], &[("ANYPOD_STORE", "")]);
    assert_eq!((said.code, said.err.lines().count()), (Some(2), 1));
    assert!(said.err.contains("--store") && said.err.contains("ANYPOD_STORE"), "{}", said.err);
}

#[test]
fn no_error_repeats_a_password() {
    for (args, code) in [
        (&["store", "status", "--store", "postgres://me:s3cret@127.0.0.1:1/x"][..], 1),
        (&["store", "status", "--store", "postgres://me:s3cret@db:port/x"], 2),
        (&["store", "status", "--store", "mysql://me:s3cret@db/x"], 2),
        (&["store", "--store", "postgres:me:s3cret@db", "gc"], 2),
        (&["store", "status", "postgres://me:s3cret@db/x"], 2),
        (&["store", "postgres://me:s3cret@db/x"], 2),
        (&["notify", "--store", "postgres://me:s3cret@127.0.0.1:1/x", "--tools"], 1),
        (&["notify", "--tools", "postgres://me:s3cret@127.0.0.1:1/x"], 2),
    ] {
        let said = Said::of(args, &[("RUST_LOG", "trace")]);
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{args:?}: {}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{args:?}: {}", said.err);
        assert!(!said.err.contains("s3cret"), "{}", said.err);
    }
}

#[test]
fn a_file_that_is_no_store_is_named_and_left_as_it_is() {
    let place = Place::new("store-foreign");
    let text = "no database, and long enough to be looked at as one ".repeat(100);
    std::fs::write(place.directory.file("tasks.db"), &text).unwrap();
    let said = place.store(&["gc"]);
    assert_eq!((said.code, said.err.lines().count()), (Some(2), 1), "{}", said.err);
    assert!(said.err.contains("tasks.db"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(place.directory.file("tasks.db")).unwrap(), text);
}
