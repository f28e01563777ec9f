//! The client as its users see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cache;
mod calls;
mod endpoint;
mod era;
mod extension;
mod flips;
mod headers;
mod legacy;
mod listen;
mod lists;
mod misbehave;
mod modern;
mod outputs;
mod redirects;
mod repeats;
mod rounds;
mod scripted;
mod slow;
mod stdio;
mod tasks;
mod telemetry;
mod timeouts;
