//! The real environment, the real clock and the real randomness: what every other crate takes as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use anypod_store::Millis;

/// Where the person wants colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// Everywhere, also in pipes.
    Always,
    /// Where a terminal reads.
    OnTerminals,
    /// Nowhere.
    Never,
}

/// Where the person wants colours. Conventions: <https://no-color.org>, <https://bixense.com/clicolors>.
#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
pub(crate) fn colours() -> Colours {
    let value = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if value("NO_COLOR").is_some() {
        return Colours::Never;
    }
    if value("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return Colours::Always;
    }
    match value("CLICOLOR").is_some_and(|value| value == "0") {
        true => Colours::Never,
        false => Colours::OnTerminals,
    }
}

/// Whether the terminal can neither colour nor clear a line.
#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
pub(crate) fn dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

/// The variable that holds a bearer token for the server that is called.
pub(crate) const TOKEN: &str = "ANYPOD_TOKEN";

/// The bearer token in the environment.
#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
pub(crate) fn token() -> Option<String> {
    std::env::var(TOKEN).ok().filter(|value| !value.is_empty())
}

/// The variable that says what is logged.
pub(crate) const LOG_FILTER: &str = "RUST_LOG";

/// What the person wants to have logged, in the words of `tracing`, such as `info` or `anypod_server=debug`.
#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
pub(crate) fn log_filter() -> Option<String> {
    std::env::var(LOG_FILTER).ok().filter(|value| !value.is_empty())
}

/// The variable that holds a key ring, in the form of a key file.
pub(crate) const KEYS: &str = "ANYPOD_KEYS";

/// The key ring in the environment, as text.
#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
pub(crate) fn keys() -> Option<String> {
    std::env::var(KEYS).ok().filter(|value| !value.is_empty())
}

/// The variable that holds the address of a store.
pub(crate) const STORE: &str = "ANYPOD_STORE";

/// The address of a store in the environment.
#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
pub(crate) fn store() -> Option<String> {
    std::env::var(STORE).ok().filter(|value| !value.is_empty())
}

/// What time it is; the beginning of 1970 where the system's clock says that it is earlier.
#[expect(clippy::disallowed_methods, reason = "this file is where the clock is read")]
pub(crate) fn now() -> Millis {
    Millis::default().after(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Bytes from the operating system's random source.
///
/// # Errors
///
/// When the operating system has none to give.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness from the operating system: {error}"))?;
    Ok(bytes)
}
