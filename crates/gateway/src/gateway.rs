//! The gateway: built from a configuration, bound, served, configured anew, and drained.

mod leaving;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anypod_proto::seal::Ring;
use anypod_server::{Outside, Server, ServerBuilder, Tokens};
use futures_util::future::join_all;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use self::leaving::Leaving;
use crate::body::Body;
use crate::config::{self, Config};
use crate::desk::{Desk, Replica};
use crate::head::{Head, Reply};
use crate::hub::Hub;
use crate::inbound::Inbound;
use crate::listen::tls::Acceptor;
use crate::listen::{Door, Peer, Phase, Places, reached};
use crate::observe::{Observer, Open};
use crate::pipeline;
use crate::plan::{Before, Plan};
use crate::reach::{Change, Reach, info};
use crate::room::Room;
use crate::route::Route;
use crate::seal::Sealer;
use crate::start_error::StartError;
use crate::upstream::Upstream;

/// How long connections may take to close at the end, at least.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);
/// How often pods and sessions are counted.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long what is written down may take to be written at the end.
const FLUSH: Duration = Duration::from_secs(2);

/// A gateway. Cheap to clone; every clone is the same gateway.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) observer: Arc<Observer>,
    outside: Outside,
    /// For requests that are read as a whole.
    room: Room,
    replica: Replica,
    /// Whether nobody else has its ring.
    alone: AtomicBool,
    draining: AtomicBool,
    /// For connections of clients.
    places: Arc<Places>,
    leaving: Leaving,
    state: RwLock<State>,
    /// One configuration is taken at a time.
    reloading: Mutex<()>,
}

struct State {
    config: Arc<Config>,
    routes: Vec<Arc<Route>>,
    reaches: Reaches,
    certificates: Vec<Arc<Acceptor>>,
    ring: Ring,
}

/// The upstreams, by their names.
type Reaches = BTreeMap<String, Arc<Reach>>;

/// All routes, and those whose plan is replaced.
type Routes = (Vec<Arc<Route>>, Vec<(Arc<Route>, Arc<Plan>)>);

/// A gateway whose listeners are bound.
pub struct Bound {
    gateway: Gateway,
    doors: Vec<Door>,
    admin: Option<TcpListener>,
}

impl Gateway {
    /// Builds a gateway. `ring` is what its replicas share; without one, it makes a ring of its own. Has to be called within
    /// a runtime, as upstreams are watched from now on.
    ///
    /// # Errors
    /// If the configuration names something that cannot be used, or says that there are other replicas and there is no ring.
    pub fn new(config: Config, ring: Option<Ring>) -> Result<Self, StartError> {
        Self::with_outside(config, ring, Outside::real())
    }

    /// The same with a clock and randomness of your own, for tests.
    ///
    /// # Errors
    /// As [`Gateway::new`].
    pub fn with_outside(config: Config, ring: Option<Ring>, outside: Outside) -> Result<Self, StartError> {
        let replicas = config.fleet.replicas.0;
        let alone = AtomicBool::new(ring.is_none());
        let ring = match ring {
            Some(ring) => ring,
            None if replicas > 1 || config.fleet.peers.len() > 1 => return Err(StartError::NoRing { replicas }),
            None => Ring::generate(outside.random()),
        };
        let observer =
            Observer::new(&config.observe, outside.clone()).map_err(|error| StartError::Observe(error.to_string()))?;
        let replica = Replica::new(u64::from_be_bytes(outside.random()), config.fleet.advertise.clone());
        let empty = State {
            config: Arc::new(config.clone()),
            routes: Vec::new(),
            reaches: BTreeMap::new(),
            certificates: Vec::new(),
            ring: ring.clone(),
        };
        let shared = Shared {
            observer,
            outside,
            room: Room::new(config.limits.read_ahead_bytes),
            replica,
            alone,
            draining: AtomicBool::new(false),
            places: Places::new(config.limits.connections),
            leaving: Leaving::new(),
            state: RwLock::new(empty),
            reloading: Mutex::new(()),
        };
        shared.take(config, ring)?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Binds the listeners.
    ///
    /// # Errors
    /// If an address cannot be listened on, or a certificate not be used.
    pub async fn bind(&self) -> Result<Bound, StartError> {
        let config = self.config();
        let mut doors = Vec::with_capacity(config.listener.len());
        for listener in &config.listener {
            let tls = match &listener.tls {
                Some(files) => Some(Acceptor::new(files).map_err(|error| StartError::Tls(error.to_string()))?),
                None => None,
            };
            self.shared.write().certificates.extend(tls.clone());
            let door = Door::bind(&listener.address, tls).await;
            doors.push(door.map_err(|source| StartError::Listen { address: listener.address.clone(), source })?);
        }
        let admin = match &config.admin {
            Some(address) => {
                let listener = TcpListener::bind(address).await;
                Some(listener.map_err(|source| StartError::Listen { address: address.clone(), source })?)
            }
            None => None,
        };
        if let Some(address) = doors.iter().find_map(Door::address) {
            self.shared.is_reached_at(address);
        }
        Ok(Bound { gateway: self.clone(), doors, admin })
    }

    /// Works by another configuration from now on, without dropping a request: what is under way goes on by the one before.
    /// What only a restart can change stays as it is, and the log says so: listeners, the admin address, what is observed,
    /// and how replicas know each other.
    ///
    /// # Errors
    /// If the configuration cannot be used. Then nothing has changed.
    pub fn reload(&self, config: Config, ring: Option<Ring>) -> Result<(), StartError> {
        let totals = self.shared.observer.totals();
        let taken = self.try_reload(config, ring);
        if taken.is_ok() {
            totals.reloads.count()
        } else {
            totals.reloads_refused.count()
        }
        taken
    }

    fn try_reload(&self, mut config: Config, ring: Option<Ring>) -> Result<(), StartError> {
        let _one_at_a_time = self.shared.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = keep_until_restart(&self.config(), &mut config);
        let is_shared = ring.is_some();
        let (ring, certificates) = {
            let state = self.shared.read();
            (ring.unwrap_or_else(|| state.ring.clone()), state.certificates.clone())
        };
        for certificate in certificates {
            certificate.reload().map_err(|error| StartError::Tls(error.to_string()))?;
        }
        self.shared.take(config, ring)?;
        // Only now: a configuration that is refused changes nothing.
        if is_shared && self.shared.alone.swap(false, Ordering::Relaxed) {
            self.shared.read().routes.iter().for_each(|route| route.server.is_joined());
        }
        for key in waiting {
            tracing::warn!(key, "a changed key needs a restart: it stays as it was, and the rest has been taken");
        }
        Ok(())
    }

    /// The configuration by which it works.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.shared.read().config)
    }

    /// Opens the access log anew, as somebody has moved it away.
    pub fn reopen_log(&self) {
        self.shared.observer.reopen();
    }

    pub(crate) fn limits(&self) -> config::Limits {
        self.config().limits.clone()
    }

    /// The room for requests that are read as a whole.
    pub(crate) fn room(&self) -> &Room {
        &self.shared.room
    }

    /// The time of day, in seconds since 1970-01-01.
    pub(crate) fn now(&self) -> u64 {
        self.shared.outside.now().0
    }

    /// Counts a connection until what this returns is dropped.
    pub(crate) fn count_connection(&self) -> Open {
        self.shared.observer.totals().connections.open()
    }

    pub(crate) async fn answer(&self, peer: &Peer, head: Head, body: Inbound) -> Reply<Body> {
        pipeline::answer(&self.shared, peer, head, body).await
    }
}

impl Bound {
    /// The addresses of the listeners on the network, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().filter_map(Door::address).collect()
    }

    /// The URLs of all routes on all listeners, as a client on this machine would write them.
    pub fn urls(&self) -> Vec<String> {
        let state = self.gateway.shared.read();
        let of = |door: &Door| state.routes.iter().map(|route| door.url(&route.path)).collect::<Vec<_>>();
        self.doors.iter().flat_map(of).collect()
    }

    /// The address of the metrics and the report.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|admin| admin.local_addr().ok())
    }

    /// Serves until `stop` completes, then drains: readiness goes false, after [`config::Limits::drain_delay`] no further
    /// connections are taken, streams of changes end with their result, and what is under way may finish within
    /// [`config::Limits::drain`].
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { gateway, doors, admin } = self;
        let (phase, watched) = watch::channel(Phase::Serving);
        let shared = &gateway.shared;
        let mut serving = tokio::task::JoinSet::new();
        for door in doors {
            serving.spawn(door.serve(gateway.clone(), Arc::clone(&shared.places), watched.clone(), watched.clone()));
        }
        if let Some(admin) = admin {
            serving.spawn(serve_admin(Arc::clone(shared), admin, watched.clone()));
        }
        serving.spawn(look(Arc::clone(shared), watched.clone()));
        stop.await;
        // As they are now: they may have been configured anew.
        let limits = gateway.limits();
        shared.draining.store(true, Ordering::SeqCst);
        // Balancers learn that this replica is not ready before it refuses anything.
        tokio::time::sleep(limits.drain_delay.get()).await;
        let routes = shared.read().routes.clone();
        let begun = Instant::now();
        if tokio::time::timeout(limits.drain.get(), join_all(routes.iter().map(|route| route.server.drain())))
            .await
            .is_err()
        {
            tracing::warn!("requests were still under way when the time to drain was over");
        }
        // Answers to questions come on connections of their own.
        routes.iter().for_each(|route| route.server.leave());
        phase.send_replace(Phase::NoMore);
        while serving.join_next().await.is_some() {}
        phase.send_replace(Phase::Closing);
        drop(watched);
        // A request that came with the last connections has as long as those before it.
        let left = limits.drain.get().saturating_sub(begun.elapsed()).max(CLOSE_DEADLINE);
        let _ = tokio::time::timeout(left, phase.closed()).await;
        let reaches: Vec<_> = shared.read().reaches.values().cloned().collect();
        tokio::join!(join_all(reaches.iter().map(|reach| reach.close())), shared.leaving.end());
        shared.observer.flush(FLUSH).await;
    }
}

impl Shared {
    /// The route of a path.
    pub(crate) fn route(&self, path: &str) -> Option<Arc<Route>> {
        let state = self.read();
        let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
        state.routes.iter().find(|route| *route.path == *path).cloned()
    }

    /// What the health endpoints say; none for other paths.
    pub(crate) fn health(&self, path: &str) -> Option<StatusCode> {
        match path {
            "/healthz" => Some(StatusCode::OK),
            "/readyz" if self.draining.load(Ordering::SeqCst) => Some(StatusCode::SERVICE_UNAVAILABLE),
            "/readyz" => Some(StatusCode::OK),
            _ => None,
        }
    }

    /// Makes everything that a configuration names, and works by it once that has gone well.
    fn take(&self, config: Config, ring: Ring) -> Result<(), StartError> {
        let config = Arc::new(config);
        let (reaches, changes) = self.reaches(&config)?;
        let (routes, replaced) = self.routes(&config, &reaches, &changes, &ring)?;
        // From here on, nothing fails.
        changes.into_iter().for_each(Change::apply);
        self.places.bound(config.limits.connections);
        self.room.bound(config.limits.read_ahead_bytes);
        for (route, plan) in replaced {
            route.server.replace_limits(limits(&config.limits));
            route.desk.replace(plan);
            route.tokens.replace_ring(ring.clone());
        }
        let before = {
            let mut state = self.write();
            (state.config, state.routes, state.ring) = (config, routes, ring);
            std::mem::replace(&mut state.reaches, reaches)
        };
        let stays = |reach: &Arc<Reach>| self.read().reaches.values().any(|kept| Arc::ptr_eq(kept, reach));
        before.into_values().filter(|reach| !stays(reach)).for_each(|reach| self.leaving.see_off(reach));
        Ok(())
    }

    /// The routes of a configuration, and the plans of those among them that are there already.
    fn routes(
        &self,
        config: &Config,
        reaches: &Reaches,
        changes: &[Change],
        ring: &Ring,
    ) -> Result<Routes, StartError> {
        let mut routes = Vec::new();
        let mut replaced = Vec::new();
        for wanted in &config.route {
            let behind: Vec<_> = wanted.upstreams.iter().filter_map(|name| reaches.get(name).cloned()).collect();
            if behind.len() != wanted.upstreams.len() {
                return Err(StartError::route(&wanted.path, "it names an upstream that is none"));
            }
            let known = self.read().routes.iter().find(|route| *route.path == *wanted.path).cloned();
            let moved = behind.iter().any(|reach| changes.iter().any(|change| change.moves(reach)));
            let before = known.as_ref().map(|route| Before { plan: route.desk.plan(), moved });
            let plan = Arc::new(Plan::new(wanted, &config.limits, behind, before.as_ref())?);
            match known {
                Some(route) => {
                    replaced.push((Arc::clone(&route), plan));
                    routes.push(route);
                }
                None => routes.push(self.route_of(config, plan, ring.clone())?),
            }
        }
        Ok((routes, replaced))
    }

    /// The upstreams of a configuration, and what changes of those that stay.
    fn reaches(&self, config: &Config) -> Result<(Reaches, Vec<Change>), StartError> {
        let known = self.read().reaches.clone();
        let mut reaches = BTreeMap::new();
        let mut changes = Vec::new();
        for wanted in &config.upstream {
            let known = known.get(&wanted.name);
            let change = known.map(|reach| reach.change(wanted, &config.limits)).transpose()?.flatten();
            let reach = match change {
                Some(change) => {
                    let reach = Arc::clone(change.reach());
                    changes.push(change);
                    reach
                }
                None => {
                    let upstream = Upstream::start(wanted, &self.outside)
                        .map_err(|error| StartError::upstream(&wanted.name, error))?;
                    Reach::new(wanted, &config.limits, upstream, &self.observer, known.map(|reach| &**reach))?
                }
            };
            reaches.insert(wanted.name.clone(), reach);
        }
        Ok((reaches, changes))
    }

    fn route_of(&self, config: &Config, plan: Arc<Plan>, ring: Ring) -> Result<Arc<Route>, StartError> {
        let path = plan.path.clone();
        let tokens = Arc::new(Tokens::new(ring, format!("gateway:{path}")));
        let sealer = Sealer { tokens: Arc::clone(&tokens), outside: self.outside.clone() };
        let hub = Hub::new();
        let desk = Desk::new(plan, sealer, self.replica.clone(), Arc::clone(&hub));
        // Before all listeners, so that nobody who is told of a change is given what was kept before.
        let keeper: std::sync::Weak<Desk> = Arc::downgrade(&desk);
        hub.first_tells(keeper);
        let server = server(config, &path);
        let server = if self.alone.load(Ordering::Relaxed) { server.alone() } else { server };
        let server = server
            .tokens(Arc::clone(&tokens))
            .outside(self.outside.clone())
            .bus(Arc::clone(&hub))
            .backend(Arc::clone(&desk))
            .build()
            .map_err(|error| StartError::route(&path, error))?;
        let series = self.observer.route(&path);
        Ok(Arc::new(Route { path, server, desk, tokens, series }))
    }

    /// Takes an address for where other replicas reach this one, unless something else was advertised.
    fn is_reached_at(&self, address: SocketAddr) {
        if !address.ip().is_unspecified() {
            self.replica.is_reached_at(format!("http://{address}"));
            for route in &self.read().routes {
                route.server.is_reached_at(&format!("http://{address}{}", route.path));
            }
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes what only a restart can change as it was before, and says what that is, by its keys.
fn keep_until_restart(before: &Config, config: &mut Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    let mut keep = |same: bool, key| {
        if !same {
            kept.push(key);
        }
    };
    keep(before.listener == config.listener, "listener");
    keep(before.admin == config.admin, "admin");
    keep(before.observe == config.observe, "observe");
    keep(before.fleet.replicas == config.fleet.replicas, "fleet.replicas");
    keep(before.fleet.advertise == config.fleet.advertise, "fleet.advertise");
    keep(before.fleet.peers == config.fleet.peers, "fleet.peers");
    config.listener.clone_from(&before.listener);
    config.admin.clone_from(&before.admin);
    config.observe.clone_from(&before.observe);
    // The ring is given beside the configuration, wherever it comes from.
    let key_file = config.fleet.key_file.take();
    config.fleet = config::Fleet { key_file, ..before.fleet.clone() };
    kept
}

/// The bounds of the server of a route.
fn limits(limits: &config::Limits) -> anypod_server::Limits {
    let mut own = anypod_server::Limits::default();
    own.body_bytes = limits.body_bytes;
    own.concurrent_requests = limits.requests;
    own.open_streams = limits.streams;
    own.request_deadline = Duration::from_secs(24 * 3600);
    own.body_deadline = limits.body_deadline.get();
    own.round_ttl_secs = limits.answer_deadline.get().as_secs();
    own.answer_deadline = limits.answer_deadline.get();
    own.session_ttl_secs = limits.session_ttl.get().as_secs();
    own.drain = limits.drain.get();
    own.connections = limits.connections;
    own
}

/// The server of a route, without what answers in it. Hosts and origins were checked before it is asked.
fn server(config: &Config, path: &str) -> ServerBuilder {
    let fleet = &config.fleet;
    let at = |url: &String| format!("{}{path}", url.trim_end_matches('/'));
    let info = info();
    let mut server = Server::new(info.name, info.version)
        .limits(limits(&config.limits))
        .replicas(usize::from(fleet.replicas.0))
        .dangerously_allow_any_host()
        .peers(fleet.peers.iter().map(at));
    if let Some(url) = &fleet.advertise {
        server = server.advertise(at(url));
    }
    server
}

/// Looks again and again at what is counted and tells nobody by itself.
async fn look(shared: Arc<Shared>, mut closing: watch::Receiver<Phase>) {
    loop {
        let reaches: Vec<_> = shared.read().reaches.values().cloned().collect();
        reaches.iter().for_each(|reach| reach.look(&shared.observer));
        shared.observer.totals().held_calls.set(reaches.iter().map(|reach| reach.sessions.held()).sum());
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = reached(&mut closing, Phase::NoMore) => return,
        }
    }
}

/// Serves `/metrics`, `/report` and the health endpoints until the gateway closes.
async fn serve_admin(shared: Arc<Shared>, listener: TcpListener, mut closing: watch::Receiver<Phase>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = reached(&mut closing, Phase::NoMore) => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = match shared.health(request.uri().path()) {
                    Some(status) => {
                        let mut answer = Response::new(http_body_util::Full::default());
                        *answer.status_mut() = status;
                        answer
                    }
                    None => shared.observer.admin(&request),
                };
                std::future::ready(Ok::<_, std::convert::Infallible>(answer))
            });
            let served = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30))
                .serve_connection(TokioIo::new(stream), service);
            let _: Result<(), hyper::Error> = served.await;
        });
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}
