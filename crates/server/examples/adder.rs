//! A server in ten lines.

use anypod_server::{Args, Server, Tool};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

async fn add(Args(Add { a, b }): Args<Add>) -> String {
    (a + b).to_string()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new("adder", "1.0.0").tool(Tool::new("add", add).description("Adds two numbers")).build()?;
    Ok(server.listen("127.0.0.1:8080").await?)
}
