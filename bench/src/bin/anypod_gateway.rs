//! Peer: anypod's gateway, with what a file says and nothing else, on one thread as its peers are.

use std::path::PathBuf;

use anyhow::Result;
use anypod_gateway::{Config, Gateway};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// The configuration.
    #[arg(long)]
    config: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let config = Config::read(&options.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let bound = Gateway::new(config, None)?.bind().await?;
        for url in bound.urls() {
            println!("listening on {url}");
        }
        bound.serve(std::future::pending()).await;
        Ok(())
    })
}
