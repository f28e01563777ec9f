//! Peer: anypod's client with its defaults, as a newcomer would write it.

use anyhow::{Result, ensure};
use anypod_bench::{allocations::Counting, drive};
use anypod_client::Client;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

async fn call(client: &Client, text: &str) -> Result<()> {
    let result = client.call("echo", json!({ "text": text })).await?;
    let answer = result.content.first().and_then(|block| block.as_text());
    ensure!(answer == Some(text), "{answer:?} instead of {text:?}");
    Ok(())
}

fn main() -> Result<()> {
    drive::run(async |url: &str| Ok(Client::connect(url)?), call)
}
