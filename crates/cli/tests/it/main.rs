//! The real binary, end to end: every test runs it on a port of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calling;
mod demo;
mod gateway;
mod keys;
mod notify;
mod pages;
mod questions;
mod remote;
mod store;
mod supervisor;
mod terminal;
mod up;
mod usage;
