//! Tests of the server from outside: real bytes in, real bytes out.

mod admission;
mod backend;
mod calls;
mod extensions;
mod field;
mod front;
mod questions;
mod rounds;
mod stdio;
mod streaming;
mod support;
mod tampering;
mod tasks;
