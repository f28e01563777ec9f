//! What an extension says about a request before its answer.

use serde::Serialize;

use super::{Told, is_said_by_the_specification};
use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::outbox::Kind;

impl Cx {
    /// Sends a notification of an extension on the stream of this request, before its answer: its method is the extension's, and its
    /// parameters say what it is about, as nothing else does on a transport where all requests share one stream. Sent only if the
    /// client has declared the extension with this request.
    ///
    /// A client that reads slowly misses what does not fit into [`Limits::outbox_messages`](crate::Limits::outbox_messages),
    /// and who works on a task has nobody to tell: what must arrive belongs into the result, or is a [topic](crate::Topics).
    ///
    /// ```
    /// use anypod_server::{Cx, Extension, Result, Server, Told, Tool};
    ///
    /// const ID: &str = "com.example/kitchen";
    ///
    /// async fn cook(cx: Cx) -> Result<&'static str> {
    ///     let params = serde_json::Map::from_iter([("dish".to_owned(), "soup".into())]);
    ///     cx.tell(ID, Told { method: "notifications/kitchen/simmers".to_owned(), params })?;
    ///     Ok("soup")
    /// }
    ///
    /// let cook = Tool::new("cook", cook).needs_extension(ID);
    /// Server::new("kitchen", "1.0.0").extension(Extension::new(ID)).tool(cook).build().unwrap();
    /// ```
    ///
    /// # Errors
    /// If the method is one of the specification, or the server does not have the extension: mistakes of the handler's author, which
    /// the caller sees as an internal error.
    pub fn tell(&self, extension: &str, told: Told) -> Result<()> {
        #[derive(Serialize)]
        struct Message {
            jsonrpc: &'static str,
            #[serde(flatten)]
            told: Told,
        }
        let Told { method, .. } = &told;
        if is_said_by_the_specification(method) {
            return Err(Error::internal(format_args!(
                "`{method}` is the specification's, and not to be told by `{extension}`"
            )));
        }
        if !self.server().inner.registry.extensions.settings.contains_key(extension) {
            return Err(Error::internal(format_args!(
                "`{method}` is told by `{extension}`, which the server does not have"
            )));
        }
        let capabilities = self.call().client.capabilities(self.request());
        if capabilities.extensions.as_ref().is_some_and(|declared| declared.contains_key(extension)) {
            let message = serde_json::to_string(&Message { jsonrpc: "2.0", told }).map_err(Error::internal)?;
            self.call().outbox.push(Kind::Other, message);
        }
        Ok(())
    }
}
