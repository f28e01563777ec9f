//! The real environment and the real randomness: what every other crate takes as an argument.

/// Whether the person asked for no colours. Convention: <https://no-color.org>.
#[expect(clippy::disallowed_methods, reason = "this file is where the environment is read")]
pub(crate) fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
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
