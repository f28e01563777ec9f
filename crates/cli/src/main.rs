//! The `anypod` binary.
fn main() {}
