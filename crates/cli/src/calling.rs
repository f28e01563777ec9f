//! The calling side.

mod arguments;
