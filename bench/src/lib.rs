//! What the benchmark's programs share.
//!
//! The peers (`limit`, `limit_typed`, `rmcp_echo`, `anypod_echo`) all serve one tool, `echo(text)`, at
//! `POST /mcp`. `load` drives one of them and prints what it saw as JSON. `bench` builds the session out
//! of both, and writes the table. Numbers only mean something as ratios within one session.

pub mod allocations;
pub mod drive;
mod http;
pub mod limits;
pub mod load;
pub mod peer;
pub mod pod;
pub mod run;
pub mod sdk;
