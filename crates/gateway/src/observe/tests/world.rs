//! A virtual world outside, and requests to see in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anypod_proto::method::Method;
use anypod_proto::seal::UnixSeconds;
use anypod_proto::version::{Era, Version};
use anypod_server::{Clock, Entropy, Outside};
use http_body_util::BodyExt;

use crate::config;
use crate::config::Cardinality;
use crate::observe::{Called, Client, Leg, MetaTrace, Observer, Outcome, Seen};

/// When the virtual clock starts: 2026-07-28T09:30:00Z.
pub(crate) const START: u64 = 1_785_231_000;

/// A clock that only moves when it is told to, and randomness that repeats itself.
#[derive(Clone, Default)]
pub(crate) struct World {
    elapsed: Arc<AtomicU64>,
    drawn: Arc<AtomicU64>,
}

impl World {
    pub(crate) fn advance(&self, secs: u64) {
        self.elapsed.fetch_add(secs, Ordering::Relaxed);
    }

    pub(crate) fn observer(&self, config: &config::Observe) -> Arc<Observer> {
        Observer::new(config, Outside::new(self.clone(), self.clone())).unwrap()
    }

    /// One that neither logs nor traces, with room for so many names.
    pub(crate) fn metrics(&self, names: usize) -> Arc<Observer> {
        self.observer(&config::Observe { names: Cardinality(names), ..Default::default() })
    }
}

impl Clock for World {
    fn now(&self) -> UnixSeconds {
        UnixSeconds(START + self.elapsed.load(Ordering::Relaxed))
    }
}

impl Entropy for World {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            let mixed = drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&(mixed ^ mixed >> 29).to_le_bytes()[..chunk.len()]);
        }
    }
}

impl Observer {
    /// A call of a tool that a modern client makes and a modern pod answers.
    pub(crate) fn call(&self, name: &str) -> Seen {
        let upstream = self.upstream("tools");
        let leg = Leg {
            pod: self.pod(&upstream, "10.0.0.5:9000"),
            after: Duration::from_millis(1),
            head: Some(Duration::from_millis(3)),
            retries: 0,
        };
        Seen {
            http_method: http::Method::POST,
            route: Some(self.route("/mcp")),
            called: Called::Request(Method::ToolsCall),
            name: Some(name.into()),
            era: Some(Era::Modern),
            version: Some(Version::LATEST),
            client: Some(self.client("desk", "2.0")),
            principal: None,
            upstream: Some(upstream),
            upstream_era: Some(Era::Modern),
            leg: Some(leg),
            status: 200,
            code: None,
            outcome: Outcome::Ok,
            took: Duration::from_millis(5),
            bytes_in: 100,
            bytes_out: 200,
            cached: false,
            hopped: false,
            affinity: false,
            trace: None,
        }
    }

    /// The same of a legacy client, in its session.
    pub(crate) fn legacy_call(&self, client: &Arc<Client>) -> Seen {
        Seen {
            era: Some(Era::Legacy),
            version: Some(Version::LATEST_LEGACY),
            client: Some(Arc::clone(client)),
            affinity: true,
            ..self.call("add")
        }
    }

    /// A call within a trace that says so in `_meta`.
    pub(crate) fn traced_call(&self, name: &str, parent: &str) -> Seen {
        let meta = MetaTrace { parent: Some(parent), state: Some("a=1") };
        Seen { trace: self.trace(&http::HeaderMap::new(), meta), ..self.call(name) }
    }

    /// What a path of the admin address answers.
    pub(crate) async fn read(&self, path: &str) -> (http::StatusCode, String) {
        let (head, body) = self.admin(&http::Request::get(path).body(()).unwrap()).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status, String::from_utf8(body.to_vec()).unwrap())
    }
}

/// A file that is gone with the test.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("anypod-observe-{name}-{}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
