//! Tests of the server from outside: real bytes in, real bytes out.

mod stdio;
