//! Calls to MCP servers of either era.

mod call;
mod credentials;
mod error;
mod exchange;
mod http;
mod identity;
mod legacy;
mod limits;
mod message;
mod observe;

pub use anypod_proto as proto;
pub use call::{Answers, Call, Repeat};
pub use credentials::{Bearer, BoxFuture, Challenge, Credentials};
pub use error::{Broken, Error, Result};
pub use exchange::{Answer, Exchange, Incoming, Notice, Raw};
pub use identity::Identity;
pub use limits::Limits;
pub use observe::Observe;
