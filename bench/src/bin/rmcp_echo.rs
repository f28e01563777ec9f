//! Peer: the official Rust SDK, stateless with JSON answers, wired as its own examples are.

use std::{borrow::Cow, sync::Arc};

use anypod_bench::{allocations::Counting, peer};
use axum::Router;
use rmcp::{
    ServerHandler,
    handler::server::{
        router::tool::{ToolRoute, ToolRouter},
        wrapper::Parameters,
    },
    model::{Implementation, ProtocolVersion, ServerCapabilities, ServerConfig, SubscriptionFilter},
    schemars, tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use serde::Deserialize;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Deserialize, schemars::JsonSchema)]
struct EchoArguments {
    /// What to say back.
    text: String,
}

#[derive(Clone)]
struct Echo {
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Echo {
    fn new(tools: usize) -> Self {
        let mut tool_router = Self::tool_router();
        for number in 1..tools {
            let mut tool = Self::echo_tool_attr();
            tool.name = format!("echo_{number}").into();
            tool_router.add_route(ToolRoute::new(tool, Self::echo));
        }
        Self { tool_router }
    }

    /// Says the text back.
    #[tool]
    async fn echo(&self, Parameters(EchoArguments { text }): Parameters<EchoArguments>) -> String {
        text
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Echo {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("echo", "1.0.0"))
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(&[ProtocolVersion::V_2026_07_28])
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }
}

fn main() -> anyhow::Result<()> {
    peer::run(async |args, listener| {
        let echo = Echo::new(args.tools);
        let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
        let service =
            StreamableHttpService::new(move || Ok(echo.clone()), Arc::new(NeverSessionManager::default()), config);
        Ok(peer::serve(listener, Router::new().nest_service("/mcp", service)).await?)
    })
}
