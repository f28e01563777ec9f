//! Peer: the same POST by bare hyper. Its answer is looked at for the text, and not otherwise.

use anyhow::{Context, Result, ensure};
use anypod_bench::{allocations::Counting, drive};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Uri, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use memchr::memmem;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Hyper {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

async fn call(hyper: &Hyper, text: &str) -> Result<()> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{text}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"hyper","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    let request = Request::post(hyper.uri.clone())
        .header(header::ACCEPT, "application/json, text/event-stream")
        .header(header::CONTENT_TYPE, "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "echo")
        .body(Full::from(body))?;
    let response = hyper.client.request(request).await?;
    ensure!(response.status().is_success(), "{}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    memmem::find(&body, text.as_bytes()).map(drop).context("the answer does not have the text")
}

fn main() -> Result<()> {
    let connect = async |url: &str| {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Hyper { client: Client::builder(TokioExecutor::new()).build(connector), uri: url.parse()? })
    };
    drive::run(connect, call)
}
