//! What extensions are to legacy clients: a part of the protocol of their revision.

use std::collections::HashMap;
use std::sync::Arc;

use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::tools;
use anypod_proto::version::Version;
use serde_json::Value;

use super::{MethodEntry, MethodResult, is_of_the_specification};
use crate::build_error::{BuildError, Problem};
use crate::handler::{Handler, boxed};
use crate::principal::Principal;
use crate::registry::{States, check_method_needs};
use crate::tool::Tool;

/// What an extension is to legacy clients of some revisions, for [`Extension::legacy`](crate::Extension::legacy).
///
/// A legacy client cannot declare extensions. But what is an extension now may have been a part of the protocol then, or be
/// agreed on by a capability of the session: this serves such clients.
///
/// ```
/// use anypod_server::proto::version::Version;
/// use anypod_server::{Cx, Extension, Json, LegacyPart, Server};
/// use serde_json::json;
///
/// #[derive(serde::Serialize, schemars::JsonSchema)]
/// struct Time { text: String }
///
/// async fn now() -> Json<Time> { Json(Time { text: "noon".to_owned() }) }
///
/// let sessions = LegacyPart::of([Version::V2025_11_25])
///     .capability("clock", |_| Some(json!({ "zones": ["UTC"] })))
///     .method("clock/now", now);
/// let clock = Extension::new("com.example/clock").method("clock/now", now).legacy(sessions);
/// Server::new("clocks", "1.0.0").extension(clock).build().unwrap();
/// ```
pub struct LegacyPart {
    revisions: Arc<[Version]>,
    methods: Vec<(String, Entry)>,
    capabilities: Vec<(String, Declare)>,
    members: Option<Members>,
}

/// A method whose extension is yet to be named.
type Entry = Box<dyn FnOnce(Arc<str>) -> MethodEntry + Send + Sync>;
/// What a session is told of a capability.
type Declare = Box<dyn Fn(Option<&Principal>) -> Option<Value> + Send + Sync>;
/// What the definition of a tool has besides.
type Members = Box<dyn Fn(&MarkedTool<'_>) -> JsonObject + Send + Sync>;

impl LegacyPart {
    /// For sessions of these revisions; those of others know nothing of it.
    pub fn of(revisions: impl IntoIterator<Item = Version>) -> Self {
        Self {
            revisions: revisions.into_iter().collect(),
            methods: Vec::new(),
            capabilities: Vec::new(),
            members: None,
        }
    }

    /// Adds a method. Its handler is as that of [`Extension::method`](crate::Extension::method), which may have the same name: modern
    /// requests never come here, and those of sessions never go there. It can ask while it works, see
    /// [`Cx::ask_on_stream`](crate::Cx::ask_on_stream). The `resultType` of what it gives is left out.
    #[must_use]
    pub fn method<M, H: Handler<MethodResult, M>>(mut self, name: impl Into<String>, handler: H) -> Self {
        let entry = |extension| MethodEntry { handler: boxed(handler), needs: H::needs(), name_param: None, extension };
        self.methods.push((name.into(), Box::new(entry)));
        self
    }

    /// Declares something among the capabilities in the answer to `initialize`. It may depend on who opens the session, where
    /// callers are authenticated; `None` declares nothing.
    #[must_use]
    pub fn capability(
        mut self,
        name: impl Into<String>,
        declare: impl Fn(Option<&Principal>) -> Option<Value> + Send + Sync + 'static,
    ) -> Self {
        self.capabilities.push((name.into(), Box::new(declare)));
        self
    }

    /// Adds members to the definitions of tools, as `tools/list` has them. Asked once for each tool, while the server is built.
    #[must_use]
    pub fn tool_members(mut self, members: impl Fn(&MarkedTool<'_>) -> JsonObject + Send + Sync + 'static) -> Self {
        self.members = Some(Box::new(members));
        self
    }
}

impl std::fmt::Debug for LegacyPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LegacyPart").field("revisions", &self.revisions).finish_non_exhaustive()
    }
}

/// A tool, and what its author has said to extensions.
#[derive(Clone, Copy)]
pub struct MarkedTool<'a> {
    tool: &'a Tool,
}

impl MarkedTool<'_> {
    /// The tool, as lists have it.
    pub const fn definition(&self) -> &tools::Tool {
        &self.tool.definition
    }

    /// What its author has said, see [`Tool::mark`](crate::Tool::mark).
    pub fn mark<T: Clone + Send + Sync + 'static>(&self) -> Option<&T> {
        self.tool.marks.values.get()
    }
}

impl std::fmt::Debug for MarkedTool<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MarkedTool").field(&self.tool.definition.name).finish()
    }
}

/// What the extensions of a server are to legacy clients.
#[derive(Default)]
pub(crate) struct Sessions {
    methods: HashMap<String, (Arc<[Version]>, MethodEntry)>,
    capabilities: Vec<(Arc<[Version]>, String, Declare)>,
    members: Vec<(Arc<[Version]>, Members)>,
}

/// What `initialize` declares by itself.
const DECLARED: [&str; 7] = ["experimental", "logging", "completions", "prompts", "resources", "tools", "extensions"];

impl Sessions {
    /// Adds the part of an extension.
    pub(super) fn add(&mut self, part: LegacyPart, extension: &str, states: &States) -> Result<(), BuildError> {
        let LegacyPart { revisions, methods, capabilities, members } = part;
        for (name, entry) in methods {
            let wrong =
                |problem| BuildError::new(format!("legacy method `{name}` of extension `{extension}`"), problem);
            if is_of_the_specification(&name) {
                return Err(wrong(Problem::Taken));
            }
            let entry = entry(extension.into());
            check_method_needs(&entry.needs, states).map_err(wrong)?;
            if self.methods.contains_key(&name) {
                return Err(wrong(Problem::Twice));
            }
            self.methods.insert(name, (Arc::clone(&revisions), entry));
        }
        for (name, declare) in capabilities {
            let wrong = |problem| BuildError::new(format!("capability `{name}` of extension `{extension}`"), problem);
            if DECLARED.contains(&name.as_str()) {
                return Err(wrong(Problem::Taken));
            }
            if self.capabilities.iter().any(|(_, other, _)| *other == name) {
                return Err(wrong(Problem::Twice));
            }
            self.capabilities.push((Arc::clone(&revisions), name, declare));
        }
        self.members.extend(members.map(|members| (revisions, members)));
        Ok(())
    }

    /// The method of that name, if sessions of that revision have it.
    pub(crate) fn method(&self, name: &str, revision: Version) -> Option<&MethodEntry> {
        self.methods.get(name).filter(|(revisions, _)| revisions.contains(&revision)).map(|(_, entry)| entry)
    }

    /// What a session of that revision is told, by names of capabilities.
    pub(crate) fn capabilities(&self, revision: Version, principal: Option<&Principal>) -> JsonObject {
        let told = self.capabilities.iter().filter(|(revisions, ..)| revisions.contains(&revision));
        told.filter_map(|(_, name, declare)| Some((name.clone(), declare(principal)?))).collect()
    }

    /// What the definition of a tool has besides in sessions of that revision.
    pub(crate) fn members(&self, revision: Version, tool: &Tool) -> JsonObject {
        let added = self.members.iter().filter(|(revisions, _)| revisions.contains(&revision));
        added.flat_map(|(_, members)| members(&MarkedTool { tool })).collect()
    }
}
