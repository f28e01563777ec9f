//! MCP servers whose every pod can answer.
//!
//! A [`Server`] is made of tools, prompts and resources, each with a handler: an async function over
//! extractors ([`Args`], [`State`], [`Cx`], …). It serves modern and legacy clients, over HTTP
//! ([`Server::serve`], or as a tower service in a router of yours) and over stdio ([`Server::serve_stdio`]).
//! It keeps nothing between two requests, so any replica can answer any request.
//!
//! Not in here: calling servers, standing before several, or storing anything.
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

mod ask;
mod build_error;
mod bus;
mod completed;
mod completion;
mod cx;
mod derive;
mod dispatch;
mod error;
mod extract;
mod front;
mod guard;
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
mod registry;
mod resource;
mod run;
mod schema;
mod serve;
mod server;
mod stdio;
mod telemetry;
mod tokens;
mod tool;
mod variables;

pub use anypod_proto as proto;

pub use crate::http::Body;
pub use ask::{Form, Question, Reply, Roots, Sample, Url, form, form_with_schema, url};
#[expect(deprecated, reason = "deprecated features work until the specification removes them")]
pub use ask::{roots, sample};
pub use build_error::BuildError;
pub use bus::{Bus, BusError, Change, Event, InProcess, Interest, Mailbox, Receiver, SessionChange};
pub use completion::Partial;
pub use cx::Cx;
pub use error::{Error, Result};
pub use extract::{Args, Extract, Needs, RawArgs, State, Uri, Vars};
pub use handler::{Contents, Handler, IntoOutput, Json, Suggestions};
pub use limits::Limits;
pub use once::{InMemory, Once, OnceError};
pub use outside::{Clock, Entropy, Outside};
pub use principal::Principal;
pub use prompt::Prompt;
pub use resource::{CacheHint, Resource, ResourceTemplate};
pub use server::{Server, ServerBuilder};
pub use tool::Tool;
