//! Tests of the protocol crate from outside.

mod admit;
mod capabilities;
mod edit;
mod elicitation;
mod form;
mod header;
mod json;
mod jsonrpc;
mod legacy;
mod messages;
mod param_header;
mod reject;
mod scan;
mod seal;
mod smoke;
mod sse;
mod tasks;
mod upgrade;
mod uri_template;
mod vectors;
mod verify;
