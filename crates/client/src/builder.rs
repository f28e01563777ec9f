//! How a client is made: who it is, who answers for it, how it reaches its server.

use std::net::IpAddr;
use std::sync::Arc;

use anypod_proto::capabilities::{ClientCapabilities, SamplingCapability};
use anypod_proto::elicitation::{ElicitRequestFormParams, ElicitRequestUrlParams, ElicitResult};
use anypod_proto::implementation::Implementation;
use anypod_proto::roots::Root;
use anypod_proto::sampling::{CreateMessageRequestParams, CreateMessageResult};
use anypod_proto::tasks;
use anypod_proto::version::Era;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::answer::Answerers;
use crate::cache::{Asker, Cache, CacheStore, MemoryCache};
use crate::client::{Client, Inner};
use crate::credentials::Credentials;
use crate::endpoint::Endpoint;
use crate::era::{EraStore, Eras, ServerName};
use crate::error::{Result, Source};
use crate::extension::Extension;
use crate::http::connect::{self, HttpVersion, InProcess, Proxy, Target, Tls};
use crate::http::{Connection, Settings, Wire};
use crate::identity::Identity;
use crate::legacy::LegacyUpstream;
use crate::limits::Limits;
use crate::observe::Observe;
use crate::outside::Outside;
use crate::stdio;
use crate::telemetry::{Trace, Tracer};
use crate::tools::Tools;
use crate::upstream::Upstream;

/// Where a service in this process is, as requests to it say.
const INSIDE: &str = "http://localhost/mcp";

/// Builds a [`Client`].
#[must_use]
pub struct ClientBuilder {
    info: Implementation,
    capabilities: ClientCapabilities,
    answerers: Answerers,
    limits: Limits,
    outside: Outside,
    settings: Settings,
    network: connect::Settings,
    follows_tasks: bool,
    extensions: Vec<Extension>,
    era: Option<Era>,
    eras: Arc<dyn EraStore>,
    cache: CacheChoice,
    tracer: Option<Tracer>,
}

/// Where results are kept.
#[derive(Default)]
enum CacheChoice {
    #[default]
    Memory,
    Store(Arc<dyn CacheStore>),
    None,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            info: Implementation::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")),
            capabilities: ClientCapabilities::default(),
            answerers: Answerers::default(),
            limits: Limits::default(),
            outside: Outside::real(),
            settings: Settings::default(),
            network: connect::Settings::default(),
            follows_tasks: true,
            extensions: Vec::new(),
            era: None,
            eras: Arc::new(Eras::default()),
            cache: CacheChoice::default(),
            tracer: None,
        }
    }

    /// Who calls: a name and a version. This crate's by default.
    pub fn info(mut self, info: Implementation) -> Self {
        self.info = info;
        self
    }

    /// Declares capabilities besides those that follow from the answerers and from
    /// [extensions](ClientBuilder::extension).
    pub fn capabilities(mut self, capabilities: ClientCapabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Declares an extension.
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Takes part in no tasks: servers then answer at once, or refuse what they can only do as a task.
    pub const fn without_tasks(mut self) -> Self {
        self.follows_tasks = false;
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

    /// Where results are kept that the server allows to keep. By default in a [`MemoryCache`] of
    /// [`Limits::cache_bytes`] of its own.
    pub fn cache(mut self, store: impl CacheStore) -> Self {
        self.cache = CacheChoice::Store(Arc::new(store));
        self
    }

    /// Keeps no results: every request asks the server.
    pub fn without_cache(mut self) -> Self {
        self.cache = CacheChoice::None;
        self
    }

    /// Where the trace context of requests comes from. Asked once for every request, when it is sent and within its
    /// span, so that it can speak of the current one.
    pub fn trace(mut self, tracer: impl Fn() -> Option<Trace> + Send + Sync + 'static) -> Self {
        self.tracer = Some(Arc::new(tracer));
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

    /// The era of the server, which is then not found out.
    pub const fn era(mut self, era: Era) -> Self {
        self.era = Some(era);
        self
    }

    /// Where the eras of servers are remembered. By default in this client alone.
    pub fn eras(mut self, eras: impl EraStore) -> Self {
        self.eras = Arc::new(eras);
        self
    }

    /// The proxy to go through. By default what the environment says.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.network.proxy = proxy;
        self
    }

    /// Whom to trust, and as whom to appear.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.network.tls = tls;
        self
    }

    /// The version of HTTP. By default what the server offers.
    pub const fn http_version(mut self, version: HttpVersion) -> Self {
        self.network.version = version;
        self
    }

    /// The address that the server's name stands for, so that it is not resolved: for who calls each of several pods behind
    /// one name. `Host` and the certificate stay those of the name. Of no effect through a proxy, which resolves names itself.
    pub const fn address(mut self, address: IpAddr) -> Self {
        self.network.address = Some(address);
        self
    }

    /// A client of the server at `http://HOST/PATH`, `https://HOST/PATH` or `unix:SOCKET:/PATH`, where the path of a
    /// socket is `/mcp` if it is left out. Does no round trip.
    ///
    /// # Errors
    /// [`Error::Misuse`](crate::Error::Misuse) if it is no URL of a server, or the proxy or certificates cannot be used.
    pub fn connect(self, url: &str) -> Result<Client> {
        let (endpoint, name) = self.reach(url)?;
        Ok(self.parts(Some(url)).client(endpoint, name))
    }

    /// A client of a server in a child process, which is started by the first request, or at the other end of a pair
    /// of pipes.
    pub fn stdio(self, server: impl Into<stdio::Peer>) -> Client {
        let server = server.into();
        let (builder, name) = match &server {
            stdio::Peer::Command(command) => (self, ServerName::command(command.program(), command.arguments())),
            // Nothing tells one pair of pipes from another.
            stdio::Peer::Pipes(_) => (self.eras(Eras::default()), ServerName::command("pipes".as_ref(), [])),
        };
        let endpoint = builder.stdio_endpoint(server);
        builder.parts(None).client(endpoint, name)
    }

    /// A client of a service in this process, such as a `Server`: the same path as over HTTP, without a network.
    pub fn service(self, service: impl InProcess) -> Client {
        let endpoint = self.service_endpoint(service);
        self.eras(Eras::default()).parts(None).client(endpoint, ServerName::url(&Uri::from_static(INSIDE)))
    }

    /// What is behind a URL, as [`ClientBuilder::connect`] takes it, for who routes calls by himself, as gateways do. Of the
    /// builder's settings it takes those of connections and every request: headers, credentials, observer, limits, TLS.
    /// Does no round trip.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub fn endpoint(&self, url: &str) -> Result<Endpoint> {
        self.reach(url).map(|(endpoint, _)| endpoint)
    }

    /// As [`ClientBuilder::endpoint`], of a child process or a pair of pipes. The process is started when it is first
    /// needed, and again when it has ended.
    pub fn stdio_endpoint(&self, server: impl Into<stdio::Peer>) -> Endpoint {
        let limits = Arc::new(self.limits.clone());
        let wire = stdio::Wire::new(server, Arc::clone(&limits), self.settings.observer.clone());
        Endpoint::stdio(wire, limits, self.outside.clone())
    }

    /// As [`ClientBuilder::endpoint`], of a service in this process.
    pub fn service_endpoint(&self, service: impl InProcess) -> Endpoint {
        self.over_http(Uri::from_static(INSIDE), Connection::service(service))
    }

    /// A legacy server at `url` that looks like a modern one. Its era is taken for granted.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub fn legacy(self, url: &str) -> Result<LegacyUpstream> {
        let endpoint = self.endpoint(url)?;
        Ok(endpoint.legacy(self.parts(Some(url)).identity, &HeaderMap::new()))
    }

    fn reach(&self, url: &str) -> Result<(Endpoint, ServerName)> {
        let target = Target::parse(url)?;
        let connection = Connection::new(&target, &self.network, &self.limits)?;
        Ok((self.over_http(target.uri().clone(), connection), ServerName::url(target.uri())))
    }

    fn over_http(&self, uri: Uri, connection: Connection) -> Endpoint {
        let limits = Arc::new(self.limits.clone());
        let wire = Wire::new(uri, connection, self.settings.clone(), Arc::clone(&limits));
        Endpoint::http(wire, limits, self.outside.clone())
    }

    fn parts(self, url: Option<&str>) -> Parts {
        let Self { info, mut capabilities, answerers, limits, outside, settings, follows_tasks, era, eras, .. } = self;
        answerers.declare(&mut capabilities);
        if follows_tasks {
            capabilities.extensions.get_or_insert_default().extend(tasks::capability());
        }
        let mut result_types = Vec::new();
        for extension in self.extensions {
            capabilities.extensions.get_or_insert_default().insert(extension.id, extension.settings);
            result_types.extend(extension.result_types);
        }
        let identity = Arc::new(Identity::new(info, capabilities));
        let limits = Arc::new(limits);
        let store: Option<Arc<dyn CacheStore>> = match self.cache {
            CacheChoice::Memory => Some(Arc::new(MemoryCache::new(limits.cache_bytes))),
            CacheChoice::Store(store) => Some(store),
            CacheChoice::None => None,
        };
        let asker = Asker { url, identity: &identity, settings: &settings };
        let cache = store.map(|store| Cache::new(store, &asker, Arc::clone(&limits), &outside));
        let (result_types, tracer) = (result_types.into(), self.tracer);
        Parts { identity, limits, answerers, outside, follows_tasks, result_types, era, eras, cache, tracer }
    }
}

/// What every client is made of, whatever its transport.
struct Parts {
    identity: Arc<Identity>,
    limits: Arc<Limits>,
    answerers: Answerers,
    outside: Outside,
    follows_tasks: bool,
    result_types: Box<[String]>,
    era: Option<Era>,
    eras: Arc<dyn EraStore>,
    cache: Option<Cache>,
    tracer: Option<Tracer>,
}

impl Parts {
    fn client(self, endpoint: Endpoint, name: ServerName) -> Client {
        let Self { identity, limits, answerers, outside, follows_tasks, result_types, era, eras, cache, tracer } = self;
        let upstream = Upstream::new(endpoint, identity, era, name, eras);
        let tools = Tools::new(limits.remembered_tools);
        let inner = Inner { upstream, answerers, tools, limits, outside, follows_tasks, result_types, cache, tracer };
        Client::of(inner)
    }
}
