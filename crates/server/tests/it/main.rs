//! Tests of the server from outside: real bytes in, real bytes out.

mod admission;
mod calls;
mod field;
mod rounds;
mod streaming;
mod support;
mod tampering;
