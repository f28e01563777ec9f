//! The echo server of the official Rust SDK, wired as its own examples are.

use std::borrow::Cow;

use rmcp::{
    ServerHandler,
    handler::server::{
        router::tool::{ToolRoute, ToolRouter},
        wrapper::Parameters,
    },
    model::{Implementation, ProtocolVersion, ServerCapabilities, ServerConfig, SubscriptionFilter},
    schemars, tool, tool_handler, tool_router,
};
use serde::Deserialize;

#[derive(Deserialize, schemars::JsonSchema)]
struct EchoArguments {
    /// What to say back.
    text: String,
}

/// The server of one session, or of one modern request.
#[derive(Clone)]
pub struct Echo {
    tool_router: ToolRouter<Self>,
    versions: &'static [ProtocolVersion],
}

#[tool_router]
impl Echo {
    /// One with `tools` tools, `echo` included, that speaks `versions`.
    pub fn new(tools: usize, versions: &'static [ProtocolVersion]) -> Self {
        let mut tool_router = Self::tool_router();
        for number in 1..tools {
            let mut tool = Self::echo_tool_attr();
            tool.name = format!("echo_{number}").into();
            tool_router.add_route(ToolRoute::new(tool, Self::echo));
        }
        Self { tool_router, versions }
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
        Cow::Borrowed(self.versions)
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }
}
