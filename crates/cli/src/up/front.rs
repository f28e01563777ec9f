//! The front: the gateway, in this process.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use anypod_gateway::config::{Health, Problem, Time};
use anypod_gateway::{Bound, Config, Gateway, StartError};
use anypod_proto::seal::Ring;
use tokio::sync::watch;

use super::UpArgs;
use crate::usage::Usage;

/// How often pods of our own are asked how they are: they are near, and few.
const ASK_EVERY: Time = Time::from_secs(1);
/// The longest time without a request for a pod of our own that has failed: it is started again sooner than others are.
const LONGEST_PAUSE: Time = Time::from_secs(5);

/// Where pods of our own listen, by their numbers.
pub(super) type Places = BTreeMap<u16, SocketAddr>;

/// A gateway that listens but does not serve yet.
pub(super) struct Front {
    bound: Bound,
    stand: Stand,
}

/// Where a gateway stands: before which pods.
pub(super) struct Stand {
    gateway: Gateway,
    config: Config,
}

impl Front {
    /// Takes the port, before these URLs.
    ///
    /// # Errors
    ///
    /// A [`Usage`] when a URL or a host cannot be used, or the address not be listened on.
    pub(super) async fn before(urls: &[String], args: &UpArgs, ring: Option<Ring>) -> anyhow::Result<Self> {
        Self::bind(config(urls, args), args, ring).await
    }

    /// Takes the port, before pods that will be at these places and are left alone until [`Stand::before`] is told that
    /// they are up.
    ///
    /// # Errors
    ///
    /// As [`Front::before`].
    pub(super) async fn before_own(places: &Places, args: &UpArgs, ring: Option<Ring>) -> anyhow::Result<Self> {
        let mut config = config(&urls(places), args);
        for upstream in &mut config.upstream {
            upstream.health.every = Time::from_secs(0);
        }
        Self::bind(config, args, ring).await
    }

    async fn bind(config: Config, args: &UpArgs, ring: Option<Ring>) -> anyhow::Result<Self> {
        if let Err(error) = config.check() {
            let texts: Vec<_> = error.problems().iter().map(Problem::text).collect();
            return Err(Usage::new(texts.join("; ")).into());
        }
        let gateway = Gateway::new(config.clone(), ring).map_err(|error| Usage::new(error.to_string()))?;
        let bound = gateway.bind().await.map_err(|error| match error {
            StartError::Listen { source, .. } => Usage::new(refusal(args.address(), &source)),
            error => Usage::new(error.to_string()),
        })?;
        Ok(Self { bound, stand: Stand { gateway, config } })
    }

    /// Where clients on this machine reach it; the port is the real one where 0 was asked for.
    pub(super) fn url(&self) -> String {
        self.bound.urls().into_iter().next().unwrap_or_default()
    }

    /// What serves, and what can be moved meanwhile.
    pub(super) fn open(self) -> (Bound, Stand) {
        (self.bound, self.stand)
    }
}

impl Stand {
    /// Stands before pods of our own at these places, and asks them how they are from now on.
    ///
    /// # Errors
    ///
    /// When the gateway does not take it.
    pub(super) fn before(&self, places: &Places) -> anyhow::Result<()> {
        let mut config = self.config.clone();
        for upstream in &mut config.upstream {
            upstream.pods = urls(places);
            upstream.health = Health {
                every: ASK_EVERY,
                longest_pause: LONGEST_PAUSE,
                // Round robin, and nothing else: who tries things out counts.
                slow_start: Time::from_secs(0),
                ..Health::default()
            };
        }
        Ok(self.gateway.reload(config, None)?)
    }

    /// Goes along when pods move, for ever.
    pub(super) async fn follow(&self, places: &mut watch::Receiver<Places>) {
        while places.changed().await.is_ok() {
            let now = places.borrow_and_update().clone();
            if let Err(error) = self.before(&now) {
                tracing::error!(%error, "the pods that were there stay");
            }
        }
        std::future::pending().await
    }
}

fn urls(places: &Places) -> Vec<String> {
    places.values().map(|address| format!("http://{address}/mcp")).collect()
}

fn config(urls: &[String], args: &UpArgs) -> Config {
    let mut config = Config::of_upstreams(urls);
    for listener in &mut config.listener {
        listener.address = args.address().to_string();
    }
    config.limits.drain = Time::from_millis(u64::try_from(args.drain.as_millis()).unwrap_or(u64::MAX));
    for route in &mut config.route {
        route.hosts.clone_from(&args.allow_host);
        // Who chooses an address means to be called by it, and no page can have its own name called so.
        if !args.host.is_loopback() && !args.host.is_unspecified() {
            route.hosts.push(authority(args.host));
        }
    }
    config
}

/// An address as `Host` has it.
fn authority(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

fn refusal(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} on {} is taken: stop what listens there, or choose another with --port (0 picks a free one)",
            address.ip()
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is no address of this machine: choose one with --host", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} on {} needs privileges: choose one from 1024 with --port", address.ip())
        }
        _ => format!("cannot listen on {address}: {error}; choose others with --host and --port"),
    }
}
