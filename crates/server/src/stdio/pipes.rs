//! The process's own standard streams, each served by a thread.
//!
//! A read of stdin that waits for the client cannot be cancelled, and a runtime does not shut down while one
//! of its threads is in it. The threads here belong to the process, so a server that stops for another
//! reason than the end of its input can exit.

use std::io::{self, Read, Write};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// What is read or written at once, in bytes; the size of a pipe's buffer on Linux.
const CHUNK: usize = 64 * 1024;

/// What comes in on stdin.
pub(super) fn stdin() -> io::Result<DuplexStream> {
    let (ours, mut theirs) = tokio::io::duplex(CHUNK);
    let runtime = Handle::current();
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut chunk = vec![0; CHUNK];
        let mut stdin = io::stdin();
        loop {
            let read = match stdin.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(%error, "stdin cannot be read");
                    break;
                }
            };
            // Fails when nobody reads any more.
            if runtime.block_on(theirs.write_all(chunk.get(..read).unwrap_or_default())).is_err() {
                break;
            }
        }
    })?;
    Ok(ours)
}

/// What goes out on stdout, and the news that all of it has.
pub(super) fn stdout() -> io::Result<(DuplexStream, oneshot::Receiver<()>)> {
    let (ours, mut theirs) = tokio::io::duplex(CHUNK);
    let (done, written) = oneshot::channel();
    let runtime = Handle::current();
    std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        let mut chunk = vec![0; CHUNK];
        let mut stdout = io::stdout();
        while let Ok(read @ 1..) = runtime.block_on(theirs.read(&mut chunk)) {
            let part = chunk.get(..read).unwrap_or_default();
            if let Err(error) = stdout.write_all(part).and_then(|()| stdout.flush()) {
                // Dropping our end tells the connection that the client is gone.
                tracing::debug!(%error, "stdout cannot be written");
                break;
            }
        }
        // Nobody waits for it any more if the time to drain is over.
        let _ = done.send(());
    })?;
    Ok((ours, written))
}
