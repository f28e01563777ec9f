//! What servers have been seen to answer to a modern request, and whether the client falls back.

#[macro_use]
mod recorded;
mod both;
mod fallback;
mod legacy;
mod modern;
mod stdio;
mod store;
