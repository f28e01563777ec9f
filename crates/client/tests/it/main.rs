//! The client as its users see it.

mod calls;
mod era;
mod legacy;
mod scripted;
mod tasks;
