//! implementation
