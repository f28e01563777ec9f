//! The only place that prints. Plain text; colours only where a terminal reads it.

use std::io::{self, IsTerminal, Write};

use tokio::io::{AsyncWriteExt, Stderr, Stdout};

use crate::real;

/// The colours of pod prefixes: a pod keeps the one its number picks.
const PREFIX_COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// Which of its two streams a pod wrote a line to; it is passed on to the same one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Prints a line on standard output. A reader that has gone away is no reason to stop serving.
pub(crate) async fn line(text: &str) {
    let _ = write_out(tokio::io::stdout(), &format!("{text}\n")).await;
}

/// Passes on a line that a pod wrote.
pub(crate) async fn pod_line(number: u16, stream: Stream, text: &str) {
    let _ = match stream {
        Stream::Out => {
            let line = prefixed(number, text, coloured(&io::stdout()));
            write_out(tokio::io::stdout(), &line).await
        }
        Stream::Err => {
            let line = prefixed(number, text, coloured(&io::stderr()));
            write_err(tokio::io::stderr(), &line).await
        }
    };
}

/// Prints the one line that says why the process ends.
pub(crate) fn error(text: &str) {
    diagnose("error", "31", text);
}

/// Prints a line about something that works and should be put right.
pub(crate) fn warning(text: &str) {
    diagnose("warning", "33", text);
}

/// Prints a text as it is, for subcommands that print once and end.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a page that brings styles of its own.
pub(crate) fn page(text: &clap::builder::StyledStr) {
    match coloured(&io::stdout()) {
        true => print(&text.ansi().to_string()),
        false => print(&text.to_string()),
    }
}

fn diagnose(label: &str, colour: &str, text: &str) {
    let label = match coloured(&io::stderr()) {
        true => format!("\x1b[{colour}m{label}\x1b[0m"),
        false => label.to_owned(),
    };
    let _ = writeln!(io::stderr(), "{label}: {}", text.replace('\n', " "));
}

fn prefixed(number: u16, text: &str, coloured: bool) -> String {
    let colour = PREFIX_COLOURS[usize::from(number) % PREFIX_COLOURS.len()];
    match coloured {
        true => format!("\x1b[{colour}mpod {number} |\x1b[0m {text}\n"),
        false => format!("pod {number} | {text}\n"),
    }
}

fn coloured(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !real::no_colour()
}

// Tokio's handles write on the pool for blocking work: a terminal that has been stopped must not stop the front.
async fn write_out(mut out: Stdout, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes()).await?;
    out.flush().await
}

async fn write_err(mut err: Stderr, text: &str) -> io::Result<()> {
    err.write_all(text.as_bytes()).await?;
    err.flush().await
}
