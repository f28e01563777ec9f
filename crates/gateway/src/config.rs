//! What a gateway is told: the types behind `anypod.toml`. Each key is documented here and nowhere else; the reference
//! page and the JSON Schema for editors are generated from these types.
//!
//! Everything has a default except the upstreams. Nothing unknown is ignored: a key that is not here is an error with
//! the line it stands on. [`Config::read`] and [`Config::parse`] give a [`Config`] that is checked and has at least one
//! route; one that is made in code is checked by [`Config::check`].

mod address;
mod check;
mod conform;
mod document;
mod error;
mod files;
mod limits;
mod read;
mod reference;
mod route;
mod schema;
mod shape;
mod show;
#[cfg(test)]
mod tests;
mod time;
mod upstream;
mod watch;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use address::{Address, NoAddress};
pub use error::{ConfigError, Place, Problem};
pub use limits::Limits;
pub use reference::reference;
pub use route::{Cache, Each, Effect, Mode, Names, Prefix, Rate, Route, Rule, Token};
pub use schema::schema;
pub use time::{NoTime, Time};
pub use upstream::{Balance, ClientTls, EraChoice, Health, Sessions, Timeouts, Upstream};
pub use watch::Watcher;

/// The path of the one route that there is when none is configured.
const USUAL_PATH: &str = "/mcp";
/// The name of the one upstream of a gateway without a file.
const ONLY_UPSTREAM: &str = "server";

/// A whole configuration file.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where clients connect. Default: `127.0.0.1:8080` without TLS.
    #[serde(default = "usual_listener")]
    pub listener: Vec<Listener>,
    /// The address of `/metrics`, `/report`, `/healthz` and `/readyz`, such as `127.0.0.1:9090`. Not served unless given;
    /// `/healthz` and `/readyz` are on every listener as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// What the replicas of this gateway share.
    #[serde(default)]
    pub fleet: Fleet,
    /// The servers that the gateway stands before. At least one.
    #[serde(default)]
    #[schemars(required, length(min = 1))]
    pub upstream: Vec<Upstream>,
    /// Which path leads to which upstreams. Default: one route at `/mcp` with all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route: Vec<Route>,
    /// The bounds of the whole gateway.
    #[serde(default)]
    pub limits: Limits,
    /// What is written down about requests.
    #[serde(default)]
    pub observe: Observe,
}

impl Config {
    /// The configuration of a gateway without a file: one upstream named `server` whose pods are at `urls`, and one route
    /// at `/mcp`. Not checked yet.
    pub fn of_upstreams(urls: &[String]) -> Self {
        let server = Upstream { pods: urls.to_vec(), ..Upstream::new(ONLY_UPSTREAM) };
        Self {
            listener: usual_listener(),
            admin: None,
            fleet: Fleet::default(),
            route: vec![Route::new(USUAL_PATH, [ONLY_UPSTREAM])],
            upstream: vec![server],
            limits: Limits::default(),
            observe: Observe::default(),
        }
    }

    /// Puts the route there that goes without saying.
    fn complete(&mut self) {
        if self.route.is_empty() {
            let mut names: Vec<&str> = Vec::new();
            for upstream in &self.upstream {
                // Two of the same name are a mistake of their own.
                if !names.contains(&upstream.name.as_str()) {
                    names.push(&upstream.name);
                }
            }
            self.route.push(Route::new(USUAL_PATH, names));
        }
    }
}

fn usual_listener() -> Vec<Listener> {
    vec![Listener { address: "127.0.0.1:8080".to_owned(), tls: None }]
}

/// Where clients connect.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Listener {
    /// `HOST:PORT`, or `unix:PATH`. Port 0 is any free one.
    pub address: String,
    /// Speaks TLS, HTTP/1.1 and HTTP/2, with this certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
}

/// The certificate of a listener. Files are read again when they change.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerTls {
    /// The certificate chain, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
    /// The authorities that a client's certificate must come from, as PEM. Clients need none unless this is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authorities: Option<PathBuf>,
}

/// What the replicas of a gateway share.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Fleet {
    /// The key ring, made by `anypod keys new`. Read again when it changes. Needed where there is more than one replica;
    /// without it, a fresh ring is made at each start, and sessions end with the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// How many replicas there are. Default 1.
    pub replicas: Replicas,
    /// The URL under which other replicas reach this one, such as `http://10.0.0.7:8080`. Default: the address of the first
    /// listener, where that is one that others could use. `--advertise` on the command line goes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<String>,
    /// The URLs of all replicas, this one's may be among them. With these, the end of a legacy session (DELETE) is told to all;
    /// without, replicas learn of each other by serving the same sessions.
    pub peers: Vec<String>,
}

/// How many replicas a gateway has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Replicas(pub u16);

impl Default for Replicas {
    fn default() -> Self {
        Self(1)
    }
}

/// What is written down about requests.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Observe {
    /// Where a line of JSON is written for each request: a file, or `-` for standard output. Default: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<PathBuf>,
    /// Where spans are sent: an OTLP endpoint over HTTP, such as `http://127.0.0.1:4318/v1/traces`. Default: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
    /// Names of tools, prompts and clients that have metrics of their own; further ones share one. Default 1,000.
    pub names: Cardinality,
}

/// How many names have metrics of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Cardinality(pub usize);

impl Default for Cardinality {
    fn default() -> Self {
        Self(1000)
    }
}
