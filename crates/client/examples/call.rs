//! A client in ten lines; `anypod up` starts a server for it.

use anypod_client::Client;
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> anypod_client::Result<()> {
    let client = Client::connect("http://127.0.0.1:8080/mcp")?;
    let sum: Value = client.call_as("add", json!({ "a": 1, "b": 2 })).await?;
    println!("{sum}");
    client.close().await
}
