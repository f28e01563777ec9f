//! Reading what a server says unasked, and finding out whom it is for.
//!
//! Over HTTP that costs a GET, which is kept open for as long as someone needs it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anypod_proto::logging::LoggingMessageNotificationParams;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::Shared;
use super::link::{Flow, Inbox, Unasked};
use super::notices::{About, progressing};
use super::questions::{self, Verdict};
use super::session::Session;
use super::wording;
use crate::exchange::Notice;
use crate::message::Message;

/// The pause before a stream that ended is opened anew.
const PAUSE: Duration = Duration::from_secs(1);

/// A stream that lasted this long was no failure.
const LASTING: Duration = Duration::from_secs(30);

/// Whether the stream is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    /// It is being opened.
    Opening,
    /// It is open.
    Open,
    /// The server has none.
    None,
    /// It broke again and again, or the session has ended.
    Failed,
}

/// The reader of one session's unasked stream. It runs while someone wants it.
pub(super) struct Reader {
    wanted: Mutex<Wanted>,
    hearing: watch::Sender<Hearing>,
}

#[derive(Default)]
struct Wanted {
    by: usize,
    task: Option<AbortHandle>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { wanted: Mutex::default(), hearing: watch::Sender::new(Hearing::Opening) }
    }
}

/// The reader runs at least as long as this lives.
pub(super) struct Want(Arc<Session>);

impl Reader {
    /// Lets the reader run.
    pub(super) fn want(shared: &Arc<Shared>, session: &Arc<Session>) -> Want {
        let reader = &session.reader;
        let mut wanted = reader.lock();
        wanted.by += 1;
        let runs = wanted.task.as_ref().is_some_and(|task| !task.is_finished());
        if !runs && *reader.hearing.borrow() != Hearing::None {
            reader.hearing.send_replace(Hearing::Opening);
            wanted.task = shared.background.last(read(Arc::clone(shared), Arc::clone(session)));
        }
        drop(wanted);
        Want(Arc::clone(session))
    }

    /// Waits until it is known whether there is a stream. Servers that send no head before the first message are
    /// believed to have one after `patience`.
    pub(super) async fn hearing(&self, patience: Duration) -> Hearing {
        let mut hearing = self.hearing.subscribe();
        let known = hearing.wait_for(|hearing| *hearing != Hearing::Opening);
        let known = tokio::time::timeout(patience, known).await;
        known.map_or(Hearing::Open, |known| known.map_or(Hearing::Failed, |hearing| *hearing))
    }

    /// Ends the reader, whoever wants it.
    pub(super) fn stop(&self) {
        if let Some(task) = self.lock().task.take() {
            task.abort();
        }
        self.hearing.send_replace(Hearing::Failed);
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        let mut wanted = self.0.reader.lock();
        wanted.by -= 1;
        if wanted.by == 0
            && let Some(task) = wanted.task.take()
        {
            task.abort();
        }
    }
}

/// Reads the stream, and opens it again where it ends.
async fn read(shared: Arc<Shared>, session: Arc<Session>) {
    let mut fruitless = 0;
    while fruitless <= shared.limits.resumptions {
        let begun = Instant::now();
        match shared.link.unasked(&session.place).await {
            Ok(Unasked::Inbox(inbox)) => {
                session.reader.hearing.send_replace(Hearing::Open);
                let heard = follow(&shared, &session, inbox).await;
                // Nobody knows what was said since: whoever listens has to begin again, and to look anew.
                session.hub.lose_all();
                fruitless = if heard || begun.elapsed() >= LASTING { 0 } else { fruitless + 1 };
            }
            Ok(Unasked::None) => {
                session.reader.hearing.send_replace(Hearing::None);
                return;
            }
            Ok(Unasked::Gone) => {
                shared.forget(&session);
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "the stream of a legacy session could not be opened");
                fruitless += 1;
            }
        }
        if shared.link.flow() == Flow::Always {
            // The pipes have ended, and the session with them: the next call begins another.
            shared.forget(&session);
            return;
        }
        tokio::time::sleep(shared.outside.jitter(PAUSE)).await;
    }
    session.reader.hearing.send_replace(Hearing::Failed);
    session.hub.lose_all();
}

/// Reads until the stream ends; says whether there was any message.
async fn follow(shared: &Arc<Shared>, session: &Arc<Session>, mut inbox: Box<dyn Inbox>) -> bool {
    let mut heard = false;
    loop {
        match inbox.next().await {
            Ok(Some(message)) => {
                heard = true;
                route(shared, session, message);
            }
            Ok(None) => return heard,
            Err(error) => {
                tracing::debug!(%error, "the stream of a legacy session broke");
                return heard;
            }
        }
    }
}

fn route(shared: &Arc<Shared>, session: &Arc<Session>, message: Message) {
    match message {
        // Over HTTP it belongs to a call that was given up; over pipes it has found its call already.
        Message::Answer(_, _) => {}
        Message::Notice(notice) => notify(session, notice),
        Message::Request { id, method, params } => match questions::judge(&shared.declared, &id, &method, &params) {
            Verdict::Reply(text) | Verdict::Refuse(text, _) => shared.tell(session, vec![text]),
            Verdict::Ask(_) => {
                let asked = session.calls.question(Message::Request { id: id.clone(), method, params });
                if asked.is_err() {
                    shared.tell(session, vec![wording::error(&id, &questions::nobody())]);
                }
            }
        },
    }
}

fn notify(session: &Session, notice: Notice) {
    match About::of(&notice.method) {
        About::Progress => {
            if let Some(id) = progressing(&notice.params) {
                session.calls.progress(id, Message::Notice(notice));
            }
        }
        About::Log => {
            if let Ok(LoggingMessageNotificationParams { level, .. }) = notice.params.read() {
                session.calls.log(level, || Message::Notice(notice.clone()));
            }
        }
        About::Change => session.hub.tell(&notice),
        About::Nothing | About::Other => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use anypod_proto::capabilities::ClientCapabilities;
    use anypod_proto::implementation::Implementation;
    use anypod_proto::method::Method;
    use bytes::Bytes;
    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    use super::*;
    use crate::call::Call;
    use crate::credentials::BoxFuture;
    use crate::error::{Error, Result};
    use crate::exchange::{Answer, Incoming};
    use crate::identity::Identity;
    use crate::legacy::LegacyUpstream;
    use crate::legacy::link::{Link, Place, Reply, Told};
    use crate::limits::Limits;
    use crate::outside::Outside;

    /// Pipes to a process that answers requests at once, and ends when the test says so.
    #[derive(Default)]
    struct Pipes {
        started: AtomicUsize,
        told: Mutex<Vec<Value>>,
        unasked: Mutex<Option<mpsc::Sender<Message>>>,
    }

    struct Queue(mpsc::Receiver<Message>);

    impl Inbox for Queue {
        fn next(&mut self) -> BoxFuture<'_, Result<Option<Message>>> {
            Box::pin(async { self.0.recv().await.map(Some).ok_or_else(|| Error::lost("the process ended")) })
        }
    }

    fn read(text: &Value) -> Message {
        Message::read(&Bytes::from(text.to_string())).expect("a message")
    }

    impl Link for Pipes {
        fn request<'a>(&'a self, _: &'a Place, id: u64, text: Bytes) -> BoxFuture<'a, Result<Reply>> {
            let request: Value = serde_json::from_slice(&text).expect("JSON");
            let server = json!({ "name": "piped", "version": "1" });
            let result = match request["method"] == "initialize" {
                true => {
                    self.started.fetch_add(1, Ordering::Relaxed);
                    json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": server })
                }
                false => json!({}),
            };
            let (sender, queue) = mpsc::channel(1);
            let silent = request["params"]["name"] == "silent";
            if !silent {
                sender.try_send(read(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))).expect("room");
            }
            let keep = silent.then_some(sender);
            Box::pin(async move {
                if let Some(sender) = keep {
                    tokio::spawn(async move { sender.closed().await });
                }
                Ok(Reply::Taken { inbox: Box::new(Queue(queue)), session: None })
            })
        }

        fn tell<'a>(&'a self, _: &'a Place, text: Bytes) -> BoxFuture<'a, Result<Told>> {
            self.told.lock().expect("free").push(serde_json::from_slice(&text).expect("JSON"));
            Box::pin(std::future::ready(Ok(Told::Taken)))
        }

        fn unasked<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<Unasked>> {
            let (sender, queue) = mpsc::channel(8);
            *self.unasked.lock().expect("free") = Some(sender);
            Box::pin(std::future::ready(Ok(Unasked::Inbox(Box::new(Queue(queue))))))
        }

        fn flow(&self) -> Flow {
            Flow::Always
        }

        fn end<'a>(&'a self, _: &'a Place) -> BoxFuture<'a, Result<()>> {
            Box::pin(std::future::ready(Ok(())))
        }
    }

    fn upstream(pipes: &Arc<Pipes>) -> LegacyUpstream {
        let forms = anypod_proto::capabilities::ElicitationCapability::form();
        let capabilities = ClientCapabilities { elicitation: Some(forms), ..ClientCapabilities::default() };
        let identity = Identity::new(Implementation::new("tester", "1"), capabilities);
        LegacyUpstream::new(Arc::clone(pipes), Arc::new(identity), Arc::new(Limits::default()), Outside::real())
    }

    /// Says something unasked, once the reader is there.
    async fn say(pipes: &Pipes, text: &Value) {
        tokio::task::yield_now().await;
        let sender = pipes.unasked.lock().expect("free").clone().expect("a reader");
        sender.send(read(text)).await.expect("a reader");
    }

    async fn answer(upstream: &LegacyUpstream, call: &Call) -> Value {
        let mut exchange = upstream.send(call).await.expect("it is sent");
        match exchange.next().await.expect("an answer") {
            Incoming::Answer(Answer::Result(result)) => result.read().expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    fn call(name: &str) -> Call {
        let mut call = Call::new(Method::ToolsCall);
        call.push_text("name", name);
        call
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_ends_takes_its_session_with_it_and_the_next_call_begins_another() {
        let pipes = Arc::new(Pipes::default());
        let upstream = upstream(&pipes);
        for _ in 0..2 {
            answer(&upstream, &call("a")).await;
        }
        assert_eq!(pipes.started.load(Ordering::Relaxed), 1);
        tokio::task::yield_now().await;
        drop(pipes.unasked.lock().expect("free").take());
        while upstream.version().is_some() {
            tokio::task::yield_now().await;
        }
        answer(&upstream, &call("a")).await;
        assert_eq!(pipes.started.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn over_pipes_a_question_belongs_to_the_only_call_and_a_ping_to_none() {
        let pipes = Arc::new(Pipes::default());
        let upstream = upstream(&pipes);
        let mut exchange = upstream.send(&call("silent")).await.expect("it is sent");
        say(&pipes, &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await;
        let schema = json!({ "type": "object", "properties": {} });
        let params = json!({ "message": "Go on?", "requestedSchema": schema });
        say(&pipes, &json!({ "jsonrpc": "2.0", "id": 2, "method": "elicitation/create", "params": params })).await;
        let Incoming::Answer(Answer::Result(asked)) = exchange.next().await.expect("a round") else {
            panic!("no round");
        };
        assert!(asked.as_str().contains("input_required"), "{}", asked.as_str());
        let told = pipes.told.lock().expect("free").clone();
        assert_eq!(told[1], json!({ "jsonrpc": "2.0", "id": 1, "result": {} }));
    }
}
