//! Observing as a whole: what is handed over, and what is read from the outside.

mod metrics;
mod parser;
pub(super) mod world;
