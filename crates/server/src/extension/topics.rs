//! What extensions tell listeners.

use std::sync::Arc;

use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::jsonrpc::JsonObject;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::BoxFuture;
use crate::error::{Error, Result};
use crate::principal::Principal;

/// Tells listeners of topics of the extension: fields of the filter of `subscriptions/listen`, and notifications, of its own.
///
/// A listener learns *that* a topic has changed, and is told what it is then: between two messages a topic may have changed
/// many times. What a topic is called is up to the extension; listeners never see it.
pub trait Topics: Send + Sync + 'static {
    /// The fields of the filter that are the extension's. No two extensions of a server have one of the same name, and none has one
    /// of the specification's, so that a listener's wish has one meaning.
    fn fields(&self) -> &[&str];

    /// Which topics a listener means. `filter` is the whole filter of the request.
    ///
    /// # Errors
    /// What refuses the request. What is merely not there is left out of what is honoured.
    fn subscribe<'a>(&'a self, listener: &'a Listener, filter: &'a JsonObject) -> BoxFuture<'a, Result<Subscribed>>;

    /// What there is to say of a topic; `None` if nothing.
    ///
    /// # Errors
    /// Why nothing can be said, for the log. After [`Error::busy`] it is asked again when that is over, so that nothing is lost
    /// with what is not there for a while; no other error is.
    fn tell<'a>(&'a self, listener: &'a Listener, topic: &'a str) -> BoxFuture<'a, Result<Option<Told>>>;
}

/// Who listens.
#[derive(Debug, Clone)]
pub struct Listener {
    pub(crate) principal: Option<Principal>,
    pub(crate) capabilities: Arc<ClientCapabilities>,
}

impl Listener {
    /// Who that is, where callers are authenticated.
    pub const fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// What the client can do.
    pub fn capabilities(&self) -> &ClientCapabilities {
        &self.capabilities
    }

    /// The client's settings of the extension of that identifier; `None` if it has not declared it.
    ///
    /// # Errors
    /// If they are no `S`.
    pub fn extension<S: DeserializeOwned>(&self, id: &str) -> Result<Option<S>> {
        declared(&self.capabilities, id)
    }
}

/// What a listener will hear of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subscribed {
    /// Those of the extension's [fields](Topics::fields) that are honoured, with as much of their values as is. Others are left
    /// out.
    pub honoured: JsonObject,
    /// The topics that they stand for. Each is told once at the beginning, as it may have changed just before.
    pub topics: Vec<String>,
}

/// A notification of an extension.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// Its method.
    pub method: String,
    /// Its parameters. On the stream of a listener, `_meta` gets the id of the subscription.
    pub params: JsonObject,
}

/// A client's settings of an extension.
pub(crate) fn declared<S: DeserializeOwned>(capabilities: &ClientCapabilities, id: &str) -> Result<Option<S>> {
    let Some(settings) = capabilities.extensions.as_ref().and_then(|declared| declared.get(id)) else {
        return Ok(None);
    };
    let settings = serde_json::from_value(serde_json::Value::Object(settings.clone()));
    settings.map(Some).map_err(|error| Error::invalid_params(format_args!("the settings of `{id}`: {error}")))
}
