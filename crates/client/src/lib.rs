//! Calls to MCP servers of either era.

mod answer;
mod call;
mod client;
mod credentials;
pub mod era;
mod error;
mod exchange;
mod http;
mod identity;
mod limits;
mod listen;
mod lists;
mod message;
mod observe;
mod outside;
mod reply;
mod request;
mod rounds;
pub mod stdio;
mod tools;
mod upstream;

pub use anypod_proto as proto;
pub use call::{Answers, Call, Repeat};
pub use client::{Client, ClientBuilder};
pub use credentials::{Bearer, BoxFuture, Challenge, Credentials};
pub use error::{Broken, Error, Result};
pub use exchange::{Answer, Exchange, Incoming, Notice, Raw};
pub use identity::Identity;
pub use limits::Limits;
pub use listen::{End, Event, Listen, Subscription};
pub use lists::{List, Listed};
pub use observe::Observe;
pub use outside::{Entropy, Outside};
pub use reply::{Reply, Value};
pub use request::{Asked, CacheUse, Request, Round};
