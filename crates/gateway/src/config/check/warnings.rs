//! What works, and probably not as it was meant.

use crate::config::{Address, Config, Replicas};

impl Config {
    /// What works, and probably not as it was meant, for the log.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let addresses: Vec<Address> =
            self.listener.iter().filter_map(|listener| listener.address.parse().ok()).collect();
        let Replicas(replicas) = self.fleet.replicas;
        let usable = addresses.first().is_some_and(Address::is_definite);
        if (replicas > 1 || !self.fleet.peers.is_empty()) && self.fleet.advertise.is_none() && !usable {
            found.push(
                "no other replica can reach this one: `advertise` in [fleet] says where, and the first listener is no \
                 address that others could use. What one replica holds open, such as a question to a client, the others \
                 cannot pass on"
                    .to_owned(),
            );
        }
        if !addresses.iter().all(Address::is_local) {
            for route in self.route.iter().filter(|route| route.hosts.is_empty() && !route.any_host_unchecked) {
                found.push(format!(
                    "the route {} answers to loopback names only: `hosts` says under which others it may be called",
                    route.path
                ));
            }
        }
        let is_used = |name: &String| self.route.iter().any(|route| route.upstreams.contains(name));
        for upstream in self.upstream.iter().filter(|upstream| !is_used(&upstream.name)) {
            found.push(format!("no route leads to the upstream {}", upstream.name));
        }
        found
    }
}
