//! Other pods, those that were named and those that this one has met, and how they hear what a legacy client changes.
//!
//! A cancellation, a log level or a subscription comes by a POST of its own, which may reach another pod
//! than the one it matters to. Until a shared bus carries such events, pods tell each other: a session id
//! names the pod that opened the session, so that every pod learns of every other by serving its sessions.
//! That is a cache: what is not known yet is not told, and a pod that cannot be reached is forgotten.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

use super::deliver::Undelivered;
use super::hop::{self, Holder};
use crate::bus::Event;
use crate::server::Server;

/// The most pods that are remembered.
const MAX_PEERS: usize = 64;

/// The other pods.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// Those that were named; told always, and never forgotten.
    named: Vec<Holder>,
    /// Those that this pod has met.
    known: Mutex<BTreeMap<SocketAddrV4, Holder>>,
}

impl Peers {
    pub(super) fn new(named: Vec<Holder>) -> Self {
        Self { named, known: Mutex::default() }
    }

    /// Remembers the pod at `address`, which serves at the same path as `own`, unless it is `own`.
    pub(super) fn learn(&self, own: Option<&Holder>, address: SocketAddrV4) {
        let Some(own) = own else { return };
        let mut known = self.lock();
        if known.len() < MAX_PEERS
            && own.address() != Some(address)
            && !self.named.iter().any(|named| named.address() == Some(address))
            && !known.contains_key(&address)
            && let Some(holder) = own.at(address)
        {
            known.insert(address, holder);
        }
    }

    /// Everyone but `own`; the address is that of a pod which may be forgotten.
    fn all(&self, own: Option<&Holder>) -> Vec<(Option<SocketAddrV4>, Holder)> {
        let is_own = |holder: &&Holder| {
            own.is_some_and(|own| own == *holder || own.address().is_some() && own.address() == holder.address())
        };
        let named = self.named.iter().filter(|holder| !is_own(holder)).map(|holder| (None, holder.clone()));
        named.chain(self.lock().iter().map(|(address, holder)| (Some(*address), holder.clone()))).collect()
    }

    fn forget(&self, address: SocketAddrV4) {
        self.lock().remove(&address);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<SocketAddrV4, Holder>> {
        // Entries are independent of each other, so a panic in between leaves nothing inconsistent.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells an event to the pods that were named and those that this one has met, all at once, and waits until each has it
/// or cannot be reached. With a shared bus there is nothing to do.
pub(crate) async fn tell(server: &Server, event: &Event) {
    if server.inner.bus.is_shared() {
        return;
    }
    let mut telling = JoinSet::new();
    let front = &server.inner.front;
    for (address, holder) in front.peers.all(front.holder()) {
        let (server, event) = (server.clone(), event.clone());
        telling.spawn(async move {
            match hop::tell(&server, &holder, &event).await {
                Err(Undelivered::Unreachable | Undelivered::Gone) if let Some(address) = address => {
                    server.inner.front.peers.forget(address);
                }
                Err(reason) => tracing::warn!(%reason, "a change could not be told to another pod"),
                Ok(()) => {}
            }
        });
    }
    while telling.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new([10, 0, 0, 5].into(), port)
    }

    #[test]
    fn remembers_others_at_the_path_of_its_own_and_not_itself() {
        let peers = Peers::default();
        let own = Holder::parse("http://10.0.0.5:1/mcp").unwrap();
        for port in [1, 2, 3, 2] {
            peers.learn(Some(&own), address(port));
        }
        let known: Vec<_> = peers.all(Some(&own)).into_iter().map(|(_, holder)| holder.as_str().to_owned()).collect();
        assert_eq!(known, ["http://10.0.0.5:2/mcp", "http://10.0.0.5:3/mcp"]);
        peers.forget(address(2));
        assert_eq!(peers.all(Some(&own)).len(), 1);
    }

    #[test]
    fn tells_those_that_were_named_once_and_never_itself() {
        let urls = ["http://10.0.0.5:1/mcp", "http://10.0.0.5:2/mcp", "http://pod-3.mcp.svc/mcp"];
        let peers = Peers::new(urls.map(|url| Holder::parse(url).unwrap()).to_vec());
        let own = Holder::parse("http://10.0.0.5:1/mcp").unwrap();
        (1..4).for_each(|port| peers.learn(Some(&own), address(port)));
        let told: Vec<_> = peers.all(Some(&own)).into_iter().map(|(_, holder)| holder.as_str().to_owned()).collect();
        assert_eq!(told, ["http://10.0.0.5:2/mcp", "http://pod-3.mcp.svc/mcp", "http://10.0.0.5:3/mcp"]);
    }

    #[test]
    fn remembers_a_bounded_number_and_nobody_while_it_cannot_be_reached_itself() {
        let peers = Peers::default();
        peers.learn(None, address(2));
        assert!(peers.all(None).is_empty());
        let own = Holder::parse("http://10.0.0.5:1/mcp").unwrap();
        (2..2000).for_each(|port| peers.learn(Some(&own), address(port)));
        assert_eq!(peers.all(Some(&own)).len(), MAX_PEERS);
    }
}
