//! The Model Context Protocol, revision 2026-07-28, as types and pure functions.
//!
//! Nothing in this crate does I/O, reads a clock, makes randomness, spawns or logs: time, nonces and
//! bytes come in as arguments. Server, client and gateway ask the same functions, so that they cannot
//! disagree about what a request is.
//!
//! Where to look:
//! - the envelope: [`jsonrpc`], [`scan`], [`escape`], [`admit`], [`verify`], [`edit`], [`header`], [`method`], [`version`], [`code`], [`meta`]
//! - what is said: [`discover`], [`tools`], [`prompts`], [`resources`], [`content`], [`completion`],
//!   [`subscriptions`], [`progress`], [`cancellation`], [`logging`], [`caching`], [`schema`]
//! - what may take long: [`tasks`]
//! - what a server asks of a client: [`rounds`], [`elicitation`], [`sampling`], [`roots`]
//! - sealed tokens: [`seal`]; moments: [`moment`]
//! - what revisions up to 2025-11-25 said otherwise: [`legacy`]

pub mod admit;
pub mod caching;
pub mod cancellation;
pub mod capabilities;
pub mod code;
pub mod completion;
pub mod content;
pub mod discover;
pub mod edit;
pub mod elicitation;
pub mod escape;
pub mod header;
pub mod implementation;
pub mod jsonrpc;
pub mod legacy;
pub mod logging;
pub mod meta;
pub mod method;
pub mod moment;
pub mod name_param;
pub mod param_header;
pub mod progress;
pub mod prompts;
pub mod reject;
pub mod request;
pub mod resources;
pub mod roots;
pub mod rounds;
pub mod sampling;
pub mod scan;
pub mod schema;
pub mod seal;
pub mod sse;
pub mod subscriptions;
pub mod tasks;
pub mod tools;
pub mod trace;
pub mod uri;
pub mod uri_template;
pub mod verify;
pub mod version;
