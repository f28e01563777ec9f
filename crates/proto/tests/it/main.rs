//! Tests of the protocol crate from outside.

mod header;
mod seal;
mod smoke;
mod sse;
mod uri_template;
