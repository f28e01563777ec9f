//! The client as its users see it.

mod cache;
mod calls;
mod era;
mod legacy;
mod scripted;
mod slow;
mod stdio;
mod tasks;
