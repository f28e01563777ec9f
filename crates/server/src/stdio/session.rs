//! The legacy session of a connection: begun by `initialize`, over with the connection.
//!
//! Unlike over HTTP, nothing of it is sealed or looked up, because a connection is a client.
//!
//! Spec: 2025-11-25, basic/lifecycle, server/resources, "Subscriptions", server/utilities/logging.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anypod_proto::capabilities::ServerCapabilities;
use anypod_proto::code::Code;
use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::legacy::InitializeRequestParams;
use anypod_proto::logging::LoggingLevel;
use anypod_proto::reject::Rejection;
use anypod_proto::request::{Answer, Request};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::lines::Outgoing;
use crate::backend::Caller;
use crate::bus::{Event, Mailbox, Receiver as _, SessionChange};
use crate::completed::Failure;
use crate::cx::LegacyClient;
use crate::front::asked::{Asker, CannotAsk, Expected};
use crate::front::feed::Feed;
use crate::front::initialize::Opened;
use crate::front::questions::{CannotOpen, Outcome, Questions};
use crate::front::{initialize, stream};
use crate::server::Server;

/// A legacy client that has introduced itself.
pub(super) struct Session {
    /// What was agreed on, what the client said it is and can do, and the log level it wants by now.
    pub(super) client: Arc<LegacyClient>,
    /// What the server, or its backend, can do.
    pub(super) capabilities: ServerCapabilities,
    /// What the client will be told, until it is.
    feed: Option<Feed>,
    mailbox: Arc<Mailbox>,
    resources: BTreeSet<String>,
    listener: Option<AbortHandle>,
}

impl Session {
    /// Answers `initialize`: the session, and the result that opens it.
    pub(super) async fn open(server: &Server, request: &Request) -> Result<(Self, String), Failure> {
        let Opened { session: settled, capabilities, result } =
            initialize::open(server, request, None, Arc::default()).await?;
        // A session over HTTP keeps what fits into its id; here the client is known in full.
        let params: InitializeRequestParams =
            serde_json::from_str(request.params()).map_err(|_| Failure::from(Rejection::Internal))?;
        let number = settled.number;
        let client = LegacyClient {
            info: Some(Arc::new(params.client_info)),
            capabilities: Arc::new(params.capabilities.in_revision(settled.version).into()),
            // Until the client says otherwise, it gets everything.
            ..settled.known().client(capabilities.logging.is_some().then_some(LoggingLevel::Debug))
        };
        let caller = Caller::in_session(&client, None, Arc::default());
        let feed = Feed::new(server, number, caller, &capabilities);
        let session = Self {
            client: Arc::new(client),
            capabilities,
            mailbox: Arc::clone(feed.mailbox()),
            feed: Some(feed),
            resources: BTreeSet::new(),
            listener: None,
        };
        Ok((session, result))
    }

    /// Tells the client what changes from now on, if it is not told already. Not before it can know that
    /// the session is open.
    pub(super) fn listen(
        &mut self,
        tasks: &mut JoinSet<()>,
        lines: &mpsc::Sender<Outgoing>,
        ending: &watch::Sender<bool>,
    ) {
        if let Some(feed) = self.feed.take() {
            self.listener = Some(tasks.spawn(tell(feed, lines.clone(), ending.subscribe())));
        }
    }

    /// Takes over what the client changes.
    pub(super) fn change(&mut self, server: &Server, change: SessionChange) -> Result<(), Failure> {
        match &change {
            SessionChange::Level { level } => {
                let log_level = LoggingLevel::parse(level);
                self.client = Arc::new(LegacyClient { log_level, ..(*self.client).clone() });
            }
            SessionChange::Subscribe { uri } => {
                let limit = server.inner.limits().session_resources;
                if self.resources.len() >= limit && !self.resources.contains(uri) {
                    return Err(Failure::Protocol {
                        code: Code::InvalidParams.number(),
                        message: format!("a session can subscribe to {limit} resources at most"),
                        data: Some(json!({ "limit": limit })),
                    });
                }
                self.resources.insert(uri.clone());
            }
            SessionChange::Unsubscribe { uri } => drop(self.resources.remove(uri)),
            SessionChange::Cancel { .. } | SessionChange::End => {}
        }
        self.mailbox.deliver(&Event::Session { session: self.client.session, change });
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

/// Tells a legacy client what changes, until the connection is about to end.
async fn tell(mut feed: Feed, lines: mpsc::Sender<Outgoing>, mut ending: watch::Receiver<bool>) {
    loop {
        let change = tokio::select! {
            biased;
            // An error means that the connection is gone.
            _ = ending.wait_for(|ending| *ending) => return,
            change = poll_fn(|cx| feed.poll_next(cx)) => change,
        };
        match stream::message(change) {
            Ok(None) => {}
            Ok(Some(message)) => {
                if lines.send(Outgoing::always(message)).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::error!(%error, "a notification is not JSON"),
        }
    }
}

/// Asks the client by requests of our own, which it answers on its next lines.
pub(super) struct Questioner {
    questions: Arc<Questions>,
    asked: AtomicU64,
}

/// All questions of a connection are those of one client.
const CLIENT: u64 = 0;

impl Questioner {
    pub(super) fn new(server: &Server) -> Arc<Self> {
        let questions = Questions::new(server.inner.limits().open_questions);
        Arc::new(Self { questions, asked: AtomicU64::new(0) })
    }

    /// Takes an answer; one that nobody waits for is ignored.
    pub(super) fn answered(&self, answer: &Answer) {
        let taken = answer.id().parse().is_ok_and(|number| self.questions.answer(CLIENT, number, outcome(answer)));
        if !taken {
            tracing::debug!("the client answered what nobody asks");
        }
    }

    /// There will be no answers any more.
    pub(super) fn hang_up(&self) {
        self.questions.close();
    }
}

impl Asker for Questioner {
    fn expect(&self) -> Result<Expected, CannotAsk> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let answer = self.questions.open(CLIENT, number).map_err(|error| match error {
            CannotOpen::Closed => CannotAsk("the client has closed its end"),
            CannotOpen::TooMany => CannotAsk("too many questions wait for answers"),
        })?;
        let id = RawValue::from_string(number.to_string()).map_err(|_| CannotAsk("a number is not JSON"))?;
        Ok(Expected { id, answer })
    }
}

fn outcome(answer: &Answer) -> Outcome {
    let unreadable = |_| ErrorObject::new(Code::InvalidRequest, "the answer cannot be read");
    match answer.outcome() {
        Ok(result) => serde_json::from_str(result).map_err(unreadable),
        Err(error) => Err(serde_json::from_str(error).unwrap_or_else(unreadable)),
    }
}
