//! The server that gateways are measured in front of. See [`anypod_bench::pod`].

use std::net::TcpListener;

use anyhow::{Context, Result};
use anypod_bench::{load::Era, pod};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// Where to listen, on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// How many tools to have under each path.
    #[arg(long, default_value_t = 1)]
    tools: usize,
    /// Serve revision 2025-11-25 with sessions, and not 2026-07-28.
    #[arg(long)]
    legacy: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let listener = TcpListener::bind(("127.0.0.1", options.port))
        .with_context(|| format!("listening on 127.0.0.1:{}", options.port))?;
    pod::serve(listener, if options.legacy { Era::Legacy } else { Era::Modern }, options.tools)
}
