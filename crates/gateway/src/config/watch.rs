//! Notices when a file changes whose content counts.
//!
//! By looking, not by notifications of the system: those follow an inode, and in Kubernetes a file changes when the link
//! to its folder is put elsewhere. Whole contents are compared, because times of files are too coarse to tell two changes
//! in a row apart; the files are few and small.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::files;

/// How often is looked. A change is told when two looks in a row see the same, so that a file that is being written is not
/// read half.
const EVERY: Duration = Duration::from_secs(1);

/// What tells one content of a file from another: None where there is none that can be read.
type Seen = BTreeMap<PathBuf, Option<u64>>;

/// Watches files.
#[derive(Debug)]
pub struct Watcher {
    /// What was told last.
    known: Seen,
    /// What was seen last, if it was something else.
    unsettled: Option<Seen>,
    next: Instant,
}

impl Watcher {
    /// Watches these files from now on. They need not exist.
    pub async fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { known: look(paths.into_iter().collect()).await, unsettled: None, next: Instant::now() + EVERY }
    }

    /// Watches these files in place of those until now. Of those that were watched already, no change is missed. Whoever
    /// calls this before they are read misses none of the others either.
    pub async fn watch(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let mut seen = look(paths.into_iter().collect()).await;
        for (path, known) in std::mem::take(&mut self.known) {
            seen.entry(path).and_modify(|seen| *seen = known);
        }
        self.known = seen;
        self.unsettled = None;
    }

    /// Waits until files have changed, appeared or gone away, and says which. A change is told within three seconds, and
    /// once. May be dropped and called again without a loss.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            sleep_until(self.next).await;
            self.next = Instant::now() + EVERY;
            let seen = look(self.known.keys().cloned().collect()).await;
            if seen == self.known {
                self.unsettled = None;
            } else if self.unsettled.as_ref() == Some(&seen) {
                self.unsettled = None;
                let before = std::mem::replace(&mut self.known, seen);
                let differs = |path: &&PathBuf| before.get(*path) != self.known.get(*path);
                return self.known.keys().filter(differs).cloned().collect();
            } else {
                self.unsettled = Some(seen);
            }
        }
    }
}

async fn look(paths: Vec<PathBuf>) -> Seen {
    let look = move || paths.into_iter().map(|path| (digest(&path), path)).map(|(seen, path)| (path, seen)).collect();
    spawn_blocking(look).await.unwrap_or_default()
}

fn digest(path: &std::path::Path) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    files::bytes(path).ok()?.hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tokio::time::timeout;

    use super::*;

    /// A directory that is removed at the end of a test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("anypod-watch-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    async fn is_quiet(watcher: &mut Watcher) -> bool {
        timeout(EVERY * 10, watcher.changed()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_once_and_says_which_file() {
        let directory = Directory::new("change");
        let (one, other) = (directory.write("one", "1"), directory.write("other", "1"));
        let mut watcher = Watcher::new([one.clone(), other.clone()]).await;
        assert!(is_quiet(&mut watcher).await);
        directory.write("other", "2");
        assert_eq!(watcher.changed().await, [other.as_path()]);
        assert!(is_quiet(&mut watcher).await);
        directory.write("one", "2");
        directory.write("other", "3");
        assert_eq!(watcher.changed().await, [one.as_path(), other.as_path()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_written_as_it_was_has_not_changed() {
        let directory = Directory::new("same");
        let mut watcher = Watcher::new([directory.write("one", "1")]).await;
        directory.write("one", "1");
        assert!(is_quiet(&mut watcher).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_that_leads_elsewhere_is_a_change() {
        // As Kubernetes does it: `..data` leads to the folder that is current, and is put in place whole.
        let directory = Directory::new("link");
        directory.write("v1/anypod.toml", "1");
        directory.write("v2/anypod.toml", "2");
        let link = |version: &str| {
            let draft = directory.0.join("..draft");
            std::os::unix::fs::symlink(version, &draft).unwrap();
            fs::rename(draft, directory.0.join("..data")).unwrap();
        };
        link("v1");
        let file = directory.0.join("anypod.toml");
        std::os::unix::fs::symlink(Path::new("..data/anypod.toml"), &file).unwrap();
        let mut watcher = Watcher::new([file.clone()]).await;
        link("v2");
        assert_eq!(watcher.changed().await, [file]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_may_go_away_and_come_back() {
        let directory = Directory::new("gone");
        let file = directory.write("one", "1");
        let mut watcher = Watcher::new([file.clone()]).await;
        fs::remove_file(&file).unwrap();
        assert_eq!(watcher.changed().await, [file.as_path()]);
        directory.write("one", "1");
        assert_eq!(watcher.changed().await, [file.as_path()]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_still_being_written_is_waited_for() {
        let directory = Directory::new("written");
        let file = directory.write("one", "1");
        let mut watcher = Watcher::new([file.clone()]).await;
        for text in ["", "2", "22"] {
            directory.write("one", text);
            // Long enough for one look.
            assert!(timeout(EVERY, watcher.changed()).await.is_err(), "{text:?}");
        }
        let began = Instant::now();
        assert_eq!(watcher.changed().await, [file]);
        assert!(began.elapsed() <= EVERY * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_while_the_list_is_replaced_is_not_missed() {
        let directory = Directory::new("list");
        let (one, other) = (directory.write("one", "1"), directory.write("other", "1"));
        let mut watcher = Watcher::new([one.clone()]).await;
        directory.write("one", "2");
        watcher.watch([one.clone(), other.clone()]).await;
        assert_eq!(watcher.changed().await, [one.as_path()]);
        directory.write("other", "2");
        assert_eq!(watcher.changed().await, [other.as_path()]);
        watcher.watch([other]).await;
        directory.write("one", "3");
        assert!(is_quiet(&mut watcher).await);
    }
}
