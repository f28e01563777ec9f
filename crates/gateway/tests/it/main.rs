//! The gateway as clients and servers see it: replicas, pods and clients on sockets of this machine, in one process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admission;
mod caching;
mod cells;
mod challenges;
mod connections;
mod desk;
mod federation;
mod lifecycle;
mod listeners;
mod listening;
mod modes;
mod observing;
mod pinned;
mod policy;
mod reload;
mod retries;
mod rounds;
mod sessions;
mod support;
mod traces;
mod transports;
