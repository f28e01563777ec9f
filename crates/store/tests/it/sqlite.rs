//! The contract, kept by the store in one file, and what a file brings with it.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anypod_store::contract::{Fixture, Fixtures};
use anypod_store::{Millis, Options, Sqlite, Store};

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
