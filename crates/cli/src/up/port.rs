//! Ports for pods.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;

/// How many ports are drawn before giving up.
const DRAWS: usize = 100;

/// The ports given out, so that two pods that start together do not get the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Ports(Arc<Mutex<BTreeSet<u16>>>);

/// A free loopback port, ours until this is dropped as far as this process can tell.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    ports: Ports,
}

impl Ports {
    /// # Errors
    ///
    /// When the system has none left.
    pub(super) fn draw(&self) -> anyhow::Result<Port> {
        for _ in 0..DRAWS {
            let number = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .and_then(|listener| listener.local_addr())
                .context("no free port for a pod")?
                .port();
            let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if taken.insert(number) {
                return Ok(Port { number, ports: self.clone() });
            }
        }
        anyhow::bail!("no free port for a pod after {DRAWS} draws")
    }
}

impl Port {
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// The address that a pod on it listens on.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let mut taken = self.ports.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_pods_have_one_port_at_once() {
        let ports = Ports::default();
        let drawn: Vec<Port> = (0..50).map(|_| ports.draw().unwrap()).collect();
        let numbers: BTreeSet<u16> = drawn.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), drawn.len());
        drop(drawn);
        assert!(ports.0.lock().unwrap().is_empty());
    }
}
