//! Tests of the protocol crate from outside.

mod capabilities;
mod elicitation;
mod header;
mod jsonrpc;
mod legacy;
mod messages;
mod param_header;
mod seal;
mod smoke;
mod sse;
mod uri_template;
mod vectors;
