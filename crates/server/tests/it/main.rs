//! Tests of the server from outside: real bytes in, real bytes out.

mod admission;
mod apps;
mod backend;
mod calls;
mod example;
mod extensions;
mod field;
mod front;
mod handles;
mod questions;
mod rounds;
mod stdio;
mod streaming;
mod support;
mod tampering;
mod tasks;
