//! Writing to a server: one line per message, none in the middle of another.

use std::io;

use anypod_proto::method::Notification;
use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};
use tokio::sync::mpsc;

use super::desk::Desk;
use crate::observe::Observe;

/// A message on its way out, with its line end.
#[derive(Debug)]
pub(super) struct Outgoing {
    line: Bytes,
    /// The request that it is, which is not sent if nobody waits for it any more.
    request: Option<u64>,
}

impl Outgoing {
    /// The request of that id.
    pub(super) fn request(id: u64, text: Vec<u8>) -> Self {
        Self { line: line(text), request: Some(id) }
    }

    /// A message that goes out whatever happens.
    pub(super) fn always(text: Vec<u8>) -> Self {
        Self { line: line(text), request: None }
    }
}

/// One line. Parameters may come from outside and be laid out in lines; between the tokens of JSON these are as good
/// as spaces, and within strings there are none.
fn line(mut text: Vec<u8>) -> Bytes {
    for byte in &mut text {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    text.push(b'\n');
    text.into()
}

/// What is to be written.
pub(super) struct Queue {
    /// Goes before the requests.
    pub(super) urgent: mpsc::Receiver<Outgoing>,
    pub(super) requests: mpsc::Receiver<Outgoing>,
}

enum Turn {
    Message(Outgoing),
    Cancellations,
    Over,
}

impl Queue {
    async fn next(&mut self, desk: &Desk) -> Turn {
        let message = tokio::select! {
            biased;
            () = desk.cancellations.notified() => return Turn::Cancellations,
            Some(message) = self.urgent.recv() => Some(message),
            message = self.requests.recv() => message,
        };
        message.map_or(Turn::Over, Turn::Message)
    }

    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.requests.is_empty()
    }

    /// Writes what is queued and what is cancelled, until no more can come.
    ///
    /// # Errors
    /// If the server takes no more.
    pub(super) async fn write(
        mut self,
        writer: impl AsyncWrite + Unpin,
        desk: &Desk,
        observer: Option<&dyn Observe>,
    ) -> io::Result<()> {
        let mut writer = BufWriter::new(writer);
        loop {
            match self.next(desk).await {
                Turn::Message(Outgoing { line, request }) => {
                    if request.is_none_or(|id| desk.begin(id)) {
                        write(&mut writer, &line, observer).await?;
                    }
                }
                Turn::Cancellations => {
                    for id in desk.take_cancelled() {
                        write(&mut writer, &cancelled(id), observer).await?;
                    }
                }
                Turn::Over => return writer.shutdown().await,
            }
            if self.is_empty() {
                writer.flush().await?;
            }
        }
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), line: &[u8], observer: Option<&dyn Observe>) -> io::Result<()> {
    if let Some(observer) = observer {
        observer.line(line.strip_suffix(b"\n").unwrap_or(line));
    }
    writer.write_all(line).await
}

/// Tells the server that nobody waits for an answer any more.
///
/// Spec: basic/patterns/cancellation.
fn cancelled(id: u64) -> Vec<u8> {
    let method = Notification::Cancelled;
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\"requestId\":{id}}}}}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        let laid_out = b"{\n \"a\":\r\n\"\\n\"}".to_vec();
        assert_eq!(Outgoing::always(laid_out).line, &b"{  \"a\":  \"\\n\"}\n"[..]);
    }
}
