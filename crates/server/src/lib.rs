//! MCP servers whose every pod can answer.

#[expect(dead_code, unreachable_pub, unused_imports, reason = "the registry of tools will compile schemas")]
mod schema;
