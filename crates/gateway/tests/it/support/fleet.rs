//! Replicas of a gateway.

use std::net::SocketAddr;

use anypod_client::proto::version::Era;
use anypod_client::{Client, ClientBuilder};
use anypod_gateway::config::{EraChoice, Route, Time, Token, Upstream};
use anypod_gateway::{Config, Gateway};
use anypod_server::proto::seal::Ring;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::door::Door;
use super::{Alternate, Pod, ring, soon};

/// An upstream at these URLs, of an era. Nobody asks its pods how they are.
pub(crate) fn upstream_at(name: &str, era: EraChoice, urls: &[String]) -> Upstream {
    let mut upstream = Upstream { pods: urls.to_vec(), era, ..Upstream::new(name) };
    upstream.health.every = Time::from_secs(0);
    upstream
}

/// An upstream with these pods, of an era.
pub(crate) fn upstream<'a>(name: &str, era: EraChoice, pods: impl IntoIterator<Item = &'a Pod>) -> Upstream {
    Upstream { pods: pods.into_iter().map(Pod::url).collect(), era, ..Upstream::new(name) }
}

/// The token of a principal: the name itself.
pub(crate) fn token(principal: &str) -> Token {
    use std::fmt::Write as _;
    let mut sha256 = String::new();
    for byte in Sha256::digest(principal) {
        write!(sha256, "{byte:02x}").unwrap();
    }
    Token { principal: principal.to_owned(), sha256 }
}

pub(crate) fn modern<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Upstream {
    upstream("server", EraChoice::Modern, pods)
}

/// As if the pods spoke nothing else.
pub(crate) fn legacy<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Upstream {
    upstream("server", EraChoice::Legacy, pods)
}

/// A route at `/mcp` to all of them.
fn route(upstreams: &[Upstream]) -> Route {
    Route::new("/mcp", upstreams.iter().map(|upstream| upstream.name.as_str()))
}

/// A gateway before these upstreams, on a free port.
pub(crate) fn config(upstreams: impl IntoIterator<Item = Upstream>) -> Config {
    let mut config = Config::of_upstreams(&[]);
    config.listener[0].address = "127.0.0.1:0".to_owned();
    config.upstream = upstreams.into_iter().collect();
    config.route = vec![route(&config.upstream)];
    config
}

/// A replica that serves. Dropped, it ends at once.
pub(crate) struct Replica {
    pub(crate) gateway: Gateway,
    /// Of its first listener that has one.
    pub(crate) address: SocketAddr,
    /// Of its only route, on all listeners.
    pub(crate) urls: Vec<String>,
    /// Where it says how it is, if it does.
    pub(crate) admin: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Replica {
    /// One that has no others beside it.
    pub(crate) async fn alone(config: Config) -> Self {
        Self::start(config, Some(ring(1))).await
    }

    /// One whose keys nobody else has.
    pub(crate) async fn with_own_keys(config: Config) -> Self {
        Self::start(config, None).await
    }

    async fn start(config: Config, ring: Option<Ring>) -> Self {
        let gateway = Gateway::new(config, ring).unwrap();
        let bound = gateway.bind().await.unwrap();
        let (address, urls, admin) = (bound.addresses()[0], bound.urls(), bound.admin());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(bound.serve(async {
            // Only `stop` drops the sender while the task lives.
            let _ = stopped.await;
        }));
        Self { gateway, address, urls, admin, stop: Some(stop), serving }
    }

    /// Tells it to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(&mut self) {
        soon(&mut self.serving).await.unwrap();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Two replicas of one configuration.
pub(crate) struct Fleet {
    configs: Vec<Config>,
    doors: Vec<Door>,
    pub(crate) replicas: Vec<Replica>,
    /// Who sends requests to them, in turn.
    pub(crate) way: Alternate,
}

impl Fleet {
    /// Two replicas that know each other.
    pub(crate) async fn of(config: Config) -> Self {
        let doors = [Door::open().await, Door::open().await];
        let peers: Vec<_> = doors.iter().map(Door::url).collect();
        let configs = doors.iter().map(|door| {
            let mut config = config.clone();
            config.fleet.advertise = Some(door.url());
            config.fleet.peers.clone_from(&peers);
            config
        });
        Self::with(configs.collect(), doors.into()).await
    }

    /// Two replicas that nobody has told of each other.
    pub(crate) async fn of_strangers(config: Config) -> Self {
        Self::with(vec![config.clone(), config], Vec::new()).await
    }

    async fn with(configs: Vec<Config>, doors: Vec<Door>) -> Self {
        let mut fleet = Self { configs, doors, replicas: Vec::new(), way: Alternate::over(Vec::new()) };
        for config in &fleet.configs {
            fleet.replicas.push(Replica::start(config.clone(), Some(ring(1))).await);
        }
        fleet.opened();
        fleet
    }

    /// Other processes in the place of all of them.
    pub(crate) async fn restart(&mut self) {
        for which in 0..self.replicas.len() {
            self.restart_one(which).await;
        }
    }

    /// Another process in the place of one.
    pub(crate) async fn restart_one(&mut self, which: usize) {
        self.replicas[which] = Replica::start(self.configs[which].clone(), Some(ring(1))).await;
        self.opened();
    }

    fn opened(&self) {
        self.doors.iter().zip(&self.replicas).for_each(|(door, replica)| door.leads_to(replica.address));
        self.way.replace(self.replicas.iter().map(|replica| replica.address).collect());
    }

    /// Where a replica is.
    pub(crate) fn at(&self, which: usize) -> SocketAddr {
        self.replicas[which].address
    }

    /// A client that asks another replica each time, and keeps nothing.
    pub(crate) fn client(&self, era: Era) -> Client {
        self.client_of(Client::builder(), era)
    }

    pub(crate) fn client_of(&self, builder: ClientBuilder, era: Era) -> Client {
        builder.era(era).without_cache().service(self.way.clone())
    }
}
