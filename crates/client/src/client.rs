//! The client: one server, whichever era it speaks, and who answers its questions.

use std::sync::Arc;

use anypod_proto::capabilities::{ClientCapabilities, SamplingCapability};
use anypod_proto::completion::{CompleteResult, CompletionArgument, CompletionContext, CompletionReference};
use anypod_proto::discover::DiscoverResult;
use anypod_proto::elicitation::{ElicitRequestFormParams, ElicitRequestUrlParams, ElicitResult};
use anypod_proto::implementation::Implementation;
use anypod_proto::jsonrpc::{Cursor, JsonObject};
use anypod_proto::method::Method;
use anypod_proto::prompts::{GetPromptResult, ListPromptsResult, Prompt};
use anypod_proto::resources::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceTemplate,
};
use anypod_proto::roots::Root;
use anypod_proto::sampling::{CreateMessageRequestParams, CreateMessageResult};
use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_proto::tools::{CallToolResult, ListToolsResult, Tool};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::Answerers;
use crate::call::Call;
use crate::credentials::Credentials;
use crate::error::{Error, Result, Source};
use crate::exchange::{Notice, Raw};
use crate::http::modern::Modern;
use crate::http::{Connection, Settings, Wire};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::listen::Listen;
use crate::lists::List;
use crate::observe::Observe;
use crate::outside::Outside;
use crate::reply::Value;
use crate::request::Request;
use crate::tools::Tools;
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

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
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
        let mut call = Call::new(method);
        if let Some(Cursor(cursor)) = cursor {
            call.push_text("cursor", cursor);
        }
        Request::new(self, Ok(call))
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

    /// A request of any method, such as one of an extension. `name` is what `Mcp-Name` says, if the method has that.
    pub fn request(&self, method: &str, name: Option<&str>, params: &JsonObject) -> Request<Raw> {
        let mut call = Call { method: method.to_owned().into(), name: name.map(str::to_owned), ..Call::default() };
        let json = serde_json::to_vec(params).map_err(|error| Error::Misuse(error.to_string()));
        let call = json.map(|json| {
            call.params = json[1..json.len() - 1].to_vec();
            call
        });
        Request::new(self, call)
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
        self.prepare(&mut call)?;
        Ok(call)
    }

    /// Adds what is known about the tool that is called.
    pub(crate) fn prepare(&self, call: &mut Call) -> Result<()> {
        let Some(known) = call.name.as_ref().and_then(|tool| self.tools.find(tool)) else { return Ok(()) };
        call.repeat = known.repeat;
        call.param_headers = known.mirror(call.arguments())?;
        Ok(())
    }

    pub(crate) async fn relist(&self) -> Result<()> {
        Ok(())
    }

    pub(crate) fn noticed(&self, _notice: &Notice) {}

    /// Changes may have been missed: nothing that is kept is known to be true.
    pub(crate) fn missed_changes(&self) {}

    pub(crate) fn check_output(&self, _call: &Call, _result: &CallToolResult) -> Result<()> {
        Ok(())
    }
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

/// Builds a [`Client`].
#[must_use]
pub struct ClientBuilder {
    info: Implementation,
    capabilities: ClientCapabilities,
    answerers: Answerers,
    limits: Limits,
    outside: Outside,
    settings: Settings,
}

impl ClientBuilder {
    fn new() -> Self {
        Self {
            info: Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            capabilities: ClientCapabilities::default(),
            answerers: Answerers::default(),
            limits: Limits::default(),
            outside: Outside::real(),
            settings: Settings::default(),
        }
    }

    /// Who calls: a name and a version. This crate's by default.
    pub fn info(mut self, info: Implementation) -> Self {
        self.info = info;
        self
    }

    /// Declares capabilities besides those that follow from the answerers, such as extensions.
    pub fn capabilities(mut self, capabilities: ClientCapabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Other bounds than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Randomness of your own, for tests.
    pub fn outside(mut self, outside: Outside) -> Self {
        self.outside = outside;
        self
    }

    /// A header that every HTTP request carries.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.settings.headers.append(name, value);
        self
    }

    /// Headers that every HTTP request carries.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.settings.headers.extend(headers);
        self
    }

    /// Who knows credentials, such as [`Bearer`](crate::Bearer).
    pub fn credentials(mut self, credentials: impl Credentials) -> Self {
        self.settings.credentials = Some(Arc::new(credentials));
        self
    }

    /// Who watches what goes over the wire.
    pub fn observe(mut self, observer: impl Observe) -> Self {
        self.settings.observer = Some(Arc::new(observer));
        self
    }

    /// Answers forms, and declares it.
    pub fn on_form<E, F, Fut>(mut self, answer: F) -> Self
    where
        F: Fn(ElicitRequestFormParams) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ElicitResult, E>> + Send + 'static,
        E: Into<Source>,
    {
        self.answerers.on_form(answer);
        self
    }

    /// Sends the person to URLs, and declares it.
    pub fn on_url<E, F, Fut>(mut self, answer: F) -> Self
    where
        F: Fn(ElicitRequestUrlParams) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<ElicitResult, E>> + Send + 'static,
        E: Into<Source>,
    {
        self.answerers.on_url(answer);
        self
    }

    /// Asks a model, and declares it.
    ///
    /// Deprecated since 2026-07-28, but servers still ask.
    pub fn on_sampling<E, F, Fut>(mut self, capability: SamplingCapability, answer: F) -> Self
    where
        F: Fn(CreateMessageRequestParams) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<CreateMessageResult, E>> + Send + 'static,
        E: Into<Source>,
    {
        self.answerers.on_sampling(capability, answer);
        self
    }

    /// Names the roots, and declares it.
    ///
    /// Deprecated since 2026-07-28, but servers still ask.
    pub fn on_roots<E, F, Fut>(mut self, answer: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<Root>, E>> + Send + 'static,
        E: Into<Source>,
    {
        self.answerers.on_roots(answer);
        self
    }

    /// A client of the server at `url`. Does no round trip.
    ///
    /// # Errors
    /// [`Error::Misuse`] if it is no URL of a server.
    pub fn connect(self, url: &str) -> Result<Client> {
        let uri: Uri = url.parse().map_err(|error| Error::Misuse(format!("{url:?} is no URL: {error}")))?;
        Ok(self.over(uri, Connection::new()))
    }

    /// A client of a service in this process, such as a `Server`: the same path as over HTTP, without a network.
    pub fn service<S, B>(self, service: S) -> Client
    where
        S: tower_service::Service<http::Request<Full<Bytes>>, Response = http::Response<B>>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        S::Error: Into<Source>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Source>,
    {
        self.over(Uri::from_static("http://localhost/mcp"), Connection::service(service))
    }

    fn over(self, uri: Uri, connection: Connection) -> Client {
        let Self { info, mut capabilities, answerers, limits, outside, settings } = self;
        answerers.declare(&mut capabilities);
        let limits = Arc::new(limits);
        let identity = Arc::new(Identity::new(info, capabilities));
        let wire = Arc::new(Wire::new(uri, connection, settings, Arc::clone(&limits)));
        let upstream = Upstream::new(Modern::new(wire, identity));
        let tools = Tools::new(limits.remembered_tools);
        Client { inner: Arc::new(Inner { upstream, answerers, tools, limits, outside }) }
    }
}
