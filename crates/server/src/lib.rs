//! MCP servers whose every pod can answer.
