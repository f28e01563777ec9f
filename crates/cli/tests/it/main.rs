//! The real binary, end to end: every test runs it on a port of its own.

mod keys;
mod supervisor;
mod up;
mod usage;
