//! The client as its users see it.

mod calls;
