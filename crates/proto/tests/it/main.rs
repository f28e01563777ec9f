//! Tests of the protocol crate from outside.

mod param_header;
