//! The sessions: what is measured in which order, and what is written about it.
//!
//! Whatever is measured runs on core 0 and what drives it on core 1. Peers take turns, each sample in a
//! process of its own, and a ratio is the median of the ratios of samples taken next to each other: noise
//! from outside then meets all peers alike.

mod callgrind;
mod client;
mod cost;
mod gateway;
mod machine;
mod process;
mod report;
mod sample;
mod server;
mod tasks;

use anyhow::Result;

pub use self::{
    client::client,
    gateway::{Piece, gateway},
    server::server,
    tasks::{Kept, tasks},
};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Samples of each peer and workload.
    pub rounds: usize,
    /// Seconds that a sample counts.
    pub seconds: f64,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Limit,
    LimitTyped,
    Rmcp,
    Anypod,
}

impl Peer {
    const ALL: [Self; 4] = [Self::Limit, Self::LimitTyped, Self::Rmcp, Self::Anypod];

    /// The peer's binary, which stands beside this one.
    fn binary(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::LimitTyped => "limit_typed",
            Self::Rmcp => "rmcp_echo",
            Self::Anypod => "anypod_echo",
        }
    }

    /// What the table calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::LimitTyped => "typed limit",
            Self::Rmcp => "rmcp",
            Self::Anypod => "anypod",
        }
    }

    /// Whether it was built. A binary that an earlier build left behind does not count.
    fn is_built(self) -> bool {
        self != Self::Anypod || cfg!(feature = "anypod")
    }
}

/// The middle of `values`, the upper one of two; `None` without any.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Reports a failure and goes on without the value.
fn or_missing<T>(what: &str, peer: Peer, value: Result<T>) -> Option<T> {
    value.inspect_err(|error| eprintln!("{what} of {}: {error:#}", peer.name())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
    }
}
