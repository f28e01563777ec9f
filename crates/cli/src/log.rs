//! Where the log of a process that serves goes.

use std::io;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::usage::Usage;
use crate::{output, real};

/// Writes the log to standard error: what `RUST_LOG` says, or `usual`, in the words of `tracing`.
///
/// # Errors
///
/// A [`Usage`] when `RUST_LOG` is no filter.
pub(crate) fn to_stderr(usual: &str) -> anyhow::Result<()> {
    let filter = match real::log_filter() {
        Some(text) => {
            EnvFilter::try_new(&text).map_err(|error| Usage::new(format!("{}={text}: {error}", real::LOG_FILTER)))?
        }
        None => EnvFilter::new(usual),
    };
    let coloured = output::colours_errors();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(coloured).with_writer(io::stderr).finish();
    tracing::subscriber::set_global_default(subscriber).context("logging is set up twice")
}
