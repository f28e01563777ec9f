//! MCP servers whose every pod can answer.

#[cfg_attr(
    not(test),
    expect(dead_code, unreachable_pub, unused_imports, reason = "the registry that compiles schemas comes next")
)]
mod schema;
