//! Calls to MCP servers of either era.
//!
//! A [`Client`] calls one server: over HTTP, as a child process, over a pair of pipes, or as a value in the same
//! process. It speaks revision 2026-07-28 of the Model Context Protocol, and to servers that do not, the legacy revisions
//! down to 2025-03-26. Which of them a server speaks shows in its answers; the code that calls is the same.
//!
//! Three types to know:
//! - [`Client`]: one server. Cheap to clone, and made without a round trip. [`Client::builder`] begins one with settings.
//! - [`Request`]: something to ask, with its options. Awaiting it sends it and sees it through, questions and tasks
//!   included; dropping the future cancels it.
//! - [`Error`]: why there is no result, sorted by whose fault it is, so that one can tell what may be tried again.
//!
//! # A client
//!
//! Besides this crate it needs `serde_json` for the arguments, and `tokio` (with `macros` and `rt-multi-thread`), which
//! runs it. Values of your own need `serde`.
//!
//! ```no_run
//! use anypod_client::Client;
//! use serde_json::{Value, json};
//!
//! #[tokio::main]
//! async fn main() -> anypod_client::Result<()> {
//!     let client = Client::connect("http://127.0.0.1:8080/mcp")?;
//!     let sum: Value = client.call_as("add", json!({ "a": 1, "b": 2 })).await?;
//!     println!("{sum}");
//!     client.close().await
//! }
//! ```
//!
//! This is the example `call`, and `anypod up` starts a server for it. The example `tour` shows the rest: questions,
//! progress, subscriptions, tasks.
//!
//! # Servers ask
//!
//! In the middle of a call a server may want something of the person, the model or the file system. Who answers is
//! registered once, for all calls ([`ClientBuilder::on_form`] and its siblings), and registering is what declares the
//! capability: nobody is asked what nobody answers. Whoever would rather see every round uses [`Request::round`]. A
//! legacy server asks on an open stream, and the answerers cannot tell.
//!
//! # Results are kept
//!
//! Lists, resources and `server/discover` are answered from memory for as long as the server allows, until a
//! notification says otherwise: see [`CacheUse`]. [`Request::fetched`] tells how old a result is.
//!
//! # Tests
//!
//! Whatever is a service of HTTP requests can be called without a network, along the same path. A `Server` of
//! `anypod-server` is one, so a test of handlers is a few lines:
//!
//! ```
//! use anypod_client::Client;
//! use anypod_server::{Args, Server, Tool};
//!
//! #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! struct Add { a: i64, b: i64 }
//!
//! async fn add(Args(Add { a, b }): Args<Add>) -> String { (a + b).to_string() }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new("adder", "1.0.0").tool(Tool::new("add", add)).build()?;
//! let client = Client::builder().service(server);
//! assert_eq!(client.call_as::<i64>("add", Add { a: 1, b: 2 }).await?, 3);
//! # Ok(())
//! # }
//! ```
//!
//! # Safe by default
//!
//! A server is not trusted. Everything that it sends has a bound with a name: see [`Limits`]. Its certificate is
//! checked against the platform's authorities, it is never followed to another origin, and what has been asked of it
//! is held against what it answers. A request that may have run is sent again only if that does no harm:
//! [`Error::OutcomeUnknown`] says that nobody knows, and [`Request::repeatable`] says that it does not matter.
//!
//! # Not in here
//!
//! Signing in: [`Credentials`] is where that goes. Several servers at once: make a client for each. Compressed bodies,
//! which are neither asked for nor taken. The HTTP+SSE transport of 2024-11-05. Choosing tools for a model, or showing
//! questions to a person, which is the host's.

mod answer;
mod builder;
mod cache;
mod call;
mod client;
mod credentials;
mod endpoint;
pub mod era;
mod error;
mod exchange;
mod extension;
mod http;
mod identity;
mod legacy;
mod limits;
mod listen;
mod lists;
mod message;
mod observe;
mod outside;
mod refusal;
mod reply;
mod request;
mod rounds;
pub mod stdio;
mod tasks;
mod telemetry;
mod tools;
mod upstream;

pub use anypod_proto as proto;
pub use builder::ClientBuilder;
pub use cache::{CacheStore, Fetched, Keep, Kept, MemoryCache};
pub use call::{Answers, Call, Repeat};
pub use client::Client;
pub use credentials::{Bearer, BoxFuture, Challenge, Credentials};
pub use endpoint::{Endpoint, ModernUpstream, Posted, Probed, Ready, Sent};
pub use error::{Broken, Error, Result};
pub use exchange::{Answer, Exchange, Incoming, Notice, Raw};
pub use extension::Extension;
pub use http::connect::{HttpVersion, InProcess, Proxy, Tls};
// For the gateway, whose connections carry bytes that are no calls: what has not run is decided once. It speaks of a type of
// hyper's, so it is no part of what is promised.
#[doc(hidden)]
pub use http::connect::is_refused;
pub use identity::Identity;
pub use legacy::LegacyUpstream;
pub use limits::Limits;
pub use listen::{End, Event, Listen, Subscription};
pub use lists::{List, Listed};
pub use observe::Observe;
pub use outside::{Entropy, Outside};
pub use refusal::Refusal;
pub use reply::{Json, Reply, Value};
pub use request::{Asked, CacheUse, Request, Round};
pub use tasks::{Started, Task};
pub use telemetry::Trace;

/// The page for those who embed the client: what it shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/client.md")]
struct Page;
