//! A server that does as it is told, right or wrong: for tests of clients, against what servers do in the wild.
//!
//! A [`Script`] says which requests are expected and how each is answered. It is served over raw TCP, so that it can
//! break HTTP itself, or over a pipe, line by line. A [`Reply`] is anything from a result under the request's id to half
//! an event that nothing follows. The server remembers every request it got, and ends when it is dropped.
//!
//! ```
//! use anypod_client::{Broken, Client, Error};
//! use anypod_testkit::script::{Expect, Reply, Script};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let page = json!({ "resultType": "complete", "tools": [], "nextCursor": "again" });
//! let server = Script::new().always(Expect::method("tools/list"), Reply::result(&page)).serve().await?;
//!
//! let error = Client::connect(&server.url())?.tools().await.unwrap_err();
//! assert!(matches!(error, Error::Broken(Broken::EndlessList)));
//! assert_eq!(server.received().len(), 2);
//! assert_eq!(server.received()[1].json()["params"]["cursor"], "again");
//! # Ok(())
//! # }
//! ```

mod http;
mod received;
mod reply;
mod stdio;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use received::{Expect, Received};
pub use reply::Reply;

/// What a server is to do, step by step. Each request is answered by the first step that expects it and has not been
/// taken yet.
#[derive(Default)]
#[must_use = "a script does nothing until it is served"]
pub struct Script {
    steps: Vec<Step>,
}

struct Step {
    expect: Expect,
    reply: Box<dyn Fn(&Received) -> Reply + Send + Sync>,
    often: Often,
}

#[derive(Clone, Copy, PartialEq)]
enum Often {
    Once,
    Taken,
    Always,
}

/// Something that a step answers with: a [`Reply`], or a function that makes one of what was [`Received`].
pub trait Answers: Send + Sync + 'static {
    /// The reply.
    fn reply(&self, received: &Received) -> Reply;
}

impl Answers for Reply {
    fn reply(&self, _: &Received) -> Reply {
        self.clone()
    }
}

impl<F: Fn(&Received) -> Reply + Send + Sync + 'static> Answers for F {
    fn reply(&self, received: &Received) -> Reply {
        self(received)
    }
}

impl Script {
    /// One that expects nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers one request that is as expected.
    pub fn on(self, expect: Expect, reply: impl Answers) -> Self {
        self.step(expect, reply, Often::Once)
    }

    /// Answers every request that is as expected.
    pub fn always(self, expect: Expect, reply: impl Answers) -> Self {
        self.step(expect, reply, Often::Always)
    }

    fn step(mut self, expect: Expect, reply: impl Answers, often: Often) -> Self {
        self.steps.push(Step { expect, reply: Box::new(move |received| reply.reply(received)), often });
        self
    }

    /// Serves HTTP/1.1 on a free port of 127.0.0.1. What no step expects is answered 501.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn serve(self) -> io::Result<Server> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let stage = Arc::new(Stage::new(self));
        let mut tasks = JoinSet::new();
        tasks.spawn(http::accept(listener, Arc::clone(&stage)));
        Ok(Server { url, stage, _tasks: tasks })
    }

    /// Serves lines over a pipe, whose other end the client has. What no step expects is not answered.
    pub fn pipe(self) -> (Server, DuplexStream) {
        const BUFFER: usize = 64 * 1024;
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        let stage = Arc::new(Stage::new(self));
        let mut tasks = JoinSet::new();
        tasks.spawn(stdio::serve(ours, Arc::clone(&stage)));
        (Server { url: String::new(), stage, _tasks: tasks }, theirs)
    }
}

/// A script that is being served. Dropping it ends it, with all of its connections.
pub struct Server {
    url: String,
    stage: Arc<Stage>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Where it is; empty over a pipe.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Every request so far, in order, the unexpected ones among them.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.stage.received).clone()
    }

    /// The JSON-RPC methods of those; empty for what has none.
    pub fn methods(&self) -> Vec<String> {
        self.received().iter().map(|received| received.method().unwrap_or_default()).collect()
    }

    /// How many bytes it could send so far, up to the buffers of the network.
    pub fn sent(&self) -> u64 {
        self.stage.sent.load(Ordering::Relaxed)
    }

    /// Waits until `times` answers were given up by the client: their connections closed before they had ended.
    pub async fn given_up(&self, times: usize) {
        // The sender lives in `self`, so that waiting cannot fail.
        let _ = self.stage.given_up.subscribe().wait_for(|count| *count >= times).await;
    }

    /// Asserts that every step was taken and nothing else asked for.
    ///
    /// # Panics
    /// If not, with what is left.
    #[track_caller]
    pub fn assert_done(&self) {
        let left: Vec<_> = lock(&self.stage.steps)
            .iter()
            .filter(|step| step.often == Often::Once)
            .map(|step| step.expect.to_string())
            .collect();
        let unexpected = lock(&self.stage.unexpected).clone();
        assert!(left.is_empty() && unexpected.is_empty(), "never asked for: {left:?}; not expected: {unexpected:?}");
    }
}

/// What the connections of a server share.
struct Stage {
    steps: Mutex<Vec<Step>>,
    received: Mutex<Vec<Received>>,
    unexpected: Mutex<Vec<String>>,
    sent: AtomicU64,
    given_up: watch::Sender<usize>,
}

impl Stage {
    fn new(script: Script) -> Self {
        Self {
            steps: Mutex::new(script.steps),
            received: Mutex::default(),
            unexpected: Mutex::default(),
            sent: AtomicU64::new(0),
            given_up: watch::Sender::new(0),
        }
    }

    /// The reply to a request, if a step expects it.
    fn take(&self, request: &Received) -> Option<Reply> {
        lock(&self.received).push(request.clone());
        let mut steps = lock(&self.steps);
        let step = steps.iter_mut().find(|step| step.often != Often::Taken && step.expect.wants(request));
        let Some(step) = step else {
            lock(&self.unexpected).push(request.to_string());
            return None;
        };
        if step.often == Often::Once {
            step.often = Often::Taken;
        }
        Some((step.reply)(request))
    }

    fn give_up(&self) {
        self.given_up.send_modify(|count| *count += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
