//! What the fuzz targets do with their input, as plain functions.
//!
//! The tests of `anypod-proto` include these files too and replay the corpora with them, so that they are
//! built and run on stable with every `cargo test`. A target is run for longer with
//! `cargo +nightly fuzz run seal_open`.

pub mod admit;
pub mod edit_differential;
pub mod header_value;
pub mod scan;
pub mod seal_open;
pub mod sse_decode;
pub mod uri_template;
pub mod verify_differential;
