//! The client as its users see it.

mod calls;
mod era;
mod scripted;
mod tasks;
