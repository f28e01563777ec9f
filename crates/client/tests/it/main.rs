//! The client as its users see it.

mod calls;
mod legacy;
mod era;
mod scripted;
mod tasks;
