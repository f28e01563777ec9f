//! Servers that are answered by a backend: one that passes on to a real server, and one that does as it is told.

mod legacy;
mod listening;
mod modern;
mod relay;
mod scripted;
mod stdio;

use anypod_server::{Backend, Server, ServerBuilder, Tool};

use crate::support::World;
use crate::support::fixture::base;

/// A server before `backend`.
fn before(backend: impl Backend) -> Server {
    builder(backend).build().expect("it builds")
}

fn builder(backend: impl Backend) -> ServerBuilder {
    base(&World::default()).backend(backend)
}

#[test]
fn a_server_has_a_backend_or_handlers() {
    let both = builder(scripted::Scripted::default()).tool(Tool::new("own", async || "own"));
    let error = both.build().expect_err("it has both").to_string();
    assert!(error.contains("backend"), "{error}");
}

#[test]
fn a_peer_that_pods_cannot_call_is_refused() {
    let error = base(&World::default()).peers(["https://10.0.0.6/mcp"]).build().expect_err("no TLS");
    assert!(error.to_string().contains("http://10.0.0.5:8080/mcp"), "{error}");
}
