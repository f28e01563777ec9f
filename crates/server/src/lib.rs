//! MCP servers whose every pod can answer.
//!
//! You write handlers: async functions over extractors that return text, content, structured output or an
//! error. The crate makes of them a tower service and a stdio loop that speak the Model Context Protocol,
//! revision 2026-07-28, and the legacy revisions down to 2025-03-26. A server keeps nothing between two
//! requests, so any replica with the same keys can answer any of them, behind the plainest balancer.
//!
//! Three types to know:
//! - [`Server`]: tools, prompts and resources, built once and checked while it is built. It listens
//!   ([`Server::listen`]), takes a listener of yours ([`Server::serve`]), is a service for a router of yours,
//!   and serves stdio ([`Server::serve_stdio`]).
//! - [`Tool`]: a name, a handler, and what the model is told about it. [`Prompt`], [`Resource`] and
//!   [`ResourceTemplate`] are its siblings.
//! - [`Cx`]: the context of one call, an extractor like [`Args`] and [`State`]. A handler asks the user with
//!   [`Cx::ask`] and runs an effect once with [`Cx::step`].
//!
//! # A server
//!
//! Besides this crate it needs `serde` (with `derive`) and `schemars` 1, whose derives describe its arguments, and
//! `tokio` (with `macros` and `rt-multi-thread`), which runs it.
//!
//! ```
//! use anypod_server::{Args, BuildError, Server, Tool};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Add { a: i64, b: i64 }
//!
//! async fn add(Args(Add { a, b }): Args<Add>) -> String { (a + b).to_string() }
//!
//! fn server() -> Result<Server, BuildError> {
//!     Server::new("adder", "1.0.0").tool(Tool::new("add", add).description("Adds two numbers")).build()
//! }
//! # server().unwrap();
//! ```
//!
//! # Handlers that ask are replayed
//!
//! A question to a modern client ends the round: the client brings the answer with a new request, perhaps to
//! another pod, and the handler runs again from the start. What it asked and what its steps gave travels with
//! the client, sealed; [`Cx::ask`] and [`Cx::step`] return it at once. So a handler that asks puts every
//! effect into a step and decides by nothing but its arguments, answers and steps. The example `refund` is
//! one. A legacy client is asked on its open stream, and the handler cannot tell.
//!
//! A step runs once per *recorded* result: the record leaves with the round's answer. If that answer is lost
//! and the client sends the round again, the steps of that round run again. Give effects that must not
//! happen twice an idempotency key; [`Tool::single_use`] turns a repeated round away.
//!
//! # State across calls
//!
//! What one call leaves for the next has a [`Handle`], which a tool gives back and others take among their arguments.
//! [`Handles`] keeps what it stands for in a store, or sealed in the handle. The example `cart` has one.
//!
//! # Replicas
//!
//! `anypod-testkit` runs several replicas of a server in one process and finds state that sits in one of them.
//!
//! Replicas share a key ring ([`ServerBuilder::keys`]), or they do not understand each other's tokens; saying
//! how many there are ([`ServerBuilder::replicas`]) makes a forgotten ring an error. Changes that listeners
//! on every pod should hear of need a shared [`Bus`].
//!
//! # Safe by default
//!
//! `Host` and `Origin` are checked, and every body, queue, stream and wait has a bound with a name: see
//! [`Limits`]. Whoever listens on more than loopback names the hosts with [`ServerBuilder::allow_host`] and
//! puts something that authenticates callers in front, which tells the server who calls by a [`Principal`] in
//! the request's extensions.
//!
//! # In place of handlers
//!
//! Who stands before other servers builds a server with a [`Backend`], see [`ServerBuilder::backend`]: it is asked what
//! clients of either era ask, as modern requests, and the server sees to the rest.
//!
//! # Not in here
//!
//! Calling servers, standing before several of them, storing anything, terminating TLS, signing callers in.

mod apps;
mod ask;
mod backend;
mod build_error;
mod builder;
mod bus;
mod completed;
mod completion;
mod cx;
mod derive;
mod detached;
mod dispatch;
mod error;
mod extension;
mod extract;
mod front;
mod guard;
mod handle;
mod handler;
mod http;
mod journal;
mod limits;
mod listen;
mod listing;
mod load;
mod once;
mod outbox;
mod outside;
mod principal;
mod prompt;
mod rate;
mod registry;
mod resource;
mod run;
mod serve;
mod server;
mod stdio;
mod stored;
mod tasks;
mod telemetry;
mod tokens;
mod tool;
mod variables;

pub use anypod_proto as proto;
pub use anypod_proto::caching::Caching;
pub use anypod_store as store;

pub use crate::http::{Accepts, Body};
pub use apps::{App, AppHost, Apps, Csp, Permission, Visibility};
pub use ask::{Form, Question, Reply, Roots, Sample, Url, form, form_with_schema, url};
#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
pub use ask::{roots, sample};
pub use backend::{Answered, Aside, Asked, Backend, BoxFuture, Caller, Listened, Notices, Refusal, Teller};
pub use build_error::BuildError;
pub use builder::ServerBuilder;
pub use bus::{Bus, BusError, Change, Event, InProcess, Interest, Mailbox, Receiver, Seat, SessionChange, Topic};
pub use completion::Partial;
pub use cx::{Cx, Trace};
pub use detached::{Answer, Detached, DetachedRun, Keeper, Stop};
pub use error::{Error, Result};
pub use extension::{
    Extension, Intercept, LegacyPart, Listener, MarkedTool, MethodResult, Offered, Params, Subscribed, Told, ToolCall,
    Topics, Verdict,
};
pub use extract::{Args, Extract, Needs, RawArgs, State, Uri, Vars};
pub use front::is_hop;
pub use guard::Guard;
pub use handle::{Handle, Handles, Held, Ttl};
pub use handler::{Contents, Handler, IntoOutput, Json, Suggestions};
pub use limits::Limits;
pub use load::Permit;
pub use once::{InMemory, Once, OnceError};
pub use outside::{Clock, Entropy, Outside};
pub use principal::Principal;
pub use prompt::Prompt;
pub use rate::Rate;
pub use resource::{Resource, ResourceTemplate};
pub use serve::Stalling;
pub use server::Server;
pub use stored::{StoreBus, StoreOnce};
pub use tasks::{AsTask, Tasks};
pub use tokens::{Binding, Tokens};
pub use tool::Tool;
