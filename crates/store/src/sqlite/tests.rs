//! The store in one file, with what only its inside can do.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tokio::task::JoinSet;

use super::Sqlite;
use super::events::{self, Listening};
use crate::error::StoreError;
use crate::follow::{Followers, Look, Source};
use crate::options::Options;
use crate::store::Store;
use crate::task::{NewTask, Owner, TaskId};
use crate::time::Millis;
use crate::value::{NewValue, ValueId};

/// A file in a directory of its own, gone with this.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("anypod-store-inside-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }

    async fn open(&self) -> Sqlite {
        Sqlite::open(self.file(), Options::default(), || Millis(1_800_000_000_000)).await.unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn new(number: u8) -> NewTask {
    NewTask::new(TaskId::from_random([number; 16]), Owner::nobody(), "resize", "{}")
}

fn long(id: u32) -> NewValue {
    let id = ValueId { kind: "k".into(), id: id.to_string(), owner: Owner::nobody() };
    NewValue { id, text: "long ".repeat(20_000), ttl: None, sliding: false }
}

/// Bounds the file, as a full disk does.
async fn bound(store: &Sqlite, pages: i64) {
    let bound = move |connection: &super::db::Tx<'_, '_>| Ok(connection.most_pages(pages)?);
    store.shared.writer.run(bound).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_everything_goes_on_once_there_is_room() {
    let place = Place::new();
    let store = place.open().await;
    store.create(new(1)).await.unwrap().made().unwrap();
    bound(&store, 120).await;
    let mut count = 0;
    let error = loop {
        match store.put(long(count)).await {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, StoreError::NoRoom(text) if text.contains("store.db")), "{error}");
    assert!(error.is_passing());
    assert!(count > 0 && count < 10, "{count} values of 100,000 bytes found room in 120 pages");
    // What was there is still there, and what needs hardly any room has it.
    assert!(store.task(new(1).id, None).await.unwrap().is_some());
    bound(&store, 100_000).await;
    assert!(store.put(long(count)).await.unwrap());
    assert_eq!(store.status().await.unwrap().values, u64::from(count) + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_finds_no_room_takes_nothing_along_that_does() {
    let place = Place::new();
    let store = place.open().await;
    bound(&store, 100).await;
    let (held, go) = hold(&store).await;
    // All of these are one group.
    let small: Vec<_> = (1..=9).map(|number| store.create(new(number))).collect();
    let large: Vec<_> = (0..9).map(|number| store.put(long(number))).collect();
    let (small, large) = (spawn_all(small), spawn_all(large));
    let asked = async { tokio::join!(small, large) };
    let (_, (small, large)) = tokio::join!(async { go.send(()).unwrap() }, asked);
    held.await.unwrap();
    assert!(small.into_iter().all(|made| made.unwrap().made().is_some()));
    let refused = large.iter().filter(|put| matches!(put, Err(StoreError::NoRoom(_)))).count();
    assert!(refused > 0 && refused < 9, "{refused} of 9 were refused");
    assert_eq!(store.status().await.unwrap().values, 9 - refused as u64);
}

/// Asks for all of these at once.
async fn spawn_all<T>(laters: Vec<crate::store::Later<'_, T>>) -> Vec<Result<T, StoreError>> {
    let mut laters: Vec<_> = laters.into_iter().map(|later| (later, None)).collect();
    std::future::poll_fn(|cx| {
        for (later, given) in &mut laters {
            if given.is_none()
                && let std::task::Poll::Ready(result) = later.as_mut().poll(cx)
            {
                *given = Some(result);
            }
        }
        match laters.iter().all(|(_, given)| given.is_some()) {
            true => std::task::Poll::Ready(laters.iter_mut().filter_map(|(_, given)| given.take()).collect()),
            false => std::task::Poll::Pending,
        }
    })
    .await
}

/// Keeps the thread that writes in the midst of a transaction until it is told to go on.
async fn hold(store: &Sqlite) -> (tokio::task::JoinHandle<()>, mpsc::Sender<()>) {
    let (go, wait) = mpsc::channel();
    let (is_in, inside) = tokio::sync::oneshot::channel();
    let (wait, is_in) = (Mutex::new(wait), Mutex::new(Some(is_in)));
    let shared = Arc::clone(&store.shared);
    let held = tokio::spawn(async move {
        let act = move |tx: &super::db::Tx<'_, '_>| {
            // Only once, if it has to run again.
            if let Some(is_in) = is_in.lock().unwrap().take() {
                super::events::publish(tx, &["within".to_owned()])?;
                is_in.send(()).unwrap();
                wait.lock().unwrap().recv().unwrap();
            }
            Ok(())
        };
        shared.writer.run(act).await.unwrap();
    });
    inside.await.unwrap();
    (held, go)
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_do_not_wait_for_a_writer() {
    let place = Place::new();
    let store = place.open().await;
    store.create(new(1)).await.unwrap().made().unwrap();
    let (held, go) = hold(&store).await;
    assert!(store.task(new(1).id, None).await.unwrap().is_some());
    assert_eq!(store.status().await.unwrap().events, 0, "what is not committed is not seen");
    go.send(()).unwrap();
    held.await.unwrap();
    assert_eq!(store.status().await.unwrap().events, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_dropped_closes_its_file() {
    let place = Place::new();
    let store = place.open().await;
    store.create(new(1)).await.unwrap().made().unwrap();
    let follower = store.follow().await.unwrap();
    let mut woken = store.woken();
    let log = place.0.join("store.db-wal");
    assert!(log.exists());
    drop(store);
    woken.mark_unchanged();
    assert!(!woken.has_changed().unwrap_or(true), "a follower still needs it");
    drop(follower);
    // The threads have it as long as they have the file open.
    while woken.changed().await.is_ok() {}
    assert!(!log.exists(), "who closes the file last writes its log into it");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_leaves_nothing_behind_and_takes_no_other_along() {
    let place = Place::new();
    let store = place.open().await;
    let (held, go) = hold(&store).await;
    let publish = |texts: Vec<String>| store.publish(texts);
    let too_long = "x".repeat(Options::default().text_bytes + 1);
    let asked = spawn_all(vec![
        publish(vec!["first".into()]),
        publish(vec!["half of one that fails".into(), too_long]),
        publish(vec!["last".into()]),
    ]);
    let (given, _) = tokio::join!(asked, async { go.send(()).unwrap() });
    held.await.unwrap();
    assert!(matches!(given.as_slice(), [Ok(()), Err(StoreError::TooLong { .. }), Ok(())]), "{given:?}");
    assert_eq!(store.status().await.unwrap().events, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_given_back_to_the_disk() {
    let place = Place::new();
    let store = place.open().await;
    for number in 0..30 {
        assert!(store.put(NewValue { ttl: Some(Duration::ZERO), ..long(number) }).await.unwrap());
    }
    let before = store.status().await.unwrap().bytes;
    assert_eq!(store.sweep(100).await.unwrap().values, 30);
    assert_eq!(store.status().await.unwrap().bytes, before, "free for what is written next");
    store.compact().await.unwrap();
    let after = store.status().await.unwrap().bytes;
    assert!(after < before / 10, "{before} before, {after} after");
    assert_eq!(std::fs::metadata(place.file()).unwrap().len(), after);
}

/// Counts how often the store is asked.
struct Counted(Listening, Arc<AtomicUsize>);

impl Source for Counted {
    const EVERY: Option<Duration> = Listening::EVERY;
    const PACE: Duration = Listening::PACE;

    async fn look(&mut self) -> Result<Look, StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.look().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_asked_once_for_all_who_follow_in_a_process() {
    const FOLLOWERS: usize = 16;
    const EVENTS: usize = 20;
    let place = Place::new();
    let store = place.open().await;
    let (followers, asked) = (Followers::default(), Arc::new(AtomicUsize::new(0)));
    let begin = async || Ok(Counted(events::listen(&store.shared).await?, Arc::clone(&asked)));
    let mut following = Vec::new();
    for _ in 0..FOLLOWERS {
        following.push(followers.add(store.shared.writer.listen(), begin()).await.unwrap());
    }
    let before = asked.load(Ordering::Relaxed);
    for number in 0..EVENTS {
        let mut hearing: JoinSet<_> = following
            .drain(..)
            .map(|mut follower| async move {
                let heard = follower.next().await.unwrap();
                (follower, heard)
            })
            .collect();
        store.publish(vec![number.to_string()]).await.unwrap();
        while let Some(heard) = hearing.join_next().await {
            let (follower, heard) = heard.unwrap();
            assert_eq!(heard.events, [crate::event::Event::Told(number.to_string())]);
            following.push(follower);
        }
    }
    // Once for what was published, and once at most to find that there is nothing yet.
    let asked = asked.load(Ordering::Relaxed) - before;
    assert!((EVENTS..=2 * EVENTS + 1).contains(&asked), "asked {asked} times");
}
