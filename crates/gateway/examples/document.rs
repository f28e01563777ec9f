//! Writes the reference page and the JSON Schema of the configuration into `docs/`: `cargo run -p anypod-gateway --example
//! document`. A test says when they are stale.

use std::path::Path;

use anypod_gateway::config::{reference, schema};

fn main() -> std::io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::write(docs.join("gateway-configuration.md"), reference())?;
    std::fs::write(docs.join("anypod.schema.json"), format!("{:#}\n", schema()))
}
