//! The server: what it offers and what it was configured with.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anypod_proto::capabilities::ServerCapabilities;
use anypod_proto::implementation::Implementation;
use anypod_proto::reject::Rejection;
use anypod_proto::seal::Ring;
use tokio::task::JoinSet;

use crate::backend::{self, Backend, Caller};
use crate::builder::ServerBuilder;
use crate::bus::{Bus, BusError, Event, InProcess, Topic};
use crate::completed::Failure;
use crate::front::{Front, peers};
use crate::guard::Guard;
use crate::limits::Limits;
use crate::load::{Load, Permit, What};
use crate::once::Once;
use crate::outside::Outside;
use crate::rate::Limiter;
use crate::registry::{Registry, States};
use crate::tokens::Tokens;

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
    /// What answers in place of handlers.
    pub(crate) backend: Option<Arc<dyn Backend>>,
    pub(crate) states: States,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) outside: Outside,
    pub(crate) limits: RwLock<Arc<Limits>>,
    pub(crate) bus: Arc<dyn Bus>,
    /// Topics of extensions that are told on this pod only.
    pub(crate) topics: InProcess,
    /// Whether extensions are at work.
    pub(crate) works: AtomicBool,
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

impl Inner {
    /// The bounds in force.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Server {
    /// Begins a server with a name and a version, which every result carries.
    #[expect(clippy::new_ret_no_self, reason = "a server is always built")]
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> ServerBuilder {
        ServerBuilder::new(Implementation::new(name, version))
    }

    /// The bounds in force.
    pub fn limits(&self) -> Arc<Limits> {
        self.inner.limits()
    }

    /// Has other bounds from now on. What is under way keeps those with which it began, and so do the connections of
    /// [`Server::serve`] and what is remembered from one request to the next: [`Limits::remembered_sessions`],
    /// [`Limits::session_resources`] and [`Limits::open_questions`].
    ///
    /// ```
    /// use anypod_server::Server;
    ///
    /// let server = Server::new("s", "1.0.0").build().unwrap();
    /// let mut limits = (*server.limits()).clone();
    /// limits.body_bytes = 64 * 1024;
    /// server.replace_limits(limits);
    /// ```
    pub fn replace_limits(&self, limits: Limits) {
        let limits = limits.within_reach();
        self.inner.load.bound(&limits);
        *self.inner.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
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
        self.is_joined();
        self.inner.tokens.replace_ring(ring);
    }

    /// Takes notice that this process is not, or no more, all the fleet there is: others may open its tokens, and sessions
    /// end here only if all of them can be told.
    pub fn is_joined(&self) {
        self.inner.front.is_joined();
    }

    /// Announces a change to every listener, on every pod that shares the bus. Waits until the bus has it.
    pub async fn announce(&self, event: Event) {
        // That it could not be is in the log, and nobody here can do more about it.
        let _ = self.tell_pods(event).await;
    }

    /// The same, for who promises somebody that pods know.
    ///
    /// # Errors
    /// If the bus does not have it.
    pub(crate) async fn tell_pods(&self, event: Event) -> Result<(), BusError> {
        // Side by side: what runs here must not wait for a pod that does not react.
        let ((), published) = tokio::join!(peers::tell(self, &event), self.inner.bus.publish(event.clone()));
        published.inspect_err(|error| tracing::warn!(%error, "a change could not be announced"))
    }

    /// The clock and the randomness of the server.
    pub fn outside(&self) -> &Outside {
        &self.inner.outside
    }

    /// The tokens of the server, for an extension that hands out its own: what it seals, such as a cursor, opens on every pod.
    pub fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    /// What the author of a tool has said to an extension, see [`Tool::mark`](crate::Tool::mark).
    pub fn mark_of<T: Clone + Send + Sync + 'static>(&self, tool: &str) -> Option<T> {
        self.inner.registry.tools.get(tool)?.marks.get().cloned()
    }

    /// The tools whose authors have said something of this type.
    pub fn marked<T: Clone + Send + Sync + 'static>(&self) -> Vec<String> {
        let tools = self.inner.registry.tools.iter();
        tools.filter(|(_, tool)| tool.marks.get::<T>().is_some()).map(|(name, _)| name.clone()).collect()
    }

    /// Tells the listeners of this pod that a topic of an extension has changed. [`Server::announce`] tells those of all pods.
    pub fn tell(&self, extension: &str, topic: impl Into<String>) {
        self.inner.topics.deliver(&Event::Topic(Topic { extension: extension.into(), topic: topic.into() }));
    }

    /// Tells the listeners of this pod that any topic of any extension may have changed.
    pub fn tell_all(&self) {
        self.inner.topics.gap();
    }

    /// Does what extensions do on their own, such as running tasks, until the server is drained and they are through with it.
    /// [`Server::serve`] and [`Server::serve_stdio`] do this themselves; whoever serves in another way does it beside. A second time, it
    /// does nothing.
    pub async fn work(&self) {
        if self.inner.works.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut at_work = JoinSet::new();
        for work in &self.inner.registry.extensions.work {
            at_work.spawn(work(self.clone()));
        }
        while let Some(ended) = at_work.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "an extension broke off");
            }
        }
    }

    /// Stops taking requests: readiness goes false, listen streams end with their result, requests in flight
    /// go on. Returns when they are through or [`Limits::drain`] is over.
    pub async fn drain(&self) {
        self.inner.load.drain();
        if tokio::time::timeout(self.inner.limits().drain, self.inner.load.idle()).await.is_err() {
            tracing::warn!("requests were still in flight when the time to drain was over");
        }
    }

    /// Says that other pods do not reach this one any more, as its listener closes: the last thing before the end, after
    /// [`Server::drain`]. Calls go on, but a legacy client is not asked anything from now on, as its answer might not
    /// arrive; what needs one, now or later, fails at once and tells it to call again. [`Server::serve`] does this itself.
    pub fn leave(&self) {
        self.inner.front.leave();
    }

    /// Takes a place among the requests that are worked on at once ([`Limits::concurrent_requests`]), for one that is
    /// answered beside the server. [`Server::drain`] waits for it.
    ///
    /// # Errors
    /// If all places are taken.
    pub fn enter_request(&self) -> Result<Permit, Rejection> {
        self.inner.load.enter(What::Request)
    }

    /// Takes a place among the streams that are open at once ([`Limits::open_streams`]), for one beside the server. Such
    /// a stream ends when [`Server::drained`] completes.
    ///
    /// # Errors
    /// If all places are taken, or the server drains.
    pub fn enter_stream(&self) -> Result<Permit, Rejection> {
        self.inner.load.enter(What::Stream)
    }

    /// Completes when the server begins to drain.
    pub async fn drained(&self) {
        self.inner.load.drained().await;
    }

    /// What the server, or its backend, can do.
    pub(crate) async fn capabilities(
        &self,
        caller: impl FnOnce() -> Caller,
    ) -> Result<Cow<'_, ServerCapabilities>, Failure> {
        Ok(match &self.inner.backend {
            None => Cow::Borrowed(&self.inner.capabilities),
            Some(backend) => {
                let described = backend::discover(backend, caller(), self.inner.limits().backend_deadline).await?;
                Cow::Owned(described.capabilities)
            }
        })
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
