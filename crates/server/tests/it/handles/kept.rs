//! Every kind of store that needs nothing but this machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anypod_server::store::{Memory, Millis, Options, Store};
use anypod_store::Sqlite;

use crate::support::World;

/// A store whose time is that of a world.
pub(super) struct Kept {
    pub(super) store: Arc<dyn Store>,
    _folder: Option<Folder>,
}

impl Kept {
    /// One of each kind.
    pub(super) async fn each(world: &World, options: Options) -> [Self; 2] {
        let clock = || {
            let outside = world.outside();
            move || Millis(outside.now().0 * 1000)
        };
        let memory = Memory::with(options.clone(), clock());
        let folder = Folder::new();
        let sqlite = Sqlite::open(folder.0.join("store.db"), options, clock()).await.expect("it opens");
        [Self { store: Arc::new(memory), _folder: None }, Self { store: Arc::new(sqlite), _folder: Some(folder) }]
    }
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("anypod-handles-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("there is room");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
