//! Servers that misbehave: each ends in a clear error, in bounded time and memory.
//!
//! The server has answered once, as a modern one, before it begins to misbehave, so that its era is no question.

#[macro_use]
mod support;
mod bodies;
mod http;
mod lists;
mod messages;
mod pipes;
mod redirects;
mod sessions;
mod silence;
mod streams;
