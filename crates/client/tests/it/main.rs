//! The client as its users see it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cache;
mod calls;
mod era;
mod legacy;
mod scripted;
mod slow;
mod stdio;
mod tasks;
