//! N replicas of an MCP server in one process.
