//! The messages of legacy clients on a connection.
//!
//! Spec: 2025-11-25, basic/lifecycle; 2025-03-26, basic/transports, for batches.

use std::sync::Arc;

use anypod_proto::admit::{LegacyKind, LegacyMessage};
use anypod_proto::code::Code;
use anypod_proto::method::LegacyMethod;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::version::Version;
use tokio::sync::mpsc;
use tracing::Span;

use super::connection::Connection;
use super::exchange::{Answered, Exchange};
use super::lines::Outgoing;
use super::session::Session;
use crate::completed::Failure;
use crate::dispatch::Started;
use crate::front::call::{LegacyCall, NOTHING, refusal, success};
use crate::front::settings;
use crate::load::{Permit, What};
use crate::outbox::Outbox;
use crate::telemetry;

impl Connection {
    /// Takes a message of a legacy client, and gives the answer if it is there at once; otherwise it goes to
    /// `answers`.
    pub(super) async fn legacy(&mut self, message: LegacyMessage, answers: &mpsc::Sender<Outgoing>) -> Option<Vec<u8>> {
        match message.kind {
            LegacyKind::Request(request) => self.legacy_request(request, answers).await,
            LegacyKind::Notice(notice) => {
                self.notice(&notice);
                None
            }
            LegacyKind::Answer(answer) => {
                self.questioner.answered(&answer);
                None
            }
        }
    }

    /// Takes a batch, whose answers go out together.
    pub(super) async fn legacy_batch(&mut self, messages: Vec<LegacyMessage>) -> Option<Vec<u8>> {
        if self.session.as_ref().is_some_and(|session| session.client.version != Version::V2025_03_26) {
            return Some(Rejection::NotJsonRpc("this revision has no batches").to_response(None));
        }
        let requests = messages.iter().filter(|message| matches!(message.kind, LegacyKind::Request(_))).count();
        // A channel of one place for nothing, as there is none of zero.
        let (answers, gathered) = mpsc::channel(requests.max(1));
        let permit = match self.server.inner.load.enter(What::Request) {
            Ok(permit) => permit,
            Err(busy) => return Some(busy.to_response(None)),
        };
        for message in messages {
            if let Some(answer) = self.legacy(message, &answers).await
                && answers.try_send(Outgoing::always(answer)).is_err()
            {
                tracing::error!("a batch has more answers than requests");
            }
        }
        self.tasks.spawn(gather(gathered, self.lines.clone(), permit));
        None
    }

    async fn legacy_request(&mut self, request: Request, answers: &mpsc::Sender<Outgoing>) -> Option<Vec<u8>> {
        let span = telemetry::span(&request, telemetry::Transport::Pipe);
        let version = self.session.as_ref().map_or(Version::LATEST_LEGACY, |session| session.client.version);
        // What came on a stream does not declare its revision.
        span.record("mcp.protocol.version", version.as_str());
        let request = Arc::new(request);
        self.start_legacy(&request, answers, &span).await.unwrap_or_else(|failure| {
            telemetry::failed(&span, &failure);
            Some(refusal(request.id(), &failure).body)
        })
    }

    async fn start_legacy(
        &mut self,
        request: &Arc<Request>,
        answers: &mpsc::Sender<Outgoing>,
        span: &Span,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let ticket = self.enter(request)?;
        let done = || Some(success(request.id(), NOTHING).body);
        let method = LegacyMethod::parse(&request.method_name());
        match method {
            Some(LegacyMethod::Ping) => return Ok(done()),
            Some(LegacyMethod::Initialize) => {
                let (session, result) = Session::open(&self.server, request).await?;
                self.session = Some(session);
                return Ok(Some(success(request.id(), &result).body));
            }
            Some(LegacyMethod::SetLevel | LegacyMethod::Subscribe | LegacyMethod::Unsubscribe) | None => {}
        }
        let Some(session) = &mut self.session else { return Err(not_initialized()) };
        if let Some(method) = method {
            if let Some(change) = settings::read(method, &session.capabilities, request)? {
                session.change(&self.server, change)?;
            }
            return Ok(done());
        }
        let permit = self.server.inner.load.enter(What::Request)?;
        let outbox = Arc::new(Outbox::new(self.server.inner.limits().outbox_messages));
        let mut call = LegacyCall {
            server: self.server.clone(),
            request: Arc::clone(request),
            client: Arc::clone(&session.client),
            principal: None,
            outbox: Arc::clone(&outbox),
            permit: Some(permit),
            extensions: None,
        };
        let questioner = Arc::clone(&self.questioner);
        match span.in_scope(|| call.start(&questioner))? {
            Started::Done(done) => Ok(Some(span.in_scope(|| call.respond(Ok(done))).body)),
            Started::Running(run) => {
                let work = async move {
                    let response = call.finish(run, &questioner).await.body;
                    Answered { response, permit: call.permit.take() }
                };
                let (lines, answers) = (self.lines.clone(), answers.clone());
                self.spawn(Exchange { ticket, outbox, lines, answers }, work, span.clone());
                Ok(None)
            }
        }
    }
}

/// Sends the answers of a batch as one message, when all of them are there. The permit is for their memory.
async fn gather(mut gathered: mpsc::Receiver<Outgoing>, lines: mpsc::Sender<Outgoing>, _permit: Permit) {
    let mut batch = Vec::new();
    while let Some(answer) = gathered.recv().await {
        if let Some(answer) = answer.into_text() {
            batch.push(if batch.is_empty() { b'[' } else { b',' });
            batch.extend_from_slice(&answer);
        }
    }
    if !batch.is_empty() {
        batch.push(b']');
        // Fails when the client is gone.
        let _ = lines.send(Outgoing::always(batch)).await;
    }
}

/// Of either era: a legacy client that has not begun its session, or a modern one that says no version, to
/// which the specification gives this code.
fn not_initialized() -> Failure {
    Failure::Protocol {
        code: Code::InvalidParams.number(),
        message: "send `initialize` first, or say in `_meta` of the request which revision it speaks".to_owned(),
        data: None,
    }
}
