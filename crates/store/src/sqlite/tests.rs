//! The store in one file, with what only its inside can do.
