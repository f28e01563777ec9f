//! The access log: a line of JSON for each request. A thread writes it, so that no request waits for a disk.

mod line;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::Record;
use super::number::Counter;
use line::Line;

/// How many lines wait for the thread; further ones are dropped.
const QUEUE: usize = 8192;

/// Where the lines go.
#[derive(Debug)]
pub(super) struct Log {
    queue: mpsc::Sender<Item>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    written: Counter,
    dropped: Counter,
    reopen: AtomicBool,
}

enum Item {
    Record(Arc<Record>),
    /// Look whether the file is to be opened again.
    Wake,
    /// Say when everything before this is written.
    Flush(oneshot::Sender<()>),
}

impl Log {
    /// Begins a log: in the file, which is appended to, or on standard output if that is `-`.
    ///
    /// # Errors
    /// The file cannot be opened, or there can be no further thread.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let place = match path.as_os_str() == "-" {
            true => Place::Stdout,
            false => Place::File(path.to_owned()),
        };
        let out = place.open()?;
        Self::start(place, out)
    }

    fn start(place: Place, out: Box<dyn Write + Send>) -> io::Result<Self> {
        let (queue, lines) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer { place, out: BufWriter::new(out), shared: Arc::clone(&shared), failing: false };
        // It ends when the last sender, which is ours, has gone.
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run(lines))?;
        Ok(Self { queue, shared })
    }

    /// Has a line written, unless too many wait.
    pub(super) fn write(&self, record: Arc<Record>) {
        if self.queue.try_send(Item::Record(record)).is_err() {
            self.shared.dropped.count();
        }
    }

    /// Opens the file again before the next line, as somebody has moved it away.
    pub(super) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        // With lines waiting, the thread is awake anyway.
        drop(self.queue.try_send(Item::Wake));
    }

    /// Done when all lines before are written, or cannot be.
    pub(super) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() {
            drop(flushed.await);
        }
    }

    /// How many lines were written.
    pub(super) fn written(&self) -> u64 {
        self.shared.written.value()
    }

    /// How many were not, because too many waited or the disk took none.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.value()
    }
}

enum Place {
    Stdout,
    File(PathBuf),
}

impl Place {
    fn open(&self) -> io::Result<Box<dyn Write + Send>> {
        match self {
            Self::Stdout => Ok(Box::new(io::stdout())),
            Self::File(path) => Ok(Box::new(append(path)?)),
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// The thread.
struct Writer {
    place: Place,
    out: BufWriter<Box<dyn Write + Send>>,
    shared: Arc<Shared>,
    /// The last attempt failed; said once, not with every line.
    failing: bool,
}

impl Writer {
    fn run(mut self, mut lines: mpsc::Receiver<Item>) {
        let mut text = Vec::new();
        let mut unflushed = 0;
        loop {
            let item = match lines.try_recv() {
                Ok(item) => item,
                // Nothing waits: what has been written is to be seen now.
                Err(_) => {
                    self.flush(&mut unflushed);
                    let Some(item) = lines.blocking_recv() else { return };
                    item
                }
            };
            self.reopen(&mut unflushed);
            match item {
                Item::Record(record) => {
                    Line::of(&record).push(&mut text);
                    unflushed += 1;
                    if let Err(error) = self.out.write_all(&text) {
                        self.lost(&mut unflushed, &error);
                    }
                    text.clear();
                }
                Item::Wake => {}
                Item::Flush(done) => {
                    self.flush(&mut unflushed);
                    // Whoever waited may have gone.
                    let _ = done.send(());
                }
            }
        }
    }

    fn flush(&mut self, unflushed: &mut u64) {
        match self.out.flush() {
            Ok(()) => {
                self.shared.written.add(std::mem::take(unflushed));
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the access log is written again");
                }
            }
            Err(error) => self.lost(unflushed, &error),
        }
    }

    /// What could not be written is dropped: it must not wait in memory for a disk with room.
    fn lost(&mut self, unflushed: &mut u64, error: &io::Error) {
        self.shared.dropped.add(std::mem::take(unflushed));
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "the access log cannot be written");
        }
        if let Ok(out) = self.place.open() {
            self.replace(out);
        }
    }

    fn reopen(&mut self, unflushed: &mut u64) {
        if !self.shared.reopen.swap(false, Ordering::AcqRel) {
            return;
        }
        self.flush(unflushed);
        match self.place.open() {
            Ok(out) => self.replace(out),
            Err(error) => tracing::warn!(%error, "the access log cannot be opened again: the old one goes on"),
        }
    }

    fn replace(&mut self, out: Box<dyn Write + Send>) {
        // Without its parts the old buffer would try to write what is in it when it is dropped.
        let old = std::mem::replace(&mut self.out, BufWriter::new(out));
        drop(old.into_parts());
    }
}

#[cfg(test)]
mod tests;
