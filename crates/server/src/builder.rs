//! The builder of a server: everything that it is configured with, checked before the first request.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};

use anypod_proto::caching::{Cacheable, Caching};
use anypod_proto::capabilities::ServerCapabilities;
use anypod_proto::discover::DiscoverResult;
use anypod_proto::implementation::Implementation;
use anypod_proto::meta;
use anypod_proto::method::Method;
use anypod_proto::seal::Ring;
use anypod_proto::version::Version;
use anypod_store::Store;
use serde_json::json;

use crate::backend::Backend;
use crate::build_error::{BuildError, Problem};
use crate::bus::{Bus, InProcess};
use crate::extension::Extension;
use crate::front::Front;
use crate::front::hop::Holder;
use crate::guard::Guard;
use crate::limits::Limits;
use crate::load::Load;
use crate::once::Once;
use crate::outside::Outside;
use crate::prompt::Prompt;
use crate::rate::{Limiter, Rate};
use crate::registry::{Offer, Registry};
use crate::resource::{Resource, ResourceTemplate};
use crate::server::{Inner, Server};
use crate::stored::{StoreBus, StoreOnce};
use crate::tokens::Tokens;
use crate::tool::{Tool, Uses};

/// Builds a [`Server`]; [`Server::new`] begins one.
#[must_use]
pub struct ServerBuilder {
    info: Implementation,
    instructions: Option<String>,
    offer: Offer,
    limits: Limits,
    outside: Outside,
    ring: Option<Ring>,
    audience: Option<String>,
    replicas: usize,
    bus: Option<Arc<dyn Bus>>,
    once: Option<Arc<dyn Once>>,
    rate: Option<Rate>,
    guard: Guard,
    logging: bool,
    advertised: Option<String>,
    peers: Vec<String>,
    tokens: Option<Arc<Tokens>>,
    alone: bool,
    backend: Option<Arc<dyn Backend>>,
}

impl ServerBuilder {
    pub(crate) fn new(info: Implementation) -> Self {
        Self {
            info,
            instructions: None,
            offer: Offer::default(),
            limits: Limits::default(),
            outside: Outside::real(),
            ring: None,
            audience: None,
            replicas: 1,
            bus: None,
            once: None,
            rate: None,
            guard: Guard::default(),
            logging: false,
            advertised: None,
            peers: Vec::new(),
            tokens: None,
            alone: false,
            backend: None,
        }
    }

    /// More about the server than its name and version.
    pub fn info(mut self, info: Implementation) -> Self {
        self.info = info;
        self
    }

    /// How a model is to use the server.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.instructions = Some(instructions.into());
        self
    }

    /// Offers a tool. Lists show the tools in the order in which they were given.
    pub fn tool(mut self, tool: Tool) -> Self {
        self.offer.tools.push(tool);
        self
    }

    /// Offers a prompt.
    pub fn prompt(mut self, prompt: Prompt) -> Self {
        self.offer.prompts.push(prompt);
        self
    }

    /// Offers a resource.
    pub fn resource(mut self, resource: Resource) -> Self {
        self.offer.resources.push(resource);
        self
    }

    /// Offers a family of resources. Templates are tried in the order in which they were given.
    pub fn resource_template(mut self, template: ResourceTemplate) -> Self {
        self.offer.templates.push(template);
        self
    }

    /// Offers an extension of the protocol.
    pub fn extension(mut self, extension: impl Into<Extension>) -> Self {
        self.offer.extensions.push(extension.into());
        self
    }

    /// Lets `backend` answer in place of handlers. A server has a backend, or tools, prompts and resources of its own.
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.backend = Some(Arc::new(backend));
        self
    }

    /// Shares `state` with all handlers that take `State<T>`.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        let state: Box<dyn Any + Send + Sync> = Box::new(state);
        self.offer.states.insert(TypeId::of::<T>(), state);
        self
    }

    /// How long and for whom the results of `method` may be cached: the lists and `server/discover`.
    /// Resources have hints of their own.
    pub fn cache(mut self, method: Method, hint: Caching) -> Self {
        self.offer.caches.insert(method, hint);
        self
    }

    /// Other bounds than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The ring that seals tokens. All replicas must share it. Without one, a server makes a ring of its
    /// own, which is right for one process only.
    pub fn keys(mut self, ring: Ring) -> Self {
        self.ring = Some(ring);
        self
    }

    /// How many replicas there are. More than one without [`ServerBuilder::keys`] is a [`BuildError`].
    pub const fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// What tokens are bound to besides the ring, so that two servers that share a ring do not open each
    /// other's. The server's name by default.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Tokens that something else seals with too, such as the [`Backend`], in place of [`ServerBuilder::keys`] and
    /// [`ServerBuilder::audience`]. [`Server::replace_keys`] replaces the ring of both.
    pub fn tokens(mut self, tokens: Arc<Tokens>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Says that nobody else has the keys of [`ServerBuilder::tokens`]: this process is all the fleet there is, until
    /// [`Server::is_joined`] says otherwise.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// The bus that carries changes between pods. By default, changes stay in this process.
    pub fn bus(mut self, bus: impl Bus) -> Self {
        self.bus = Some(Arc::new(bus));
        self
    }

    /// The store that carries changes between pods, in place of [`ServerBuilder::bus`], and that remembers used tokens, in place
    /// of [`ServerBuilder::once`]. All pods share it.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        let bus = StoreBus::new(Arc::clone(&store));
        self.once = Some(Arc::new(StoreOnce(store)));
        self.offer.work.push(Box::new({
            let bus = Arc::clone(&bus);
            move |server| Arc::clone(&bus).follow(server)
        }));
        self.bus = Some(bus);
        self
    }

    /// How many calls of tools, prompts, resources and completions a pod starts in a second; one more is
    /// answered 429 with `Retry-After`. Not limited by default.
    pub const fn rate(mut self, rate: Rate) -> Self {
        self.rate = Some(rate);
        self
    }

    /// The store that remembers which single-use tokens were used.
    pub fn once(mut self, once: impl Once) -> Self {
        self.once = Some(Arc::new(once));
        self
    }

    /// A clock and randomness of your own, for tests.
    pub fn outside(mut self, outside: Outside) -> Self {
        self.outside = outside;
        self
    }

    /// The hosts and origins that the server answers to, in place of all that was allowed so far.
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// Hosts besides loopback names under which the server may be called, such as `mcp.example.com`. A request
    /// under another name is answered 403.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.guard.allow_host(host);
        self
    }

    /// Origins besides the server's own whose pages may call the server, such as `https://app.example.com`.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.guard.allow_origin(origin);
        self
    }

    /// Answers to any `Host`. Only behind something that has checked it: otherwise any web page can reach
    /// a server on the visitor's machine.
    pub fn dangerously_allow_any_host(mut self) -> Self {
        self.guard.dangerously_allow_any_host();
        self
    }

    /// Declares the deprecated Logging feature, so that [`Cx::log`](crate::Cx::log) sends.
    #[deprecated(note = "the specification deprecates Logging: write to stderr on stdio, or use OpenTelemetry")]
    pub const fn with_logging(mut self) -> Self {
        self.logging = true;
        self
    }

    /// The URL of this pod's MCP endpoint as other pods reach it, such as `http://10.0.0.5:8080/mcp`. An
    /// answer of a legacy client that reaches another pod is passed on to it there. By default the address that
    /// [`Server::serve`] listens on, if it is a definite one.
    pub fn advertise(mut self, url: impl Into<String>) -> Self {
        self.advertised = Some(url.into());
        self
    }

    /// The URLs of other pods, such as `http://10.0.0.6:8080/mcp`. Without a shared bus, pods tell each other what
    /// legacy clients change. They find each other by the sessions that they serve; those named here are told from the
    /// start, so that a session that a client ends has ended on all of them. This pod's own URL may be among them.
    pub fn peers<U: Into<String>>(mut self, urls: impl IntoIterator<Item = U>) -> Self {
        self.peers.extend(urls.into_iter().map(Into::into));
        self
    }

    /// Builds the server.
    ///
    /// # Errors
    /// If names collide, schemas are unsound, templates are malformed, a handler takes what its calls do not
    /// hold or state that is not there, there are handlers beside a backend, an allowed host or origin could never match,
    /// the advertised URL or that of a peer is none that other pods can call, or replicas would not understand each
    /// other's tokens.
    pub fn build(self) -> Result<Server, BuildError> {
        self.check_parts()?;
        let discover_cache = self.offer.caches.get(&Method::Discover).copied().unwrap_or_default();
        let (registry, states) = Registry::build(self.offer)?;
        let capabilities = capabilities(&registry, self.logging);
        let not_json = |error| BuildError::new("server", Problem::NotJson(error));
        let identity = identity(&self.info).map_err(not_json)?;
        let discover =
            discover(&identity, &capabilities, self.instructions.as_deref(), discover_cache).map_err(not_json)?;
        let holder = |url: String| Holder::parse(&url).ok_or_else(|| BuildError::new(url, Problem::NotReachable));
        let advertised = self.advertised.map(holder).transpose()?;
        let peers = self.peers.into_iter().map(holder).collect::<Result<Vec<_>, _>>()?;
        let limits = self.limits.within_reach();
        let bus = self.bus.unwrap_or_else(|| Arc::new(InProcess::default()));
        // With a ring of its own, this process is all the fleet there is.
        let alone = self.alone || self.ring.is_none() && self.tokens.is_none();
        let reaches_all = bus.is_shared() || !peers.is_empty();
        let front = Front::new(&self.outside, &limits, advertised, peers, alone, reaches_all);
        let receiver = Arc::downgrade(&front);
        bus.attach(receiver);
        let tokens = self.tokens.unwrap_or_else(|| {
            let ring = self.ring.unwrap_or_else(|| Ring::generate(self.outside.random()));
            Arc::new(Tokens::new(ring, self.audience.unwrap_or_else(|| self.info.name.clone())))
        });
        let inner = Inner {
            registry,
            states,
            backend: self.backend,
            tokens,
            outside: self.outside,
            load: Load::new(&limits),
            limits: RwLock::new(Arc::new(limits)),
            bus,
            topics: InProcess::default(),
            works: AtomicBool::new(false),
            once: self.once,
            limiter: self.rate.map(Limiter::new),
            guard: self.guard,
            identity,
            info: Arc::new(self.info),
            capabilities,
            instructions: self.instructions,
            discover: discover.into(),
            front,
        };
        Ok(Server { inner: Arc::new(inner) })
    }

    /// Whether there is what replicas and single-use tools need, and who may call is said in a way that can match.
    fn check_parts(&self) -> Result<(), BuildError> {
        if self.replicas > 1 && self.ring.is_none() && self.tokens.is_none() {
            return Err(BuildError::new("server", Problem::NoKeys));
        }
        if self.backend.is_some() && !self.offer.is_empty() {
            return Err(BuildError::new("server", Problem::BackendAndOwn));
        }
        match self.offer.tools.iter().find(|tool| tool.uses == Uses::Single) {
            Some(tool) if self.once.is_none() => {
                Err(BuildError::new(format!("tool `{}`", tool.definition.name), Problem::NoOnce))
            }
            Some(_) | None => self.guard.mistake().map_or(Ok(()), Err),
        }
    }
}

fn capabilities(registry: &Registry, logging: bool) -> ServerCapabilities {
    let mut capabilities = json!({});
    if !registry.tools.is_empty() {
        capabilities["tools"] = json!({ "listChanged": true });
    }
    if !registry.prompts.is_empty() {
        capabilities["prompts"] = json!({ "listChanged": true });
    }
    if !(registry.resources.is_empty() && registry.templates.is_empty()) {
        capabilities["resources"] = json!({ "listChanged": true, "subscribe": true });
    }
    if registry.completes() {
        capabilities["completions"] = json!({});
    }
    if logging {
        capabilities["logging"] = json!({});
    }
    let settings = &registry.extensions.settings;
    let mut capabilities: ServerCapabilities = serde_json::from_value(capabilities).unwrap_or_default();
    capabilities.extensions = (!settings.is_empty()).then(|| settings.clone());
    capabilities
}

/// `"_meta":{"io.modelcontextprotocol/serverInfo":…}`
fn identity(info: &Implementation) -> serde_json::Result<String> {
    let meta = BTreeMap::from([(meta::SERVER_INFO, info)]);
    Ok(format!(r#""_meta":{}"#, serde_json::to_string(&meta)?))
}

fn discover(
    identity: &str,
    capabilities: &ServerCapabilities,
    instructions: Option<&str>,
    cache: Caching,
) -> serde_json::Result<String> {
    let mut result = DiscoverResult::new(&Version::MODERN, capabilities.clone());
    result.instructions = instructions.map(str::to_owned);
    result.set_caching(cache);
    let members = serde_json::to_string(&result)?;
    Ok(format!("{{{identity},{}", members.trim_start_matches('{')))
}
