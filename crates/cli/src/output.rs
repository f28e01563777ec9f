//! The only place that prints. Plain text; colours only where a terminal reads it.

pub(crate) mod bar;
pub(crate) mod clean;
pub(crate) mod table;

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::tcgetwinsize;
use tokio::io::{AsyncWriteExt, Stderr, Stdout};

use self::bar::Progress;
use self::table::Table;
use crate::real::{self, Colours};

/// How wide a terminal is that does not say, in columns.
const USUAL_WIDTH: usize = 80;
/// Goes to the beginning of the line and clears it.
const CLEAR_LINE: &str = "\r\x1b[K";

/// What stands in the last line of the terminal, of which a process has one. What prints next, on either stream, clears
/// a bar.
static BAR: Mutex<LastLine> = Mutex::new(LastLine::Free);

/// What stands in the last line of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastLine {
    /// No bar.
    Free,
    Bar,
    /// No bar, and there will be none: what comes late is of something that is over.
    Over,
}

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
    let _ = result(text);
}

/// Why what was asked for was not printed.
#[derive(Debug)]
pub(crate) enum Unprinted {
    /// Nobody reads standard output any more, as behind `| head`: there is no reason to go on.
    ReaderGone,
    /// Standard output takes no more, such as a file on a full disk.
    Failed(io::Error),
}

impl From<io::Error> for Unprinted {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::ReaderGone } else { Self::Failed(error) }
    }
}

impl std::fmt::Display for Unprinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ReaderGone => f.write_str("nobody reads the output"),
            Self::Failed(error) => write!(f, "the output cannot be written: {error}"),
        }
    }
}

impl std::error::Error for Unprinted {}

/// Prints (a part of) what was asked for on standard output, as it is: text of others is clean already.
///
/// # Errors
///
/// When nobody reads it, or it cannot be written.
pub(crate) fn result(text: &str) -> Result<(), Unprinted> {
    let _bar = without_bar();
    let mut out = io::stdout().lock();
    Ok(out.write_all(text.as_bytes()).and_then(|()| out.flush())?)
}

/// Prints a table on standard output, in the width of the terminal if it is one.
///
/// # Errors
///
/// When nobody reads it, or it cannot be written.
pub(crate) fn table(table: &Table) -> Result<(), Unprinted> {
    let out = io::stdout();
    let width = out.is_terminal().then(|| tcgetwinsize(&out).ok()).flatten();
    let width = width.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
    result(&table.render(width, coloured(&out)))
}

/// Prints the text of a tool that failed on standard error, red on a terminal.
pub(crate) fn failure(text: &str) {
    let text = clean::text(text.trim_end());
    let text = match coloured(&io::stderr()) {
        true => text.lines().map(|line| format!("\x1b[31m{line}\x1b[0m\n")).collect(),
        false => format!("{text}\n"),
    };
    aside(&text);
}

/// Prints a line beside the result, on standard error: what happens, what was asked, what a server logs.
pub(crate) fn note(label: &str, text: &str) {
    let label = clean::line(label);
    // Further lines are set in, so that none can be taken for one of ours.
    let text = clean::text(text.trim_end()).replace('\n', "\n  ");
    aside(&match coloured(&io::stderr()) {
        true => format!("\x1b[2m{label}:\x1b[0m {text}\n"),
        false => format!("{label}: {text}\n"),
    });
}

/// One side of what went over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}

/// Prints a part of what went over the wire on standard error, every line with a mark before it.
pub(crate) fn traced(way: Way, text: &str) {
    let (mark, colour) = match way {
        Way::Sent => ('>', "36"),
        Way::Received => ('<', "35"),
    };
    let coloured = coloured(&io::stderr());
    let text = clean::text(text);
    let mark_line = |line| match coloured {
        true => format!("\x1b[{colour}m{mark}\x1b[0m {line}\n"),
        false => format!("{mark} {line}\n"),
    };
    aside(&text.lines().map(mark_line).collect::<String>());
}

/// Whether progress is shown where no terminal reads standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlainProgress {
    /// A line for each notification.
    Lines,
    /// Not at all.
    None,
}

/// Shows how far something has come: as a bar on a terminal, elsewhere as asked.
pub(crate) fn progress(progress: &Progress, plain: PlainProgress) {
    let mut err = io::stderr();
    if !err.is_terminal() || real::dumb_terminal() {
        match plain {
            PlainProgress::Lines => aside(&format!("{}\n", progress.line())),
            PlainProgress::None => {}
        }
        return;
    }
    let width = tcgetwinsize(&err).ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
    let mut bar = BAR.lock().unwrap_or_else(PoisonError::into_inner);
    if *bar == LastLine::Over {
        return;
    }
    let drawn = write!(err, "{CLEAR_LINE}{}", progress.bar(width.unwrap_or(USUAL_WIDTH))).and_then(|()| err.flush());
    *bar = if drawn.is_ok() { LastLine::Bar } else { LastLine::Free };
}

/// Takes away what only mattered while something was under way, for good.
pub(crate) fn end_progress() {
    *without_bar() = LastLine::Over;
}

/// Asks a question on standard error, without an end of the line. The text is clean already.
pub(crate) fn ask(text: &str) {
    aside(text);
}

/// Marks the title of a question where colours are.
pub(crate) fn emphasis(text: &str) -> String {
    let text = clean::line(text);
    match coloured(&io::stderr()) {
        true => format!("\x1b[1m{text}\x1b[0m"),
        false => text.into_owned(),
    }
}

/// Whether what is written on standard error may be coloured.
pub(crate) fn colours_errors() -> bool {
    coloured(&io::stderr())
}

/// Whether a person can be asked: they see standard error and write on standard input.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn aside(text: &str) {
    let _bar = without_bar();
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Clears the bar, and keeps others from drawing one while the guard lives.
fn without_bar() -> MutexGuard<'static, LastLine> {
    let mut bar = BAR.lock().unwrap_or_else(PoisonError::into_inner);
    if *bar == LastLine::Bar {
        *bar = LastLine::Free;
        let _ = io::stderr().write_all(CLEAR_LINE.as_bytes());
    }
    bar
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
    aside(&format!("{label}: {}\n", clean::line(text)));
}

fn prefixed(number: u16, text: &str, coloured: bool) -> String {
    let colour = PREFIX_COLOURS[usize::from(number) % PREFIX_COLOURS.len()];
    match coloured {
        true => format!("\x1b[{colour}mpod {number} |\x1b[0m {text}\n"),
        false => format!("pod {number} | {text}\n"),
    }
}

fn coloured(stream: &impl IsTerminal) -> bool {
    match real::colours() {
        Colours::Always => true,
        Colours::Never => false,
        Colours::OnTerminals => stream.is_terminal() && !real::dumb_terminal(),
    }
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
