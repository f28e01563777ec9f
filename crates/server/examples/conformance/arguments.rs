//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

/// What the fixture can be told.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) port: u16,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) advertise: Option<String>,
    pub(crate) page_size: Option<usize>,
    pub(crate) stdio: bool,
    pub(crate) legacy_only: bool,
    pub(crate) store: Option<String>,
}

impl Arguments {
    /// Reads the flags.
    ///
    /// # Errors
    /// If one is unknown, or its value is missing or of the wrong kind.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(flag) = words.next() {
            let mut value = || words.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--port" => arguments.port = read(&flag, &value()?)?,
                "--key-file" => arguments.key_file = Some(value()?.into()),
                "--advertise" => arguments.advertise = Some(value()?),
                "--page-size" => arguments.page_size = Some(read(&flag, &value()?)?),
                "--stdio" => arguments.stdio = true,
                "--store" => arguments.store = Some(value()?),
                "--legacy-only" => arguments.legacy_only = true,
                _ => return Err(format!("there is no flag {flag}")),
            }
        }
        Ok(arguments)
    }
}

fn read<T: FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} cannot be `{value}`"))
}
