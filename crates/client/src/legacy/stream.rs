//! A call under way at a legacy server: its own stream, and what else is for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::jsonrpc::{ErrorObject, RequestId};
use anypod_proto::logging::LoggingMessageNotificationParams;
use anypod_proto::method::Method;
use anypod_proto::rounds::InputResponses;
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::calls::{Heard, Wants};
use super::link::{Inbox, Reply, Told, Waits};
use super::notices::{About, progressing};
use super::questions::{self, Lacking, Question, Verdict};
use super::session::Session;
use super::tally::One;
use super::{Shared, held, modern, wording};
use crate::call::{Call, Repeat};
use crate::credentials::BoxFuture;
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Incoming, Messages, Notice, Raw};
use crate::http::modern::{broke, check_id};
use crate::message::Message;

/// How long a first question waits for others that the server asks with it, each in a write of its own. Short beside what
/// a person or a model takes to answer; longer, and each round would take that long.
const GATHERING: Duration = Duration::from_millis(20);

/// A call under way. Dropping it before its answer cancels the call, and gives up its questions.
pub(super) struct Reading {
    pub(super) shared: Arc<Shared>,
    pub(super) session: Arc<Session>,
    pub(super) method: Method,
    pub(super) name: Option<String>,
    /// What the server has asked, and nobody has answered yet.
    pub(super) questions: Vec<Question>,
    id: u64,
    repeat: Repeat,
    wants: Wants,
    heard: Heard,
    source: Source,
    /// What was read ahead.
    ahead: VecDeque<Result<Message>>,
    /// How many more messages it may get before the answer.
    left: usize,
    /// How many questions it has asked so far.
    asked: usize,
    /// What it has asked for that the client did not declare.
    lacking: Option<Box<Lacking>>,
    /// Nothing more can come, so that there is nothing to cancel.
    is_over: bool,
    _counted: One,
}

enum Source {
    Sending(BoxFuture<'static, Result<Reply>>),
    Open(Box<dyn Inbox>),
    Ended,
}

/// What comes of reading on.
enum Step {
    Notice(Notice),
    Answer(Answer),
    /// There are questions.
    Asked,
}

impl Reading {
    /// Sends the call. `None` if the session is gone, and the call did not run.
    ///
    /// Returns once the server has begun to answer, or has asked something by another way.
    ///
    /// # Errors
    /// As the link.
    pub(super) async fn start(
        shared: &Arc<Shared>,
        session: &Arc<Session>,
        method: Method,
        call: &Call,
        one: One,
    ) -> Result<Option<Box<Self>>> {
        let id = shared.next_id();
        let wants = wants(method, call);
        let text = Bytes::from(call.legacy(id, method.as_str()));
        let heard = session.calls.register(id, wants, shared.limits.waiting_messages);
        let (link, place) = (Arc::clone(shared), Arc::clone(session));
        let sending = Box::pin(async move { link.link.request(&place.place, id, text).await });
        let mut reading = Box::new(Self {
            shared: Arc::clone(shared),
            session: Arc::clone(session),
            method,
            name: call.name.clone(),
            questions: Vec::new(),
            id,
            repeat: call.repeat,
            wants,
            heard,
            source: Source::Sending(sending),
            ahead: VecDeque::new(),
            left: shared.limits.notifications,
            asked: 0,
            lacking: None,
            is_over: false,
            _counted: one,
        });
        match reading.sent().await {
            Ok(true) => Ok(Some(reading)),
            Ok(false) => Ok(None),
            Err(error) => Err(reading.fails(error)),
        }
    }

    /// Whether the session is there, as far as is known when something has come.
    async fn sent(&mut self) -> Result<bool> {
        let Source::Sending(sending) = &mut self.source else { return Ok(true) };
        let reply = tokio::select! {
            biased;
            reply = sending => reply,
            message = self.heard.next() => {
                self.ahead.push_back(Ok(message));
                return Ok(true);
            }
        };
        match reply? {
            Reply::Taken { inbox, .. } => {
                self.source = Source::Open(inbox);
                Ok(true)
            }
            Reply::Gone => {
                self.is_over = true;
                Ok(false)
            }
        }
    }

    /// Reads on, to what the caller has to know.
    async fn step(&mut self) -> Result<Step> {
        loop {
            if !self.questions.is_empty() {
                self.gather().await;
                return Ok(Step::Asked);
            }
            let message = match self.ahead.pop_front() {
                Some(message) => message?,
                None => self.arrival().await?,
            };
            match message {
                Message::Answer(found, answer) => {
                    check_id(self.id, found.as_ref(), &answer)?;
                    self.is_over = true;
                    let about = (self.method, self.name.as_deref());
                    let answer = modern::answer(&self.session, &self.shared.declared, about, answer)?;
                    return Ok(Step::Answer(self.explained(answer)));
                }
                Message::Notice(notice) => {
                    self.count()?;
                    if self.takes(&notice) {
                        return Ok(Step::Notice(notice));
                    }
                }
                Message::Request { id, method, params } => {
                    self.count()?;
                    self.take_question(&id, &method, &params);
                }
            }
        }
    }

    /// Counts a message that is not the answer.
    fn count(&mut self) -> Result<(), Broken> {
        let limit = self.shared.limits.notifications;
        let left = self.left.checked_sub(1);
        self.left = left.ok_or(Broken::TooMuch { what: "notifications for one request", limit })?;
        Ok(())
    }

    /// The next message, on the call's own stream or elsewhere. Cancel-safe.
    async fn arrival(&mut self) -> Result<Message> {
        tokio::select! {
            biased;
            message = self.heard.next() => Ok(message),
            message = self.source.next() => message,
        }
    }

    /// Whether a notification is for the caller. Changes are for those who listen.
    fn takes(&self, notice: &Notice) -> bool {
        match About::of(&notice.method) {
            About::Other => true,
            About::Progress => self.wants.progress && progressing(&notice.params) == Some(self.id),
            About::Log => {
                notice.params.read::<LoggingMessageNotificationParams>().is_ok_and(|log| self.wants.logs(log.level))
            }
            About::Change => {
                self.session.hub.tell(notice);
                false
            }
            About::Nothing => false,
        }
    }

    /// Keeps a question for the caller. Other requests of the server are answered.
    fn take_question(&mut self, id: &RequestId, method: &str, params: &Raw) {
        let refusal = match questions::judge(&self.shared.declared, id, method, params) {
            Verdict::Ask(request) if self.wants.questions => {
                self.asked += 1;
                let key = format!("question-{}", self.asked);
                return self.questions.push(Question { key, id: id.clone(), request });
            }
            Verdict::Ask(_) => wording::error(id, &questions::nobody()),
            Verdict::Reply(text) => text,
            Verdict::Refuse(text, lacking) => {
                self.lacking = Some(lacking);
                text
            }
        };
        self.shared.tell(&self.session, vec![refusal]);
    }

    /// The answer in a modern server's words, where it failed for what the client did not declare.
    fn explained(&self, answer: Answer) -> Answer {
        let explained = match &answer {
            Answer::Error(error) => self.lacking.as_ref().and_then(|lacking| lacking.explains(error)),
            Answer::Result(_) => None,
        };
        explained.map_or(answer, Answer::Error)
    }

    /// Adds to the first question those that come with it, so that they need no round of their own. Cancel-safe.
    async fn gather(&mut self) {
        self.gather_ahead();
        let until = Instant::now() + GATHERING;
        while self.has_room() {
            match timeout_at(until, self.arrival()).await {
                Ok(Ok(Message::Request { id, method, params })) => self.take_question(&id, &method, &params),
                Ok(message @ (Ok(Message::Notice(_) | Message::Answer(_, _)) | Err(_))) => {
                    self.ahead.push_back(message)
                }
                Err(_) => break,
            }
        }
    }

    /// The same of what was read ahead.
    fn gather_ahead(&mut self) {
        for message in std::mem::take(&mut self.ahead) {
            match message {
                Ok(Message::Request { id, method, params }) if self.has_room() => {
                    self.take_question(&id, &method, &params);
                }
                message => self.ahead.push_back(message),
            }
        }
    }

    /// Whether one more question fits into the round, and one more message into what is read ahead.
    fn has_room(&self) -> bool {
        self.questions.len() < self.shared.limits.round_questions && self.reads_ahead()
    }

    /// Says whether the call waits for answers.
    pub(super) fn wait(&mut self, waits: Waits) {
        self.heard.set_held(waits == Waits::ForAnswers);
        if let Source::Open(inbox) = &mut self.source {
            inbox.waits(waits);
        }
    }

    /// Whether reading ahead makes sense: the call has not ended, and not too much is kept already.
    pub(super) fn reads_ahead(&self) -> bool {
        let ended = matches!(self.ahead.back(), Some(Ok(Message::Answer(_, _)) | Err(_)));
        !ended && self.ahead.len() < self.shared.limits.waiting_messages
    }

    /// Reads one message ahead, so that a server that checks whether its client is there finds it. Cancel-safe.
    pub(super) async fn read_ahead(&mut self) {
        let message = match self.arrival().await {
            Ok(Message::Request { id, method, params }) => {
                match questions::judge(&self.shared.declared, &id, &method, &params) {
                    Verdict::Reply(text) | Verdict::Refuse(text, _) => {
                        return self.shared.tell(&self.session, vec![text]);
                    }
                    Verdict::Ask(_) => Ok(Message::Request { id, method, params }),
                }
            }
            message @ (Ok(Message::Notice(_) | Message::Answer(_, _)) | Err(_)) => message,
        };
        self.ahead.push_back(message);
    }

    /// The messages to the server with the answers that there are, each with the question's key.
    ///
    /// # Errors
    /// What the caller is told if one of them answers something else.
    pub(super) fn answers(&self, responses: &InputResponses) -> Result<Vec<(String, Bytes)>, ErrorObject> {
        let answered = self.questions.iter().filter_map(|question| {
            let response = responses.get(&question.key)?;
            let text = question.answered(response, self.session.version);
            Some(text.map(|text| (question.key.clone(), text)))
        });
        answered.collect()
    }

    /// Gives the server answers.
    ///
    /// # Errors
    /// If they could not be sent.
    pub(super) async fn answer(&mut self, answers: Vec<(String, Bytes)>) -> Result<()> {
        for (key, text) in answers {
            self.questions.retain(|question| question.key != key);
            match self.shared.link.tell(&self.session.place, text).await {
                Ok(Told::Taken) => {}
                Ok(Told::Gone) => {
                    self.shared.forget(&self.session);
                    return Err(self.fails(Error::lost("the session ended while the server waited for answers")));
                }
                Err(error @ Error::Refused { .. }) => {
                    // The server may have given up the question, and still answers the call.
                    tracing::debug!(%error, "an answer to a question of a legacy server was refused");
                }
                Err(error) => return Err(self.fails(error)),
            }
        }
        Ok(())
    }

    /// The error as the caller sees it.
    fn fails(&mut self, error: Error) -> Error {
        let error = broke(error, self.repeat);
        self.is_over |= !may_run_on(&error);
        error
    }
}

/// Whether the call may be running still, at a server that can be told to cancel it. Where the connection broke, nobody
/// is there to be told; where the request was refused, nothing runs.
fn may_run_on(error: &Error) -> bool {
    match error {
        Error::Refused { status, .. } => status.is_server_error(),
        error => matches!(error, Error::Broken(_)),
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut texts = vec![wording::cancelled(self.id)];
        texts.extend(self.questions.iter().map(Question::given_up));
        self.shared.tell(&self.session, texts);
    }
}

impl Source {
    async fn next(&mut self) -> Result<Message> {
        loop {
            let error = match self {
                Self::Ended => Error::lost(Broken::NoAnswer),
                Self::Sending(sending) => match sending.await {
                    Ok(Reply::Taken { inbox, .. }) => {
                        *self = Self::Open(inbox);
                        continue;
                    }
                    Ok(Reply::Gone) => Error::lost("the session ended while the request was under way"),
                    Err(error) => error,
                },
                Self::Open(inbox) => match inbox.next().await {
                    Ok(Some(message)) => return Ok(message),
                    Ok(None) => Error::lost(Broken::NoAnswer),
                    Err(error) => error,
                },
            };
            *self = Self::Ended;
            return Err(error);
        }
    }
}

/// Modern servers ask in the course of these methods only, and so may this one.
/// Spec: basic/patterns/mrtr, "Supported Requests".
fn wants(method: Method, call: &Call) -> Wants {
    Wants { questions: method.takes_rounds(), progress: call.progress, log: call.log_level }
}

/// The messages of a call, for its caller.
pub(super) struct Stream(Option<Box<Reading>>);

impl Stream {
    pub(super) const fn new(reading: Box<Reading>) -> Self {
        Self(Some(reading))
    }
}

impl Messages for Stream {
    fn next(&mut self) -> BoxFuture<'_, Result<Incoming>> {
        Box::pin(async move {
            let Some(reading) = &mut self.0 else { return Err(Broken::NoAnswer.into()) };
            let step = reading.step().await;
            match step {
                Ok(Step::Notice(notice)) => Ok(Incoming::Notice(notice)),
                Ok(Step::Answer(answer)) => {
                    self.0 = None;
                    Ok(Incoming::Answer(answer))
                }
                Ok(Step::Asked) => {
                    let reading = self.0.take().ok_or(Broken::NoAnswer)?;
                    Ok(Incoming::Answer(held::hold(reading)))
                }
                Err(error) => {
                    let error = reading.fails(error);
                    self.0 = None;
                    Err(error)
                }
            }
        })
    }
}
