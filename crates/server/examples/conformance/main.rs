//! Everything that the conformance suite and other people's clients ask of a server, in one process:
//!
//! `cargo run --release --example conformance -- [--port N [--legacy-only] | --stdio] [--key-file FILE] [--advertise URL]
//! [--page-size K] [--store sqlite:FILE | --store postgres://…]`
//!
//! Port 0, the default, is any free one; the line `listening on URL` says which it became. Pods behind one
//! balancer share a key file and a store, where tasks are kept. SIGTERM and Ctrl-C let calls under way finish. With `--stdio` it serves the
//! client that has started it, until that closes standard input. With `--legacy-only` it refuses 2026-07-28, as the
//! servers do that gateways stand before.

mod arguments;
mod content;
mod legacy;
mod prompts;
mod questions;
mod resources;
mod streams;
mod tasks;

use std::error::Error;
use std::net::Ipv4Addr;

use anypod_server::proto::seal::Ring;
use anypod_server::{Limits, Server, ServerBuilder};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Arguments;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let ring = match &arguments.key_file {
        Some(path) => Some(Ring::parse(&std::fs::read_to_string(path)?)?),
        None => None,
    };
    let store = tasks::open(arguments.store.as_deref()).await?;
    let server = tasks::offer(builder(arguments.page_size, ring), store);
    if arguments.stdio {
        return Ok(server.build()?.serve_stdio().await?);
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port)).await?;
    let server = match arguments.advertise {
        Some(url) => server.advertise(url).build()?,
        None => server.build()?,
    };
    println!("listening on http://{}/mcp", listener.local_addr()?);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    if arguments.legacy_only {
        return Ok(legacy::serve(server, listener, stop).await?);
    }
    Ok(server.serve(listener, stop).await?)
}

fn builder(page_size: Option<usize>, ring: Option<Ring>) -> ServerBuilder {
    let mut limits = Limits::default();
    limits.page_items = page_size.unwrap_or(limits.page_items);
    #[expect(deprecated, reason = "clients still try the deprecated features")]
    let mut server = Server::new("conformance", env!("CARGO_PKG_VERSION"))
        .instructions("Every tool, prompt and resource here exists to be tested.")
        .limits(limits)
        .with_logging();
    if let Some(ring) = ring {
        server = server.keys(ring);
    }
    resources::offer(prompts::offer(streams::offer(questions::offer(content::offer(server)))))
}
