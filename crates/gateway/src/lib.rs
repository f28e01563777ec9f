//! A stateless gateway before many MCP servers of either era: any replica can answer.
//!
//! It stands before servers of revision 2026-07-28 of the Model Context Protocol and before legacy ones, for clients of
//! both, and keeps nothing between two requests that a restart, or another replica, would miss: what has to be remembered
//! travels, sealed, in a token that the client carries anyway.
//!
//! Three types to know:
//! - [`Config`]: what a gateway is told, read from a file and checked as a whole.
//! - [`Gateway`]: built from it, and configured anew while it works.
//! - [`Bound`]: a gateway whose listeners are bound, ready to serve until it is told to stop.
//!
//! ```no_run
//! use anypod_gateway::{Config, Gateway};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::of_upstreams(&["http://10.0.0.5:9000/mcp".to_owned(), "http://10.0.0.6:9000/mcp".to_owned()]);
//! let gateway = Gateway::new(config, None)?;
//! gateway.bind().await?.serve(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! `pipeline.rs` is where to begin reading: it has the stages of a request in their order.
//!
//! # Not in here
//!
//! Signing callers in: [`config::Token`] is all there is so far. Storing anything. The command line.

mod authenticate;
mod body;
mod cache;
mod catalogue;
pub mod config;
mod desk;
mod failure;
mod federate;
mod gateway;
mod glob;
mod head;
mod http1;
mod hub;
mod inbound;
mod listen;
mod observe;
mod owner;
mod patience;
mod pipeline;
mod plan;
mod policy;
mod rate;
mod reach;
mod relay;
mod room;
mod rounds;
mod route;
mod seal;
mod sessions;
mod start_error;
mod upstream;

pub use config::Config;
pub use gateway::{Bound, Gateway};
pub use observe::report;
pub use start_error::StartError;
