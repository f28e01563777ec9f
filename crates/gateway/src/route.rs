//! A path, and what stays behind it as long as the gateway runs, whatever is configured anew.

use std::sync::Arc;

use anypod_server::{Server, Tokens};

use crate::desk::Desk;
use crate::observe;

/// One path.
pub(crate) struct Route {
    pub(crate) path: Box<str>,
    /// Serves what is not relayed: legacy sessions, streams of changes, and everything that has to be read.
    pub(crate) server: Server,
    /// Answers in the server's place.
    pub(crate) desk: Arc<Desk>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) series: Arc<observe::Route>,
}
