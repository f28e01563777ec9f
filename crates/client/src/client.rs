//! The client: one server, whichever era it speaks, and who answers its questions.

use std::sync::Arc;

use anypod_proto::completion::{CompleteResult, CompletionArgument, CompletionContext, CompletionReference};
use anypod_proto::discover::DiscoverResult;
use anypod_proto::jsonrpc::Cursor;
use anypod_proto::method::Method;
use anypod_proto::prompts::{GetPromptResult, ListPromptsResult, Prompt};
use anypod_proto::resources::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceTemplate,
};
use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_proto::tools::{CallToolResult, ListToolsResult, Tool};
use anypod_proto::version::Era;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answerers;
use crate::builder::ClientBuilder;
use crate::cache::Cache;
use crate::call::Call;
use crate::error::{Error, Result};
use crate::exchange::Raw;
use crate::extension;
use crate::limits::Limits;
use crate::listen::Listen;
use crate::lists::List;
use crate::outside::Outside;
use crate::reply::{Reply, Value};
use crate::request::{CacheUse, Options, Request};
use crate::tasks::Task;
use crate::telemetry::Tracer;
use crate::tools::{Known, Mirroring, Tools};
use crate::upstream::Upstream;

/// A client of one server. Cheap to clone; every clone is the same client.
///
/// Making one does no round trip. Requests may be made side by side; over HTTP they share connections, over stdio the
/// one pair of pipes.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) upstream: Upstream,
    pub(crate) answerers: Answerers,
    pub(crate) tools: Tools,
    pub(crate) limits: Arc<Limits>,
    pub(crate) outside: Outside,
    pub(crate) follows_tasks: bool,
    /// The types of results that extensions of the client have defined.
    pub(crate) result_types: Box<[String]>,
    pub(crate) cache: Option<Cache>,
    pub(crate) tracer: Option<Tracer>,
}

impl Client {
    /// A client of the server at `url`, with defaults.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it is no URL of a server.
    pub fn connect(url: &str) -> Result<Self> {
        Self::builder().connect(url)
    }

    /// Begins a client with settings.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(crate) fn of(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The era of the server, as far as it has shown.
    pub fn era(&self) -> Option<Era> {
        self.inner.upstream.era()
    }

    /// Ends what is open towards the server: a legacy session, a child process. Requests under way fail. A client that
    /// is dropped instead ends its child process at once, and leaves a legacy session to expire.
    ///
    /// # Errors
    /// If the server could not be told.
    pub async fn close(&self) -> Result<()> {
        self.inner.upstream.close().await
    }

    /// Runs a tool. `arguments` is what serializes as a JSON object.
    pub fn call(&self, tool: &str, arguments: impl Serialize) -> Request<CallToolResult> {
        Request::new(self, self.inner.tool_call(tool, &arguments))
    }

    /// Runs a tool and reads what it gives as `T`: its structured content, or its text. A failure of the tool is
    /// [`Error::Tool`].
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_as<T: DeserializeOwned + Send + 'static>(
        &self,
        tool: &str,
        arguments: impl Serialize,
    ) -> Result<T> {
        let Value(value) = self.value(tool, arguments).await?;
        Ok(value)
    }

    /// The request of [`Client::call_as`], for who needs options.
    pub fn value<T: DeserializeOwned + Send + 'static>(
        &self,
        tool: &str,
        arguments: impl Serialize,
    ) -> Request<Value<T>> {
        Request::new(self, self.inner.tool_call(tool, &arguments))
    }

    /// What the server says about itself.
    pub fn discover(&self) -> Request<DiscoverResult> {
        Request::new(self, Ok(Call::new(Method::Discover)))
    }

    /// All tools.
    pub fn tools(&self) -> List<Tool> {
        List::new(self)
    }

    /// All prompts.
    pub fn prompts(&self) -> List<Prompt> {
        List::new(self)
    }

    /// All resources.
    pub fn resources(&self) -> List<Resource> {
        List::new(self)
    }

    /// All resource templates.
    pub fn resource_templates(&self) -> List<ResourceTemplate> {
        List::new(self)
    }

    /// One page of the tools.
    pub fn tools_page(&self, cursor: Option<&Cursor>) -> Request<ListToolsResult> {
        self.page(Method::ToolsList, cursor)
    }

    /// One page of the prompts.
    pub fn prompts_page(&self, cursor: Option<&Cursor>) -> Request<ListPromptsResult> {
        self.page(Method::PromptsList, cursor)
    }

    /// One page of the resources.
    pub fn resources_page(&self, cursor: Option<&Cursor>) -> Request<ListResourcesResult> {
        self.page(Method::ResourcesList, cursor)
    }

    /// One page of the resource templates.
    pub fn resource_templates_page(&self, cursor: Option<&Cursor>) -> Request<ListResourceTemplatesResult> {
        self.page(Method::ResourceTemplatesList, cursor)
    }

    pub(crate) fn page<T>(&self, method: Method, cursor: Option<&Cursor>) -> Request<T> {
        Request::new(self, Ok(page_call(method, cursor)))
    }

    /// Reads a resource.
    pub fn read(&self, uri: &str) -> Request<ReadResourceResult> {
        let mut call = Call::new(Method::ResourcesRead);
        call.name = Some(uri.to_owned());
        call.push_text("uri", uri);
        Request::new(self, Ok(call))
    }

    /// Fills in a prompt.
    pub fn prompt<K: Into<String>, V: Into<String>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = (K, V)>,
    ) -> Request<GetPromptResult> {
        let arguments: std::collections::BTreeMap<String, String> =
            arguments.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let mut call = Call::new(Method::PromptsGet);
        call.name = Some(name.to_owned());
        call.push_text("name", name);
        let pushed = if arguments.is_empty() { Ok(()) } else { push_json(&mut call, "arguments", &arguments) };
        Request::new(self, pushed.map(|()| call))
    }

    /// Suggests values for an argument of a prompt or of a resource template.
    pub fn complete(
        &self,
        reference: CompletionReference,
        argument: CompletionArgument,
        context: Option<CompletionContext>,
    ) -> Request<CompleteResult> {
        let mut call = Call::new(Method::Complete);
        let pushed = push_json(&mut call, "ref", &reference)
            .and_then(|()| push_json(&mut call, "argument", &argument))
            .and_then(|()| context.map_or(Ok(()), |context| push_json(&mut call, "context", &context)));
        Request::new(self, pushed.map(|()| call))
    }

    /// Listens for changes: those of the lists, and of resources by URI.
    pub fn listen(&self, filter: SubscriptionFilter) -> Listen {
        Listen::new(self, filter)
    }

    /// A task by its id, whoever began it. `T` is what the request that has become it is answered with.
    pub fn task<T: Reply>(&self, id: impl Into<String>) -> Task<T> {
        Task::new(self, id.into(), Call::default())
    }

    /// A request of any method, such as one of an extension. `name` is what `Mcp-Name` says, if the method has that; `params`
    /// is what serializes as a JSON object, or `()`.
    pub fn request(&self, method: &str, name: Option<&str>, params: &impl Serialize) -> Request<Raw> {
        let mut call = Call { method: method.to_owned().into(), name: name.map(str::to_owned), ..Call::default() };
        let call = extension::members(params).map(|members| {
            call.params = members;
            call
        });
        Request::new(self, call)
    }

    /// The server's settings of the extension of that identifier; `None` if it has not got it.
    ///
    /// # Errors
    /// [`Broken::Result`](crate::Broken::Result) if they are no `S`, and as [`Client::discover`].
    pub async fn extension<S: DeserializeOwned>(&self, id: &str) -> Result<Option<S>> {
        let found = self.discover().await?;
        extension::settings(found.capabilities.extensions.as_ref(), id)
    }
}

impl Inner {
    fn tool_call(&self, tool: &str, arguments: &dyn erased::Json) -> Result<Call> {
        let mut call = Call::new(Method::ToolsCall);
        call.params.reserve(tool.len() + 64);
        call.push_text("name", tool);
        call.name = Some(tool.to_owned());
        let without = call.params.len();
        call.params.extend_from_slice(br#","arguments":"#);
        let at = call.params.len();
        arguments.write(&mut call.params).map_err(|error| Error::Misuse(error.to_string()))?;
        match &call.params[at..] {
            [b'{', ..] => call.arguments_at = Some(at),
            b"null" => call.params.truncate(without),
            _ => return Err(Error::Misuse("the arguments of a tool are a JSON object".to_owned())),
        }
        if let Some(known) = self.tools.find(tool) {
            call.repeat = known.repeat;
            self.mirror(&known, &mut call)?;
        }
        Ok(call)
    }

    fn mirror(&self, known: &Known, call: &mut Call) -> Result<()> {
        call.param_headers = match self.upstream.mirroring() {
            Mirroring::Headers => known.mirror(call.arguments())?,
            Mirroring::None => Vec::new(),
        };
        Ok(())
    }

    /// Mirrors the arguments of a call as the tool is known now.
    pub(crate) fn mirror_again(&self, call: &mut Call) -> Result<()> {
        call.param_headers.clear();
        let known = call.name.as_ref().and_then(|tool| self.tools.find(tool));
        known.map_or(Ok(()), |known| self.mirror(&known, call))
    }

    /// Remembers what is listed.
    pub(crate) fn learn(&self, tools: &mut Vec<Tool>) {
        self.tools.learn(tools, self.upstream.mirroring());
    }

    /// Lists the tools anew until `tool` has come by.
    pub(crate) async fn relist(&self, tool: &str) -> Result<()> {
        let mut cursor = None;
        let mut options = Options { cache: CacheUse::Refresh, ..Options::default() };
        for _ in 0..self.limits.list_pages {
            let mut call = page_call(Method::ToolsList, cursor.as_ref());
            let raw = Box::pin(self.run(&mut call, &mut options)).await?.into_raw()?;
            let mut page: ListToolsResult = raw.read()?;
            self.learn(&mut page.tools);
            let found = page.tools.iter().any(|listed| listed.name == tool);
            match page.next_cursor {
                Some(next) if !found && cursor.as_ref() != Some(&next) => cursor = Some(next),
                Some(_) | None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Holds structured content against the schema that the tool was listed with.
    pub(crate) fn check_output(&self, call: &Call, result: &CallToolResult) -> Result<()> {
        let known = call.name.as_ref().and_then(|tool| self.tools.find(tool));
        known.map_or(Ok(()), |known| known.check(result, &self.limits))
    }
}

pub(crate) fn page_call(method: Method, cursor: Option<&Cursor>) -> Call {
    let mut call = Call::new(method);
    if let Some(Cursor(cursor)) = cursor {
        call.push_text("cursor", cursor);
    }
    call
}

fn push_json(call: &mut Call, key: &'static str, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec(value).map_err(|error| Error::Misuse(error.to_string()))?;
    call.push_param(key, &json);
    Ok(())
}

mod erased {
    /// Something that can be written as JSON, whatever its type.
    pub(super) trait Json {
        fn write(&self, out: &mut Vec<u8>) -> serde_json::Result<()>;
    }

    impl<T: serde::Serialize> Json for T {
        fn write(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
            serde_json::to_writer(out, self)
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
