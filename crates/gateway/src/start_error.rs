//! Why a gateway cannot be started, or a new configuration not be taken.

use std::io;

/// Why a gateway cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An upstream cannot be used as it is configured.
    #[error("upstream `{name}`: {reason}")]
    Upstream {
        /// The upstream.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A route cannot be used as it is configured.
    #[error("route `{path}`: {reason}")]
    Route {
        /// Its path.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// A certificate cannot be used.
    #[error("{0}")]
    Tls(String),
    /// Something that is written down cannot be written where it should be.
    #[error("observe: {0}")]
    Observe(String),
    /// Several replicas need the same key ring.
    #[error(
        "{replicas} replicas need one key ring: give all of them the same file with `fleet.key-file` or --key-file"
    )]
    NoRing {
        /// How many there are.
        replicas: u16,
    },
}

impl StartError {
    pub(crate) fn upstream(name: &str, reason: impl ToString) -> Self {
        Self::Upstream { name: name.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn route(path: &str, reason: impl ToString) -> Self {
        Self::Route { path: path.to_owned(), reason: reason.to_string() }
    }
}
