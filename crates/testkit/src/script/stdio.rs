//! A script over a pipe: a line per message.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

use super::Stage;
use super::received::Received;
use super::reply::{End, Reply};

/// Answers line by line, until the client closes its end or a reply breaks off.
pub(super) async fn serve(pipe: DuplexStream, stage: Arc<Stage>) {
    let mut pipe = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        match pipe.read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let request =
            Received { verb: Method::POST, path: String::new(), headers: HeaderMap::new(), body: Bytes::from(line) };
        let Some(reply) = stage.take(&request) else { continue };
        match write(pipe.get_mut(), &reply, &request.id().to_string(), &stage).await {
            Ok(()) if reply.end == End::Breaks => return,
            Ok(()) => {}
            Err(_) => return stage.give_up(),
        }
    }
}

async fn write(pipe: &mut DuplexStream, reply: &Reply, id: &str, stage: &Stage) -> io::Result<()> {
    for (index, message) in reply.messages.iter().enumerate() {
        let last = index + 1 == reply.messages.len();
        let length = message.len(id);
        for time in 1..=message.times {
            let half = last && time == message.times && reply.end != End::Whole;
            message.write(pipe, id, if half { length / 2 } else { length }).await?;
            stage.sent.fetch_add(length, Ordering::Relaxed);
            if !half && !message.bare {
                pipe.write_all(b"\n").await?;
            }
        }
    }
    Ok(())
}
