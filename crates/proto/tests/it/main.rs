//! The crate's integration tests, in one binary.

mod capabilities;
mod elicitation;
mod jsonrpc;
mod legacy;
mod messages;
mod vectors;
