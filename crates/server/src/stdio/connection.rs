//! One client: its messages in the order in which they come, and the tasks that work on its requests.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use anypod_proto::admit::{Admitted, Carrier, admit};
use anypod_proto::cancellation::CancelledNotificationParams;
use anypod_proto::code::Code;
use anypod_proto::method::{Method, Notification};
use anypod_proto::reject::{Refused, Rejection};
use anypod_proto::request::{Notice, Request};
use http::Extensions;
use tokio::io::AsyncRead;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::exchange::{self, Answered, Exchange};
use super::inflight::{Register, Ticket};
use super::lines::{Line, Lines, Outgoing};
use super::session::{Questioner, Session};
use crate::completed::{self, Failure};
use crate::cx::Client;
use crate::dispatch::{Call, Resume, Started};
use crate::listen::Listening;
use crate::load::What;
use crate::outbox::Outbox;
use crate::server::Server;
use crate::telemetry;

/// How a connection ended.
pub(super) struct Served {
    /// When the end began.
    pub(super) ended: Instant,
    /// Whether reading failed.
    pub(super) outcome: io::Result<()>,
}

/// A client that is served.
pub(super) struct Connection {
    pub(super) server: Server,
    pub(super) lines: mpsc::Sender<Outgoing>,
    pub(super) calls: Arc<Register>,
    /// What works on requests; ends with the connection.
    pub(super) tasks: JoinSet<()>,
    /// True when no requests are taken any more.
    pub(super) ending: watch::Sender<bool>,
    pub(super) session: Option<Session>,
    pub(super) questioner: Arc<Questioner>,
    /// A message that goes out before the next line is read.
    reply: Option<Outgoing>,
}

impl Connection {
    pub(super) fn new(server: Server, lines: mpsc::Sender<Outgoing>) -> Self {
        let questioner = Questioner::new(&server);
        Self {
            server,
            lines,
            calls: Arc::default(),
            tasks: JoinSet::new(),
            ending: watch::Sender::new(false),
            session: None,
            questioner,
            reply: None,
        }
    }

    /// Serves until the input ends or `stop` completes, and then what is in flight.
    pub(super) async fn run<R>(mut self, mut input: Lines<R>, stop: impl Future<Output = ()>) -> Served
    where
        R: AsyncRead + Unpin,
    {
        let load = Arc::clone(&self.server.inner.load);
        let mut stop = pin!(async {
            tokio::select! {
                () = stop => {}
                () = load.drained() => {}
            }
        });
        let mut outcome = loop {
            tokio::select! {
                biased;
                () = &mut stop => break Ok(()),
                turn = self.turn(&mut input) => if turn.is_err() || input.is_over() { break turn },
            }
        };
        let ended = Instant::now();
        self.ending.send_replace(true);
        let drain = self.server.inner.limits().drain;
        let finish = async {
            while !(self.tasks.is_empty() && self.reply.is_none()) {
                if let Err(error) = self.turn(&mut input).await {
                    outcome = Err(error);
                }
            }
        };
        if timeout(drain, finish).await.is_err() {
            tracing::warn!("requests were still in flight when the time to drain was over");
        }
        Served { ended, outcome }
    }

    /// Does what is next: a task has ended, the reply can go out, or a line has come.
    async fn turn<R: AsyncRead + Unpin>(&mut self, input: &mut Lines<R>) -> io::Result<()> {
        let line = tokio::select! {
            biased;
            Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!(%error, "the work on a request panicked");
                }
                return Ok(());
            }
            place = self.lines.reserve(), if self.reply.is_some() => {
                if let (Ok(place), Some(reply)) = (place, self.reply.take()) {
                    place.send(reply);
                }
                if let Some(session) = &mut self.session {
                    session.listen(&mut self.tasks, &self.lines, &self.ending);
                }
                return Ok(());
            }
            line = input.next(), if self.reply.is_none() && !input.is_over() => line,
        };
        if input.is_over() {
            self.questioner.hang_up();
        }
        if let Some(line) = line? {
            self.reply = self.take(line).await.map(Outgoing::always);
        }
        Ok(())
    }

    /// Takes a message, and gives the answer if it is there at once. Waits for nothing but a backend that has to say
    /// what it is.
    async fn take(&mut self, line: Line) -> Option<Vec<u8>> {
        let text = match line {
            Line::Text(text) => text,
            Line::TooLong => return Some(Rejection::TooLarge(self.server.inner.limits().line_bytes).to_response(None)),
        };
        match admit(Carrier::Stream, text, |_| None) {
            Ok(Admitted::Request(request)) => self.modern(request),
            Ok(Admitted::Notice(notice)) => {
                self.notice(&notice);
                None
            }
            Ok(Admitted::Legacy(message)) => {
                let answers = self.lines.clone();
                self.legacy(message, &answers).await
            }
            Ok(Admitted::LegacyBatch(messages)) => self.legacy_batch(messages).await,
            Err(refused) => refuse(&refused),
        }
    }

    /// Takes a modern request, and gives the answer if it is there at once.
    fn modern(&mut self, request: Request) -> Option<Vec<u8>> {
        let span = telemetry::span(&request, telemetry::Transport::Pipe);
        let request = Arc::new(request);
        self.start_modern(&request, &span).unwrap_or_else(|failure| {
            telemetry::failed(&span, &failure);
            Some(completed::Response::failure(Some(request.id()), &failure).body)
        })
    }

    fn start_modern(&mut self, request: &Arc<Request>, span: &tracing::Span) -> Result<Option<Vec<u8>>, Failure> {
        let ticket = self.enter(request)?;
        if request.method() == Some(Method::SubscriptionsListen) {
            self.spawn_listener(ticket, Arc::clone(request), span.clone());
            return Ok(None);
        }
        let permit = self.server.inner.load.enter(What::Request)?;
        let outbox = Arc::new(Outbox::new(self.server.inner.limits().outbox_messages));
        let call = Call {
            request: Arc::clone(request),
            client: Client::Modern,
            principal: None,
            outbox: Arc::clone(&outbox),
            resume: Resume::of(request)?,
            line: None,
            extensions: None,
        };
        match span.in_scope(|| self.server.start(call))? {
            Started::Done(done) => Ok(Some(completed::Response::result(&self.server, request.id(), done).body)),
            Started::Running(run) => {
                let work = exchange::modern(self.server.clone(), run, permit, span.clone());
                let (lines, answers) = (self.lines.clone(), self.lines.clone());
                self.spawn(Exchange { ticket, outbox, lines, answers }, work, span.clone());
                Ok(None)
            }
        }
    }

    /// Enters a request into the register, unless the connection is about to end.
    pub(super) fn enter(&self, request: &Request) -> Result<Ticket, Failure> {
        if *self.ending.borrow() {
            return Err(Rejection::Busy { retry_after_secs: 1 }.into());
        }
        self.calls.enter(request.id())
    }

    pub(super) fn spawn(
        &mut self,
        exchange: Exchange,
        work: impl Future<Output = Answered> + Send + 'static,
        span: tracing::Span,
    ) {
        let call = Arc::clone(exchange.ticket.call());
        call.runs_as(self.tasks.spawn(exchange.run(work).instrument(span)));
    }

    fn spawn_listener(&mut self, ticket: Ticket, request: Arc<Request>, span: tracing::Span) {
        let call = Arc::clone(ticket.call());
        let (server, lines, ending) = (self.server.clone(), self.lines.clone(), self.ending.subscribe());
        let task = async move {
            match Listening::open(&server, &request, Extensions::new()).await {
                Ok(listening) => exchange::listen(listening, ticket, lines, ending).await,
                Err(failure) => {
                    telemetry::failed(&span, &failure);
                    let response = completed::Response::failure(Some(request.id()), &failure).body;
                    exchange::answer(ticket, &lines, response).await;
                }
            }
        };
        call.runs_as(self.tasks.spawn(task));
    }

    /// Takes a notification. Those that are unknown or malformed are ignored, as nobody waits for an answer.
    pub(super) fn notice(&self, notice: &Notice) {
        if Notification::parse(&notice.method_name()) != Some(Notification::Cancelled) {
            return;
        }
        match serde_json::from_str::<CancelledNotificationParams>(notice.params()) {
            Ok(params) => {
                tracing::debug!(id = %params.request_id, reason = params.reason, "the client cancelled a request");
                self.calls.cancel(&params.request_id);
            }
            Err(error) => tracing::debug!(%error, "a cancellation cannot be read"),
        }
    }
}

/// The answer to a message that cannot be admitted. What has no id and is malformed in its params only was a
/// notification, and gets none.
fn refuse(refused: &Refused) -> Option<Vec<u8>> {
    tracing::debug!(reason = %refused.rejection, "refused a message");
    let notice = refused.id.is_none() && refused.rejection.code() == Code::InvalidParams;
    (!notice).then(|| refused.to_response())
}
