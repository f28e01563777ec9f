//! Bytes as lines, within bounds.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// How much is kept of either end of a line that is too long, in bytes: enough to see whose it is.
pub(super) const EDGE: usize = 256;

/// A line that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Text(Bytes),
    /// Longer than it may be: its first and its last bytes.
    TooLong { start: Vec<u8>, end: Vec<u8> },
}

/// Cuts bytes into lines. Keeps at most one line of the longest length that is allowed.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    limit: usize,
    partial: Vec<u8>,
    /// The last bytes of a line of which `partial` is only the start.
    rest: Option<Vec<u8>>,
    over: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R, limit: usize) -> Self {
        Self { reader: BufReader::with_capacity(64 << 10, reader), limit, partial: Vec::new(), rest: None, over: false }
    }

    /// The next line that is not empty; `None` at the end of the input. What the input ends with counts as a line,
    /// terminated or not. Cancel-safe.
    ///
    /// # Errors
    /// If reading fails.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        while !self.over {
            let available = self.reader.fill_buf().await.inspect_err(|_| self.over = true)?;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
            self.over = available.is_empty();
            match &mut self.rest {
                Some(rest) => {
                    let missing = EDGE.saturating_sub(self.partial.len()).min(part.len());
                    self.partial.extend_from_slice(part.get(..missing).unwrap_or_default());
                    keep_end(rest, part);
                }
                None if part.len() > self.limit - self.partial.len() => {
                    let mut rest = std::mem::take(&mut self.partial);
                    self.partial = rest.iter().chain(part).copied().take(EDGE).collect();
                    keep_end(&mut rest, part);
                    rest.shrink_to(EDGE);
                    self.rest = Some(rest);
                }
                None => self.partial.extend_from_slice(part),
            }
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
        let mut text = std::mem::take(&mut self.partial);
        if let Some(end) = self.rest.take() {
            return Some(Line::TooLong { start: text, end });
        }
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        (!text.trim_ascii().is_empty()).then(|| Line::Text(text.into()))
    }
}

fn keep_end(rest: &mut Vec<u8>, part: &[u8]) {
    rest.extend_from_slice(part.get(part.len().saturating_sub(EDGE)..).unwrap_or_default());
    rest.drain(..rest.len().saturating_sub(EDGE));
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
        Line::Text(line.to_owned().into())
    }

    fn too_long(start: &str, end: &str) -> Line {
        Line::TooLong { start: start.into(), end: end.into() }
    }

    #[tokio::test]
    async fn cuts_at_line_ends_of_either_kind_and_skips_empty_lines() {
        assert_eq!(cut(b"a\r\n\n \r\nb\nc", 9).await, [text("a"), text("b"), text("c")]);
        assert_eq!(cut(b"", 9).await, []);
    }

    #[tokio::test]
    async fn keeps_both_ends_of_a_line_that_is_too_long() {
        let long = format!("<{}>\nok\n123456789\n1234567890", "x".repeat(100_000));
        let (start, end) = (format!("<{}", "x".repeat(EDGE - 1)), format!("{}>", "x".repeat(EDGE - 1)));
        let expected = [too_long(&start, &end), text("ok"), text("123456789"), too_long("1234567890", "1234567890")];
        assert_eq!(cut(long.as_bytes(), 9).await, expected);
    }

    proptest! {
        #[test]
        fn cuts_as_a_split_of_the_whole_would(input in "[ab\r\n]{0,60}", limit in 0_usize..6, chunk in 1_usize..8) {
            let expected: Vec<Line> = input
                .split('\n')
                .filter_map(|line| match line.strip_suffix('\r').unwrap_or(line) {
                    _ if line.len() > limit => Some(too_long(line, line)),
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
