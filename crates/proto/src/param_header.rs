//! param_header
