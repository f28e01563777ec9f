//! Messages as lines: cutting what comes in, within bounds, and writing what goes out, never interleaved.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::mpsc;

use super::inflight::InFlight;

/// A line that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Text(Vec<u8>),
    /// Longer than it may be; all of it has been skipped.
    TooLong,
}

/// Cuts bytes into lines. Keeps at most one line of the longest length that is allowed.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    limit: usize,
    partial: Vec<u8>,
    too_long: bool,
    over: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader: BufReader::new(reader), limit, partial: Vec::new(), too_long: false, over: false }
    }

    /// Whether the input has ended.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// The next line that is not empty; `None` at the end of the input. What the input ends with counts as a
    /// line, terminated or not. Nothing is lost when the future is dropped before it is done.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        while !self.over {
            let available = self.reader.fill_buf().await.inspect_err(|_| self.over = true)?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            if self.too_long || part.len() > self.limit - self.partial.len() {
                self.too_long = true;
                self.partial = Vec::new();
            } else {
                self.partial.extend_from_slice(part);
            }
            self.over = available.is_empty();
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if (end.is_some() || self.over)
                && let Some(line) = self.take()
            {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn take(&mut self) -> Option<Line> {
        if std::mem::take(&mut self.too_long) {
            return Some(Line::TooLong);
        }
        let mut text = std::mem::take(&mut self.partial);
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        (!text.trim_ascii().is_empty()).then_some(Line::Text(text))
    }
}

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    text: Vec<u8>,
    /// The request that the message belongs to, if it must not go out after that one was cancelled.
    of: Option<Arc<InFlight>>,
}

impl Outgoing {
    /// A message that goes out whatever happens.
    pub(super) fn always(text: impl Into<Vec<u8>>) -> Self {
        Self { text: text.into(), of: None }
    }

    /// A message of a request.
    pub(super) fn of(call: &Arc<InFlight>, text: impl Into<Vec<u8>>) -> Self {
        Self { text: text.into(), of: Some(Arc::clone(call)) }
    }

    /// The message, unless the client no longer wants it.
    pub(super) fn into_text(self) -> Option<Vec<u8>> {
        match self.of {
            Some(call) if call.is_cancelled() => None,
            Some(_) | None => Some(self.text),
        }
    }
}

/// Writes every message of the queue as a line, until no sender is left.
pub(super) async fn write_lines(
    writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Outgoing>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(writer);
    while let Some(message) = queue.recv().await {
        if let Some(mut line) = message.into_text() {
            debug_assert!(!line.contains(&b'\n'), "our JSON is compact, and strings escape their line ends");
            line.push(b'\n');
            writer.write_all(&line).await?;
        }
        if queue.is_empty() {
            writer.flush().await?;
        }
    }
    writer.shutdown().await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn cut(input: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(input, limit);
        let mut cut = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            cut.push(line);
        }
        cut
    }

    fn text(line: &str) -> Line {
        Line::Text(line.into())
    }

    #[tokio::test]
    async fn cuts_at_line_ends_of_either_kind_and_skips_empty_lines() {
        assert_eq!(cut(b"a\r\n\n \r\nb\nc", 9).await, [text("a"), text("b"), text("c")]);
        assert_eq!(cut(b"", 9).await, []);
    }

    #[tokio::test]
    async fn skips_a_line_that_is_too_long_to_its_end() {
        let long = [&[b'x'; 100_000][..], b"\nok\n123456789\n1234567890\n1234567890"].concat();
        assert_eq!(cut(&long, 9).await, [Line::TooLong, text("ok"), text("123456789"), Line::TooLong, Line::TooLong]);
    }

    proptest! {
        #[test]
        fn cuts_as_a_split_of_the_whole_would(input in "[ab\r\n]{0,60}", limit in 0_usize..6, chunk in 1_usize..8) {
            let expected: Vec<Line> = input
                .split('\n')
                .filter_map(|line| match line.strip_suffix('\r').unwrap_or(line) {
                    _ if line.len() > limit => Some(Line::TooLong),
                    kept if kept.trim().is_empty() => None,
                    kept => Some(text(kept)),
                })
                .collect();
            let cut = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
                let mut lines = Lines::new(input.as_bytes(), limit);
                lines.reader = BufReader::with_capacity(chunk, input.as_bytes());
                let mut cut = Vec::new();
                while let Some(line) = lines.next().await.unwrap() {
                    cut.push(line);
                }
                cut
            });
            prop_assert_eq!(cut, expected);
        }
    }
}
