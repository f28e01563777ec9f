//! The server: what it offers, what it was configured with, and how a call to it starts.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use anypod_proto::caching::{Cacheable, Caching};
use anypod_proto::capabilities::ServerCapabilities;
use anypod_proto::discover::DiscoverResult;
use anypod_proto::implementation::Implementation;
use anypod_proto::meta;
use anypod_proto::method::Method;
use anypod_proto::seal::Ring;
use anypod_proto::version::Version;
use serde_json::json;

use crate::build_error::{BuildError, Problem};
use crate::bus::{Bus, Event, InProcess};
use crate::front::Front;
use crate::front::hop::Holder;
use crate::front::peers;
use crate::guard::Guard;
use crate::limits::Limits;
use crate::load::Load;
use crate::once::Once;
use crate::outside::Outside;
use crate::prompt::Prompt;
use crate::rate::{Limiter, Rate};
use crate::registry::{Offer, Registry, States};
use crate::resource::{Resource, ResourceTemplate};
use crate::tokens::Tokens;
use crate::tool::{Tool, Uses};

/// A server. Cheap to clone; every clone is the same server.
///
/// It is built once and shared by all requests. It keeps nothing between two of them, so any replica with
/// the same ring can answer any request.
///
/// A server is a [tower](https://docs.rs/tower-service) service of HTTP requests, and so nests into a router.
/// A layer around it says who calls:
///
/// ```
/// use anypod_server::{Principal, Server, Tool};
/// use axum::{Router, extract::Request, middleware::{Next, from_fn}, response::Response};
///
/// /// Trusts a proxy that has authenticated the caller, and that drops this header from what callers send.
/// async fn who_calls(mut request: Request, next: Next) -> Response {
///     let user = request.headers().get("x-user").and_then(|user| user.to_str().ok()).map(str::to_owned);
///     if let Some(user) = user {
///         request.extensions_mut().insert(Principal::new("https://login.example.com", user));
///     }
///     next.run(request).await
/// }
///
/// async fn greet(caller: Principal) -> String { format!("Hello, {}!", caller.id().sub) }
///
/// let server = Server::new("greeter", "1.0.0").tool(Tool::new("greet", greet)).build().unwrap();
/// let router: Router = Router::new().route_service("/mcp", server).layer(from_fn(who_calls));
/// ```
///
/// Whoever serves the router calls [`Server::drain`] before the end, bounds its connections, and sets
/// [`ServerBuilder::advertise`] where several pods serve legacy clients; [`Server::serve`] sees to all three.
#[derive(Clone)]
pub struct Server {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) registry: Registry,
    pub(crate) states: States,
    pub(crate) tokens: Tokens,
    pub(crate) outside: Outside,
    pub(crate) limits: Limits,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) once: Option<Arc<dyn Once>>,
    pub(crate) limiter: Option<Limiter>,
    pub(crate) guard: Guard,
    pub(crate) load: Arc<Load>,
    /// Name and version as `_meta` of every result, ready to be spliced in.
    pub(crate) identity: String,
    pub(crate) info: Arc<Implementation>,
    pub(crate) capabilities: ServerCapabilities,
    pub(crate) instructions: Option<String>,
    /// The whole `server/discover` result.
    pub(crate) discover: Arc<str>,
    pub(crate) front: Arc<Front>,
}

impl Server {
    /// Begins a server with a name and a version, which every result carries.
    #[expect(clippy::new_ret_no_self, reason = "a server is always built")]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> ServerBuilder {
        ServerBuilder::new(Implementation::new(name, version))
    }

    /// The bounds that the server was built with.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Seals with another ring from now on. Tokens that were sealed before still open if it holds their key.
    ///
    /// ```
    /// use anypod_server::{Server, proto::seal::{KEY_LEN, Ring}};
    ///
    /// # fn random() -> [u8; KEY_LEN] { [7; KEY_LEN] }
    /// let ring = Ring::generate(random()); // or `Ring::parse` of a file that all replicas have
    /// let server = Server::new("s", "1.0.0").keys(ring.clone()).replicas(3).build().unwrap();
    /// server.replace_keys(ring.rotate(random(), 2));
    /// ```
    pub fn replace_keys(&self, ring: Ring) {
        self.inner.tokens.replace_ring(ring);
    }

    /// Announces a change to every listener, on every pod that shares the bus. Waits until the bus has it.
    pub async fn announce(&self, event: Event) {
        // Side by side: what runs here must not wait for a pod that does not react.
        let ((), published) = tokio::join!(peers::tell(self, &event), self.inner.bus.publish(event.clone()));
        if let Err(error) = published {
            tracing::warn!(%error, "a change could not be announced");
        }
    }

    /// Stops taking requests: readiness goes false, listen streams end with their result, requests in flight
    /// go on. Returns when they are through or [`Limits::drain`] is over.
    pub async fn drain(&self) {
        self.inner.load.drain();
        if tokio::time::timeout(self.inner.limits.drain, self.inner.load.idle()).await.is_err() {
            tracing::warn!("requests were still in flight when the time to drain was over");
        }
    }

    pub(crate) fn state<T: Clone + Send + Sync + 'static>(&self) -> Option<T> {
        self.inner.states.get(&TypeId::of::<T>())?.downcast_ref::<T>().cloned()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("info", &self.inner.info).finish_non_exhaustive()
    }
}

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
}

impl ServerBuilder {
    fn new(info: Implementation) -> Self {
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

    /// The bus that carries changes between pods. By default, changes stay in this process.
    pub fn bus(mut self, bus: impl Bus) -> Self {
        self.bus = Some(Arc::new(bus));
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

    /// Hosts besides loopback names under which the server may be called, such as `mcp.example.com`. A request
    /// under another name is answered 403.
    pub fn allow_host(mut self, host: impl Into<String>) -> Self {
        self.guard.allow_host(host.into());
        self
    }

    /// Origins besides the server's own whose pages may call the server, such as `https://app.example.com`.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.guard.allow_origin(origin.into());
        self
    }

    /// Answers to any `Host`. Only behind something that has checked it: otherwise any web page can reach
    /// a server on the visitor's machine.
    pub fn dangerously_allow_any_host(mut self) -> Self {
        self.guard.allow_any_host();
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

    /// Builds the server.
    ///
    /// # Errors
    /// If names collide, schemas are unsound, templates are malformed, a handler takes what its calls do not
    /// hold or state that is not there, an allowed host or origin could never match, the advertised URL is none that other pods can call, or replicas would not understand each
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
        let advertised = match self.advertised {
            None => None,
            Some(url) => Some(Holder::parse(&url).ok_or_else(|| BuildError::new(url, Problem::NotReachable))?),
        };
        let limits = self.limits.within_reach();
        let bus = self.bus.unwrap_or_else(|| Arc::new(InProcess::default()));
        // With a ring of its own, this process is all the fleet there is.
        let ends_sessions = self.ring.is_none() || bus.is_shared();
        let front = Front::new(&self.outside, &limits, advertised, ends_sessions);
        let receiver = Arc::downgrade(&front);
        bus.attach(receiver);
        let ring = self.ring.unwrap_or_else(|| Ring::generate(self.outside.random()));
        let inner = Inner {
            registry,
            states,
            tokens: Tokens::new(ring, self.audience.unwrap_or_else(|| self.info.name.clone())),
            outside: self.outside,
            load: Load::new(&limits),
            limits,
            bus,
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
        if self.replicas > 1 && self.ring.is_none() {
            return Err(BuildError::new("server", Problem::NoKeys));
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
    serde_json::from_value(capabilities).unwrap_or_default()
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
