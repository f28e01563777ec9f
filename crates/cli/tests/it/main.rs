//! The real binary, end to end: every test runs it on a port of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod demo;
mod keys;
mod supervisor;
mod up;
mod usage;
