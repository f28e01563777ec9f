//! How a peer starts: its two flags, one thread, one listener on the loopback address.

use std::{future::Future, io};

use anyhow::{Context, Result, bail};
use axum::{Router, serve::ListenerExt};
use tokio::net::TcpListener;

use crate::allocations;

/// What every peer can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerArgs {
    /// `--port N`: where to listen, on 127.0.0.1.
    pub port: u16,
    /// `--tools N`: how many tools to register, `echo` included. One when not given.
    pub tools: usize,
}

impl PeerArgs {
    /// Reads flags by hand: a parser with help and completion would weigh on start-up time and memory.
    ///
    /// # Errors
    /// When a flag is unknown, has no number or when `--port` is missing.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        let (mut port, mut tools) = (None, 1);
        while let Some(flag) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--port" => port = Some(value.parse().with_context(|| format!("--port {value}"))?),
                "--tools" => tools = value.parse().with_context(|| format!("--tools {value}"))?,
                _ => bail!("unknown flag {flag}; there are --port and --tools"),
            }
        }
        Ok(Self { port: port.context("--port is missing")?, tools })
    }
}

/// Runs `serve` on one thread with a bound listener, after the allocation report was armed.
///
/// # Errors
/// When the flags are bad, the port is taken, or what `serve` returns.
pub fn run<F>(serve: impl FnOnce(PeerArgs, TcpListener) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let args = PeerArgs::parse(std::env::args().skip(1))?;
    allocations::report_on_signal()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", args.port))
            .await
            .with_context(|| format!("listening on 127.0.0.1:{}", args.port))?;
        serve(args, listener).await
    })
}

/// Serves `router` the same way for every peer that brings one.
///
/// # Errors
/// When accepting fails for good.
pub async fn serve(listener: TcpListener, router: Router) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // A connection that is already gone fails here and again, audibly, at its first read.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<PeerArgs> {
        PeerArgs::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn registers_one_tool_unless_told_otherwise() {
        assert_eq!(parse("--port 80").unwrap(), PeerArgs { port: 80, tools: 1 });
        assert_eq!(parse("--tools 50 --port 80").unwrap(), PeerArgs { port: 80, tools: 50 });
    }

    #[test]
    fn refuses_flags_that_it_does_not_know() {
        for line in ["", "--port", "--port x", "--port 80 --pods 2"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
