//! Tests your MCP server for statelessness: N replicas in one process, and a scheduler that is out to get them.
//!
//! A server whose every pod can answer is easily broken: one map in the memory of a process is enough, and on
//! one machine nobody notices. A [`Check`] notices. It runs a scenario of yours (a script of calls, by a
//! [`Client`]) on a single replica first. Then it runs it again on several, in round robin and under seeded
//! schedules that avoid the replica of the request before, kill and replace replicas between requests and
//! rounds, and send what may be repeated to all of them. The first answer that is not the one that the single
//! replica gave fails the check, with a report.
//!
//! ```
//! use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
//! use anypod_server::{BuildError, Server, State, Tool};
//! use anypod_testkit::{Check, Client, Replica};
//! use serde_json::json;
//!
//! async fn draw(State(next): State<Arc<AtomicU32>>) -> String {
//!     next.fetch_add(1, Ordering::Relaxed).to_string()
//! }
//!
//! // The mistake: each process counts for itself.
//! fn forgetful(replica: &Replica) -> Result<Server, BuildError> {
//!     let next = Arc::new(AtomicU32::new(1));
//!     replica.configure(Server::new("tickets", "1.0.0").state(next).tool(Tool::new("draw", draw))).build()
//! }
//!
//! // Repaired: the counter stands outside the replicas, as a database does.
//! fn repaired(replica: &Replica) -> Result<Server, BuildError> {
//!     let next = replica.shared(|| AtomicU32::new(1));
//!     replica.configure(Server::new("tickets", "1.0.0").state(next).tool(Tool::new("draw", draw))).build()
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() { // In a test: #[tokio::test(start_paused = true)]
//! let scenario = async |client: Client| {
//!     client.call_tool("draw", json!({})).await?;
//!     client.call_tool("draw", json!({})).await?;
//!     Ok(())
//! };
//! Check::new(repaired).run(scenario).await.unwrap();
//!
//! let error = Check::new(forgetful).run(scenario).await.unwrap_err();
//! assert_eq!(error.to_string(), r#"replica 2 answers otherwise (3 replicas, round robin)
//!   step 3.1: tools/call {"name":"draw","arguments":{}}
//!   - as a single replica answers
//!   + as replica 2 answers
//!
//!       …
//!             "content": [
//!               {
//!                 "type": "text",
//!     -           "text": "2"
//!     +           "text": "1"
//!               }
//!             ]
//!           }
//!       …
//!
//!   before:
//!     1.1 tools/list -> replica 0
//!     2.1 tools/call {"name":"draw","arguments":{}} -> replica 1
//!
//!   hint: the answer depends on which replica served an earlier request: is state kept in the process?"#);
//! # }
//! ```
//!
//! The report says under which schedule it happened, so that [`Check::seeds`] can repeat it; which step it was
//! and which replica; what differs; who had served what before; and what the cause may be. The client lists the
//! tools before it first calls one, as clients have to.
//!
//! The client is modern; [`Client::legacy`] makes one of an earlier revision.
//!
//! The parts of a check can be used on their own: a [`Fleet`] with a [`Schedule`], its clients, and
//! [`Fleet::kill`] and [`Fleet::advance`] for crashes and time. All of it is meant for tests with paused time
//! on one thread; then a run follows from its seed.
//!
//! For tests of clients, [`script`] has servers that answer as they are told, right or wrong.
//!
//! # What it does not see
//!
//! All replicas live in one process. What they have in common there (a `static`, a file, a map that the factory
//! captures) looks like a store that a real fleet shares. Build in the factory what each process builds for
//! itself, and take from [`Replica::shared`] what stands outside. Only what the scenario does is checked.
//! Answers of a [`LegacyClient`] to questions go straight to the replica that asked: the hop between replicas
//! needs sockets, and is not tried here.

mod check;
mod client;
mod compare;
mod diff;
mod divergence;
mod error;
mod fleet;
mod message;
mod random;
mod replica;
mod schedule;
pub mod script;

pub use check::{Check, CheckError, SEEDS};
pub use client::{Answer, Client, LegacyClient, Listener, accept, cancel, decline};
pub use divergence::Divergence;
pub use error::{CallError, Refusal};
pub use fleet::{BoxError, BuildFailed, Fleet};
pub use message::{Broken, Step};
pub use replica::{Replica, START, Served};
pub use schedule::Schedule;
