//! A legacy server that looks like a modern one.

pub(crate) mod link;
