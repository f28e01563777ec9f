//! Peer: the official Rust SDK, stateless with JSON answers.

use std::sync::Arc;

use anypod_bench::{allocations::Counting, peer, sdk::Echo};
use axum::Router;
use rmcp::{
    model::ProtocolVersion,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> anyhow::Result<()> {
    peer::run(async |args, listener| {
        let echo = Echo::new(args.tools, &[ProtocolVersion::V_2026_07_28]);
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
        let service =
            StreamableHttpService::new(move || Ok(echo.clone()), Arc::new(NeverSessionManager::default()), config);
        Ok(peer::serve(listener, Router::new().nest_service("/mcp", service)).await?)
    })
}
