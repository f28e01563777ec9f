//! The client as its users see it.

mod calls;
mod scripted;
mod tasks;
