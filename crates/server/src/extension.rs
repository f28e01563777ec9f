//! Extensions of the protocol, as a server offers them: what is said of them, their methods, what they do about calls of tools,
//! and what they tell listeners.
//!
//! Whether an extension is used is settled with each request: the client declares it among its capabilities, or it does not.
//! A method of an extension answers those who do; what stands before tools ([`Intercept`]) decides what others get.
//!
//! Spec: basic/index, "Extensions"; SEP-2133.

mod intercept;
mod method;
mod offered;
mod sessions;
mod topics;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use anypod_proto::capabilities::{ClientCapabilities, NamedSettings};
use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::method::{LegacyMethod, Method};
use anypod_proto::reject::Rejection;
use serde::Serialize;

use crate::backend::BoxFuture;
use crate::build_error::{BuildError, Problem};
use crate::handler::{Boxed, Handler, boxed};
use crate::registry::States;
use crate::resource::Resource;
use crate::server::Server;

pub use intercept::{Intercept, ToolCall, Verdict};
pub use method::{MethodResult, Params};
pub use offered::Offered;
pub(crate) use sessions::Sessions;
pub use sessions::{LegacyPart, MarkedTool};
pub(crate) use topics::declared;
pub use topics::{Listener, Subscribed, Told, Topics};

/// An extension of the protocol, for [`ServerBuilder::extension`](crate::ServerBuilder::extension).
///
/// ```
/// use anypod_server::{Cx, Extension, Json, Params, Server};
///
/// /// What the extension's settings are; a client may have some, too.
/// #[derive(serde::Serialize)]
/// struct Offers { zones: Vec<String> }
///
/// #[derive(serde::Deserialize)]
/// struct Now { zone: String }
///
/// #[derive(serde::Serialize, schemars::JsonSchema)]
/// struct Time { text: String }
///
/// async fn now(Params(Now { zone }): Params<Now>) -> Json<Time> {
///     Json(Time { text: format!("noon in {zone}") })
/// }
///
/// let clock = Extension::new("com.example/clock")
///     .settings(Offers { zones: vec!["UTC".to_owned()] })
///     .method("clock/now", now);
/// Server::new("clocks", "1.0.0").extension(clock).build().unwrap();
/// ```
pub struct Extension {
    id: String,
    settings: Result<JsonObject, String>,
    methods: Vec<(String, MethodEntry)>,
    intercepts: Vec<Arc<dyn Intercept>>,
    topics: Option<Arc<dyn Topics>>,
    work: Vec<Work>,
    resources: Vec<Resource>,
    checks: Vec<Check>,
    legacy: Legacy,
    parts: Vec<LegacyPart>,
}

/// Whether legacy clients are told of an extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Legacy {
    Silent,
    Told,
}

/// What an extension has to say against what a server offers.
pub(crate) type Check = Box<dyn Fn(&Offered<'_>) -> Result<(), String> + Send + Sync>;

/// What an extension does on its own, for as long as the server works.
pub(crate) type Work = Box<dyn Fn(Server) -> BoxFuture<'static, ()> + Send + Sync>;

/// A method of an extension, ready to be called.
pub(crate) struct MethodEntry {
    pub(crate) handler: Boxed<MethodResult>,
    needs: crate::extract::Needs,
    /// The member of `params` that `Mcp-Name` mirrors.
    pub(crate) name_param: Option<&'static str>,
    /// What the client has to declare.
    pub(crate) extension: Arc<str>,
}

impl Extension {
    /// An extension of that identifier, such as `com.example/clock`: a reversed domain, a slash and a name.
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            id,
            settings: Ok(JsonObject::new()),
            methods: Vec::new(),
            intercepts: Vec::new(),
            topics: None,
            work: Vec::new(),
            resources: Vec::new(),
            checks: Vec::new(),
            legacy: Legacy::Silent,
            parts: Vec::new(),
        }
    }

    /// What the server says of it in `server/discover`: an object. Nothing by default.
    #[must_use]
    pub fn settings(mut self, settings: impl Serialize) -> Self {
        self.settings = match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(settings)) => Ok(settings),
            Ok(_) => Err("they are no object".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        self
    }

    /// Adds a method. Its handler takes its parameters as [`Params`], and answers with [`Json`](crate::Json) or
    /// [`MethodResult`]. Who has not declared the extension is refused (-32021).
    #[must_use]
    pub fn method<M, H: Handler<MethodResult, M>>(self, name: impl Into<String>, handler: H) -> Self {
        self.add(name.into(), None, handler)
    }

    /// The same for a method that is about something: over HTTP, `Mcp-Name` has to say the same as `params.<member>`, which
    /// is a string.
    #[must_use]
    pub fn named_method<M, H: Handler<MethodResult, M>>(
        self,
        name: impl Into<String>,
        member: &'static str,
        handler: H,
    ) -> Self {
        self.add(name.into(), Some(member), handler)
    }

    fn add<M, H: Handler<MethodResult, M>>(
        mut self,
        name: String,
        name_param: Option<&'static str>,
        handler: H,
    ) -> Self {
        let extension = self.id.as_str().into();
        let entry = MethodEntry { handler: boxed(handler), needs: H::needs(), name_param, extension };
        self.methods.push((name, entry));
        self
    }

    /// Stands before every call of a tool. Of several, the one that was added first is asked first.
    #[must_use]
    pub fn intercept(mut self, intercept: impl Intercept) -> Self {
        self.intercepts.push(Arc::new(intercept));
        self
    }

    /// Tells listeners of topics of its own.
    #[must_use]
    pub fn topics(mut self, topics: impl Topics) -> Self {
        self.topics = Some(Arc::new(topics));
        self
    }

    /// Does this from when the server begins to work until it ends, see [`Server::work`]. On [`Server::drained`] it should
    /// bring to an end what it has begun.
    #[must_use]
    pub fn work<F>(mut self, work: impl Fn(Server) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.work.push(Box::new(move |server| Box::pin(work(server))));
        self
    }

    /// Brings a resource along: the server offers it behind its own.
    #[must_use]
    pub fn resource(mut self, resource: Resource) -> Self {
        self.resources.push(resource);
        self
    }

    /// Looks at what the server offers while it is built, to find mistakes about the extension. The text says what is wrong,
    /// where, and what to do.
    #[must_use]
    pub fn check(mut self, check: impl Fn(&Offered<'_>) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// Tells legacy clients of the extension, too, in the answer to `initialize`: for extensions that work with what they can
    /// do. What such a client says of an extension does not outlast `initialize`: [`Cx::extension`](crate::Cx::extension)
    /// knows nothing of it, and the extension's methods are unknown to it, but those of a [`LegacyPart`].
    #[must_use]
    pub const fn in_legacy_sessions(mut self) -> Self {
        self.legacy = Legacy::Told;
        self
    }

    /// Serves legacy clients of some revisions with what is theirs.
    #[must_use]
    pub fn legacy(mut self, part: LegacyPart) -> Self {
        self.parts.push(part);
        self
    }

    pub(crate) fn take_resources(&mut self) -> Vec<Resource> {
        std::mem::take(&mut self.resources)
    }
}

/// The extensions of a server.
#[derive(Default)]
pub(crate) struct Extensions {
    pub(crate) settings: NamedSettings,
    /// The settings of those that legacy clients are told of.
    pub(crate) legacy: NamedSettings,
    pub(crate) methods: HashMap<String, MethodEntry>,
    pub(crate) sessions: Sessions,
    pub(crate) intercepts: Box<[Arc<dyn Intercept>]>,
    pub(crate) topics: Box<[(String, Arc<dyn Topics>)]>,
    pub(crate) work: Box<[Work]>,
    checks: Box<[(String, Check)]>,
}

impl Extensions {
    /// Checks extensions: identifiers and methods are unique and none of the specification's own, settings are objects.
    pub(crate) fn build(offered: Vec<Extension>, mut work: Vec<Work>, states: &States) -> Result<Self, BuildError> {
        let mut all = Self::default();
        let (mut intercepts, mut topics, mut checks) = (Vec::new(), Vec::new(), Vec::new());
        for extension in offered {
            let item = format!("extension `{}`", extension.id);
            let wrong = |problem| BuildError::new(item.clone(), problem);
            if !is_identifier(&extension.id) {
                return Err(wrong(Problem::NotAnIdentifier));
            }
            let settings = extension.settings.map_err(|problem| wrong(Problem::Settings(problem)))?;
            if extension.legacy == Legacy::Told {
                all.legacy.insert(extension.id.clone(), settings.clone());
            }
            if all.settings.insert(extension.id.clone(), settings).is_some() {
                return Err(wrong(Problem::Twice));
            }
            for (name, entry) in extension.methods {
                let item = format!("method `{name}` of {item}");
                let wrong = |problem| BuildError::new(item.clone(), problem);
                if is_of_the_specification(&name) {
                    return Err(wrong(Problem::Taken));
                }
                crate::registry::check_method_needs(&entry.needs, states).map_err(wrong)?;
                if all.methods.insert(name, entry).is_some() {
                    return Err(wrong(Problem::Twice));
                }
            }
            for part in extension.parts {
                all.sessions.add(part, &extension.id, states)?;
            }
            intercepts.extend(extension.intercepts);
            topics.extend(extension.topics.map(|topics| (extension.id.clone(), topics)));
            work.extend(extension.work);
            checks.extend(extension.checks.into_iter().map(|check| (item.clone(), check)));
        }
        let (intercepts, topics) = (intercepts.into(), topics.into());
        Ok(Self { intercepts, topics, work: work.into(), checks: checks.into(), ..all })
    }

    /// Has them look at what the server offers.
    pub(crate) fn check(&self, offered: &Offered<'_>) -> Result<(), BuildError> {
        let found = |item: &String, problem| BuildError::new(item, Problem::Offered(problem));
        self.checks.iter().try_for_each(|(item, check)| check(offered).map_err(|problem| found(item, problem)))
    }
}

impl MethodEntry {
    /// Refuses whoever has not declared the extension.
    pub(crate) fn check(&self, declared: &ClientCapabilities) -> Result<(), Rejection> {
        match declared.missing(&declares(&self.extension)) {
            Some(missing) => Err(Rejection::MissingCapability(Box::new(missing))),
            None => Ok(()),
        }
    }
}

/// What a client declares that has the extension of that identifier.
pub(crate) fn declares(id: &str) -> ClientCapabilities {
    let extensions = NamedSettings::from([(id.to_owned(), JsonObject::new())]);
    ClientCapabilities { extensions: Some(extensions), ..ClientCapabilities::default() }
}

/// Spec: basic/index, "`_meta`", whose rules for prefixes and names hold for extensions too; the prefix is required.
fn is_identifier(id: &str) -> bool {
    let ends = |text: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        edge(text.bytes().next()) && edge(text.bytes().last())
    };
    let label = |label: &str| ends(label) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    id.split_once('/')
        .is_some_and(|(prefix, name)| prefix.split('.').all(label) && ends(name) && name.bytes().all(inside))
}

fn is_of_the_specification(method: &str) -> bool {
    Method::parse(method).is_some() || LegacyMethod::parse(method).is_some()
}

impl std::fmt::Debug for Extension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Extension").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_a_domain_and_a_name() {
        for id in ["io.modelcontextprotocol/tasks", "com.example/a_b-c.1", "example/x"] {
            assert!(is_identifier(id), "{id}");
        }
        for id in ["tasks", "/tasks", "com.example/", "com..example/x", "-a.b/c", "a.b/c-", "a b/c", "a.b/c/d", ""] {
            assert!(!is_identifier(id), "{id}");
        }
    }
}
