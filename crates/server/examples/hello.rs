//! A server in ten lines.

use anypod_server::{Args, Server, Tool};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Greet {
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let greet = Tool::new("greet", async |Args(Greet { name }): Args<Greet>| format!("Hello, {name}!"));
    Ok(Server::new("hello", "1.0.0").tool(greet).build()?.listen("127.0.0.1:8080").await?)
}
