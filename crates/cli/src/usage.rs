//! What is wrong with a command line, as one line on standard error, and the exit code that goes with it.

use std::process::ExitCode;
use std::time::Duration;

use anypod_gateway::config::ConfigError;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::output::{self, Unprinted};

/// The exit code when the command line, or something it names, is wrong.
const USAGE: u8 = 2;

/// Something that the caller can put right: what is wrong, where, and what to do instead.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    /// An error that ends the process with exit code 2.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The same, with how it is written.
    pub(crate) fn hint(self, usage: &str) -> Self {
        Self(format!("{}; usage: {}", self.0, usage.trim_end()))
    }
}

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Prints why the process ends and says with which code: 2 if the cause is a [`Usage`] or a configuration, of which every
/// problem has a line, 0 if only the reader of the output is gone, otherwise 1.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    if matches!(error.downcast_ref(), Some(Unprinted::ReaderGone)) {
        return ExitCode::SUCCESS;
    }
    if let Some(refused) = error.downcast_ref::<ConfigError>() {
        refused.problems().iter().for_each(|problem| output::error(&problem.to_string()));
        return ExitCode::from(USAGE);
    }
    output::error(&format!("{error:#}"));
    match error.downcast_ref::<Usage>() {
        Some(_) => ExitCode::from(USAGE),
        None => ExitCode::FAILURE,
    }
}

/// Prints what clap has to say: help and version as they are, an error in one line.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            output::page(&error.render());
            ExitCode::SUCCESS
        }
        _ => {
            output::error(&one_line(&message(error)));
            ExitCode::from(USAGE)
        }
    }
}

/// clap's message. It repeats the word that is wrong, which may be an address with a password that a flag belongs before: such a
/// word is cut.
fn message(error: &clap::Error) -> String {
    let mut message = error.to_string();
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand] {
        let Some(ContextValue::String(word)) = error.get(kind) else { continue };
        let parts = word.split_once("://").filter(|(_, rest)| rest.contains(['@', '?']));
        if let Some((scheme, _)) = parts {
            message = message.replace(word, &format!("{scheme}://…"));
        }
    }
    message
}

/// The first paragraph of clap's message, what it thinks was meant, and the page that has the rest.
fn one_line(message: &str) -> String {
    let words: Vec<&str> =
        message.lines().take_while(|line| !line.trim().is_empty()).flat_map(str::split_whitespace).collect();
    let text = words.join(" ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let similar = message.lines().find_map(|line| line.trim().strip_prefix("tip: a similar "));
    let similar = similar.map(|tip| format!("; a similar {tip}")).unwrap_or_default();
    format!("{text}{similar}; see `{} --help`", subcommand(message))
}

/// The program and subcommand that clap's message shows the usage of.
fn subcommand(message: &str) -> String {
    let usage = message.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap_or("anypod");
    let is_name = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
    usage.split_whitespace().take_while(is_name).collect::<Vec<_>>().join(" ")
}

/// A time with its unit, or in seconds without one. At most an hour: a wait that never ends is a leak.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        _ => return Err("write a time such as 10s, 500ms or 2m".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write a time such as 10s, 500ms or 2m".to_owned())?;
    match number.checked_mul(millis).map(Duration::from_millis) {
        Some(time) if time <= Duration::from_secs(3600) => Ok(time),
        _ => Err("an hour is the most".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_with_and_without_a_unit() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "-1s", "1.5s", "10 s", "10h", "61m", "99999999999999999999"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_not_repeated() {
        let command = || clap::Command::new("anypod").arg(clap::Arg::new("limit").long("limit").value_parser(["1"]));
        for words in [
            &["anypod", "postgres://me:s3 cret@db/x"][..],
            &["anypod", "--limit", "postgres://db/x?password=s3 cret"],
            &["anypod", "--stor=postgres://me:s3 cret@db/x"],
        ] {
            let error = command().try_get_matches_from(words).unwrap_err();
            let text = one_line(&message(&error));
            assert!(!text.contains("cret"), "{text}");
        }
        let error = command().try_get_matches_from(["anypod", "https://db/x"]).unwrap_err();
        assert!(message(&error).contains("https://db/x"), "{error}");
    }

    #[test]
    fn keeps_one_line_of_a_message_that_spans_several() {
        let message = "error: the following required arguments were not provided:\n  <FILE>\n\nUsage: anypod\n";
        assert_eq!(
            one_line(message),
            "the following required arguments were not provided: <FILE>; see `anypod --help`"
        );
    }
}
