//! Tests of the protocol crate from outside.

mod header;
mod param_header;
mod seal;
mod smoke;
mod sse;
mod uri_template;
