//! The contract, kept by the store in one file, and what a file brings with it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anypod_store::contract::{Fixture, Fixtures};
use anypod_store::{
    Claim, End, Event, Fenced, Heard, Millis, NewTask, OpenError, Options, Owner, Sqlite, Step, Store, StoreError,
    TaskId, TaskStatus,
};

anypod_store::contract!(Files);

/// A directory of its own, gone with its last user.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("anypod-store-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A clock that tests move.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000_000)))
    }

    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

async fn open(path: &Path, options: Options, hand: &Hand) -> Sqlite {
    let hand = hand.clone();
    Sqlite::open(path, options, move || hand.now()).await.unwrap()
}

struct Files;

struct File {
    directory: Directory,
    options: Options,
    hand: Hand,
}

impl Fixtures for Files {
    fn fresh(&self, options: Options) -> Pin<Box<dyn Future<Output = Box<dyn Fixture>> + Send + '_>> {
        let file = File { directory: Directory::new(), options, hand: Hand::new() };
        Box::pin(async move { Box::new(file) as Box<dyn Fixture> })
    }
}

impl Fixture for File {
    fn pod(&self) -> Pin<Box<dyn Future<Output = Arc<dyn Store>> + Send + '_>> {
        Box::pin(async {
            Arc::new(open(&self.directory.file(), self.options.clone(), &self.hand).await) as Arc<dyn Store>
        })
    }

    fn advance(&self, by: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.hand.0.fetch_add(by.as_millis() as u64, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

fn new(number: u8) -> NewTask {
    NewTask::new(TaskId::from_random([number; 16]), Owner::nobody(), "resize", "{}")
}

fn claim() -> Claim {
    Claim { worker: "worker".into(), tools: vec!["resize".into()], most: 1, lease: Duration::from_secs(60) }
}

/// Why a file is not opened, after which it has to be as it was.
async fn refused(path: &Path) -> OpenError {
    let before = std::fs::read(path).ok();
    let error = Sqlite::open(path, Options::default(), || Millis(0)).await.unwrap_err();
    assert!(std::fs::read(path).ok() == before, "{} has changed", path.display());
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    error
}

/// A file with what another program may have made of it.
fn made(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// Waits until the threads have closed the file.
async fn close(store: Sqlite) {
    let mut woken = store.woken();
    drop(store);
    while woken.changed().await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn many_open_one_file_at_once_and_all_of_them_see_what_one_writes() {
    let (directory, hand) = (Directory::new(), Hand::new());
    let path = directory.file();
    let opening: Vec<_> = (0..8)
        .map(|_| {
            let (path, hand) = (path.clone(), hand.clone());
            tokio::spawn(async move { open(&path, Options::default(), &hand).await })
        })
        .collect();
    let mut stores = Vec::new();
    for store in opening {
        stores.push(store.await.unwrap());
    }
    stores[0].create(new(1)).await.unwrap().made().unwrap();
    for store in &stores {
        assert!(store.task(new(1).id, None).await.unwrap().is_some());
    }
    let claims = stores[7].claim(claim()).await.unwrap();
    assert_eq!(claims.tasks.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_outlasts_a_process_that_is_killed() {
    let (directory, after, hand) = (Directory::new(), Directory::new(), Hand::new());
    let store = open(&directory.file(), Options::default(), &hand).await;
    store.create(new(1)).await.unwrap().made().unwrap();
    let lease = store.claim(claim()).await.unwrap().tasks.remove(0).lease;
    let step = Step { key: "first".into(), result: "1".into() };
    assert_eq!(store.record(lease.clone(), step.clone()).await.unwrap(), Fenced::Written);
    // What the disk has at this moment is all that a killed process leaves behind.
    for suffix in ["", "-wal"] {
        let file = format!("store.db{suffix}");
        std::fs::copy(directory.0.join(&file), after.0.join(&file)).unwrap();
    }
    let store = open(&after.file(), Options::default(), &hand).await;
    assert!(store.claim(claim()).await.unwrap().tasks.is_empty(), "its lease is still good");
    hand.0.fetch_add(60_000, Ordering::SeqCst);
    let again = store.claim(claim()).await.unwrap().tasks.remove(0);
    assert_eq!((again.steps, again.deaths), (vec![step.clone()], 1));
    assert_eq!(store.record(lease, step).await.unwrap(), Fenced::Lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_there_again_when_it_is_opened_again() {
    let (directory, hand) = (Directory::new(), Hand::new());
    let store = open(&directory.file(), Options::default(), &hand).await;
    store.create(new(1)).await.unwrap().made().unwrap();
    close(store).await;
    let store = open(&directory.file(), Options::default(), &hand).await;
    assert!(store.task(new(1).id, None).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_form_is_refused() {
    let (directory, hand) = (Directory::new(), Hand::new());
    close(open(&directory.file(), Options::default(), &hand).await).await;
    made(&directory.file(), "PRAGMA user_version = 7");
    let error = refused(&directory.file()).await;
    assert!(matches!(error, OpenError::Newer { found: 7, known: 1, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_store_is_refused_and_left_as_it_is() {
    let directory = Directory::new();
    let files = [("short", &b"notes"[..]), ("long", &[7; 9000]), ("cut off", b"SQLite format 3\0")];
    for (name, bytes) in files {
        let path = directory.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, OpenError::Unusable { .. }), "{name}: {error}");
    }
    let others = [
        ("tables", "CREATE TABLE notes (text)"),
        ("log", "PRAGMA journal_mode = WAL; CREATE TABLE notes (text)"),
        ("id", "PRAGMA application_id = 5"),
        ("half", "PRAGMA application_id = 1634627684; PRAGMA user_version = 1; CREATE TABLE tasks (n)"),
    ];
    for (name, sql) in others {
        let path = directory.0.join(name);
        made(&path, sql);
        let error = refused(&path).await;
        assert!(matches!(error, OpenError::Unusable { .. }), "{name}: {error}");
    }
    let error = refused(&directory.0).await;
    assert!(matches!(error, OpenError::Unusable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_directory_is_said_and_an_empty_file_is_taken() {
    let (directory, hand) = (Directory::new(), Hand::new());
    let error = refused(&directory.0.join("missing/store.db")).await;
    assert!(matches!(&error, OpenError::Unreachable { problem, .. } if problem.contains("make it first")), "{error}");
    std::fs::write(directory.file(), "").unwrap();
    let store = open(&directory.file(), Options::default(), &hand).await;
    store.create(new(1)).await.unwrap().made().unwrap();
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let (directory, hand) = (Directory::new(), Hand::new());
    let store = open(&directory.file(), Options::default(), &hand).await;
    store.create(new(1)).await.unwrap().made().unwrap();
    let files: Vec<_> = std::fs::read_dir(&directory.0).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_named_by_who_meets_the_damage() {
    let (directory, hand) = (Directory::new(), Hand::new());
    let store = open(&directory.file(), Options::default(), &hand).await;
    store.create(new(1)).await.unwrap().made().unwrap();
    close(store).await;
    let mut bytes = std::fs::read(directory.file()).unwrap();
    // The first page says which tables there are. That the file is a store is all that is looked at when it is opened.
    bytes[3 * 4096..].fill(0x55);
    std::fs::write(directory.file(), bytes).unwrap();
    let store = open(&directory.file(), Options::default(), &hand).await;
    for error in [store.task(new(1).id, None).await.unwrap_err(), store.create(new(2)).await.unwrap_err()] {
        assert!(matches!(&error, StoreError::Corrupt(text) if text.contains("store.db")), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_breaks_when_the_clock_goes_back() {
    const HOUR: u64 = 3_600_000;
    let (directory, hand) = (Directory::new(), Hand::new());
    let store = open(&directory.file(), Options::default(), &hand).await;
    let mut follower = store.follow().await.unwrap();
    store.create(new(1)).await.unwrap().made().unwrap();
    let first = store.claim(claim()).await.unwrap().tasks.remove(0).lease;
    hand.0.fetch_sub(HOUR, Ordering::SeqCst);
    let claims = store.claim(claim()).await.unwrap();
    assert!(claims.tasks.is_empty() && claims.next.is_some(), "{claims:?}");
    assert_eq!(store.renew(vec![first.clone()], Duration::from_secs(60)).await.unwrap(), [Fenced::Written]);
    hand.0.fetch_add(60_000, Ordering::SeqCst);
    let second = store.claim(claim()).await.unwrap().tasks.remove(0).lease;
    assert!(second.fence > first.fence);
    assert_eq!(store.say(first, "too late".into()).await.unwrap(), Fenced::Lost);
    let end = End::new(TaskStatus::Completed, "{}");
    assert_eq!(store.finish(second, end).await.unwrap(), Fenced::Written);
    assert_eq!(follower.next().await.unwrap(), Heard { events: vec![Event::Task(new(1).id)], gap: false });
    // The time of an event that seems to be yet to come keeps nothing.
    assert_eq!(store.sweep(10).await.unwrap().events, 0);
    hand.0.fetch_add(HOUR, Ordering::SeqCst);
    assert_eq!(store.sweep(10).await.unwrap().events, 1);
}
