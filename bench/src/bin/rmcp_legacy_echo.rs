//! What gateways are measured in front of besides `pod`: the official Rust SDK, legacy only, with its sessions.

use std::sync::Arc;

use anypod_bench::{peer, sdk::Echo};
use axum::Router;
use rmcp::{
    model::ProtocolVersion,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};

fn main() -> anyhow::Result<()> {
    peer::run(async |args, listener| {
        let echo = Echo::new(args.tools, &[ProtocolVersion::V_2025_11_25]);
        let sessions = Arc::new(LocalSessionManager::default());
        let service =
            StreamableHttpService::new(move || Ok(echo.clone()), sessions, StreamableHttpServerConfig::default());
        Ok(peer::serve(listener, Router::new().nest_service("/mcp", service)).await?)
    })
}
