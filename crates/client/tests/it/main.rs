//! The client as its users see it.

mod calls;
mod legacy;
mod scripted;
mod stdio;
mod tasks;
