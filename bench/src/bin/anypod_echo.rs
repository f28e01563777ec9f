//! Peer: anypod itself, with every check on, as a newcomer would write it.

use anypod_bench::{allocations::Counting, peer};
use anypod_server::{Args, Server, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Deserialize, JsonSchema)]
struct Echo {
    /// What to say back.
    text: String,
}

async fn echo(Args(echo): Args<Echo>) -> String {
    echo.text
}

fn main() -> anyhow::Result<()> {
    peer::run(async |args, listener| {
        let mut server = Server::new("echo", "1.0.0").tool(Tool::new("echo", echo).description("Says the text back."));
        for number in 1..args.tools {
            let tool = Tool::new(format!("echo_{number}"), echo).description("Says the text back.");
            server = server.tool(tool);
        }
        Ok(server.build()?.serve(listener, std::future::pending()).await?)
    })
}
