//! Peer: the official Rust SDK's client in the modern era, over its own HTTP transport.

use anyhow::{Result, ensure};
use anypod_bench::{allocations::Counting, drive};
use rmcp::{
    model::{CallToolRequestParams, ProtocolVersion},
    service::{ClientLifecycleMode, ClientServiceExt, RoleClient, RunningService},
    transport::StreamableHttpClientTransport,
};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

async fn call(client: &RunningService<RoleClient, ()>, text: &str) -> Result<()> {
    let serde_json::Value::Object(arguments) = json!({ "text": text }) else { unreachable!() };
    let result = client.call_tool(CallToolRequestParams::new("echo").with_arguments(arguments)).await?;
    let answer = result.content.first().and_then(|block| block.as_text());
    ensure!(answer.is_some_and(|answer| answer.text == text), "{answer:?} instead of {text:?}");
    Ok(())
}

fn main() -> Result<()> {
    let connect = async |url: &str| {
        let transport = StreamableHttpClientTransport::from_uri(url.to_owned());
        let mode = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::LATEST] };
        Ok(().serve_with_lifecycle(transport, mode).await?)
    };
    drive::run(connect, call)
}
