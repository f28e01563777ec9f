//! Who waits for what: requests by their ids, and what the server says to none of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anypod_proto::jsonrpc::RequestId;
use anypod_proto::meta::NotificationMeta;
use anypod_proto::method::Notification;
use anypod_proto::progress::ProgressToken;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::end::End;
use super::slot::{Kept, Slot, Wants, weight};
use super::unasked::Unasked;
use crate::call::Repeat;
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Incoming, Notice};
use crate::limits::Limits;
use crate::message::Message;

/// The requests of one connection.
pub(super) struct Desk {
    origin: String,
    limits: Arc<Limits>,
    state: Mutex<State>,
    /// Woken when there is something to cancel.
    pub(super) cancellations: Notify,
}

#[derive(Default)]
struct State {
    slots: HashMap<u64, Slot>,
    unasked: Unasked,
    /// Requests that the server is to be told about.
    cancelled: Vec<u64>,
    /// The bytes of all notifications that wait.
    held: usize,
    life: Life,
}

#[derive(Default)]
enum Life {
    #[default]
    Running,
    /// It has ended, and why is being found out.
    Ending(Instant),
    Ended(Instant, End),
}

/// How a request is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// If it is not over, the server is told.
    Cancels,
    /// Silently.
    Silent,
}

/// What there is for one who waits.
pub(super) enum Next<T> {
    /// This.
    Message(T),
    /// Nothing yet.
    Nothing,
    /// Nothing yet, and soon or never.
    Soon,
}

/// What a notification says about whom it is for.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    progress_token: Option<ProgressToken>,
    request_id: Option<RequestId>,
    #[serde(rename = "_meta")]
    meta: Option<NotificationMeta>,
}

/// Whom a notification is for.
enum Audience {
    One(u64),
    Several(Vec<u64>),
    /// A listen request that the server ends by it.
    TornDown(u64),
    Nobody,
}

impl State {
    fn audience(&self, method: &str, address: Address) -> Audience {
        let subscription = address.meta.and_then(|meta| meta.subscription_id);
        match (Notification::parse(method), subscription, address.progress_token) {
            (Some(Notification::Cancelled), _, _) => {
                let id = address.request_id.as_ref().and_then(ours).filter(|id| self.wants(*id, |wants| wants.changes));
                id.map_or(Audience::Nobody, Audience::TornDown)
            }
            (_, Some(id), _) => {
                let id = ours(&id).filter(|id| self.wants(*id, |wants| wants.changes));
                id.map_or(Audience::Nobody, Audience::One)
            }
            (Some(Notification::Progress), None, Some(ProgressToken::Integer(token))) => {
                let id = u64::try_from(token).ok().filter(|id| self.wants(*id, |wants| wants.progress));
                id.map_or(Audience::Nobody, Audience::One)
            }
            (Some(Notification::Message), None, _) => {
                // It does not say which request it is about, and where all share a channel nothing else does.
                let ids = self.slots.keys().copied().filter(|id| self.wants(*id, |wants| wants.logs));
                Some(ids.collect()).filter(|ids: &Vec<_>| !ids.is_empty()).map_or(Audience::Nobody, Audience::Several)
            }
            (_, None, _) => Audience::Nobody,
        }
    }

    /// Lets those look again whose answer may have waited for what the server said unasked.
    fn wake_settled(&self) {
        self.slots.values().filter(|slot| slot.is_settled()).for_each(|slot| slot.changed.notify_one());
    }

    fn wants(&self, id: u64, what: impl Fn(&Wants) -> bool) -> bool {
        self.slots.get(&id).is_some_and(|slot| slot.sent && what(&slot.wants))
    }
}

impl Desk {
    pub(super) fn new(origin: String, limits: Arc<Limits>) -> Self {
        Self { origin, limits, state: Mutex::default(), cancellations: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request in, which is about to be sent.
    ///
    /// # Errors
    /// If the connection has ended, or the id is taken.
    pub(super) fn open(&self, id: u64, wants: Wants) -> Result<Arc<Notify>> {
        let mut state = self.state();
        match &state.life {
            Life::Running => {}
            Life::Ending(_) => return Err(Error::unreachable(&self.origin, "the connection has ended")),
            Life::Ended(_, end) => return Err(end.error(&self.origin, false, wants.repeat)),
        }
        if state.slots.contains_key(&id) {
            return Err(Error::Misuse(format!("the id {id} is taken")));
        }
        let slot = Slot::new(wants);
        let changed = Arc::clone(&slot.changed);
        state.slots.insert(id, slot);
        Ok(changed)
    }

    /// Whether a request is to be written: someone still waits for it. From here on it may run.
    pub(super) fn begin(&self, id: u64) -> bool {
        let mut state = self.state();
        let Some(slot) = state.slots.get_mut(&id).filter(|slot| !slot.is_settled()) else { return false };
        slot.sent = true;
        slot.changed.notify_one();
        true
    }

    /// Whether a request has begun to be written.
    ///
    /// # Errors
    /// Why it never will.
    pub(super) fn is_sent(&self, id: u64) -> Result<bool> {
        let mut state = self.state();
        let Some(slot) = state.slots.get_mut(&id) else { return Ok(false) };
        match slot.sent {
            true => Ok(true),
            false => slot.take_outcome().map_or(Ok(false), |outcome| outcome.map(|_| true)),
        }
    }

    /// Gives a request up.
    pub(super) fn leave(&self, id: u64, parting: Parting) {
        let mut state = self.state();
        let Some(slot) = state.slots.remove(&id) else { return };
        state.held -= slot.notices.iter().map(weight).sum::<usize>();
        if parting == Parting::Cancels && slot.sent && !slot.is_settled() {
            state.cancelled.push(id);
            self.cancellations.notify_one();
        }
    }

    /// What the server is to be told is no longer wanted.
    pub(super) fn take_cancelled(&self) -> Vec<u64> {
        std::mem::take(&mut self.state().cancelled)
    }

    /// What there is for a request.
    pub(super) fn next(&self, id: u64) -> Next<Result<Incoming>> {
        let mut state = self.state();
        let state = &mut *state;
        let Some(slot) = state.slots.get_mut(&id) else { return Next::Message(Err(Broken::NoAnswer.into())) };
        if let Some(notice) = slot.notices.pop_front() {
            state.held -= weight(&notice);
            return Next::Message(Ok(Incoming::Notice(notice)));
        }
        if slot.is_settled() && !state.unasked.are_passed(slot.after) {
            // Some of what came before may be for this very request.
            return Next::Nothing;
        }
        match slot.take_outcome() {
            Some(outcome) => Next::Message(outcome.map(Incoming::Answer)),
            None if slot.torn_down => Next::Soon,
            None => Next::Nothing,
        }
    }

    /// Lets requests of the server and what belongs to no request of ours wait for [`Desk::next_unasked`], as the legacy
    /// era has it.
    pub(super) fn keep_unasked(&self) -> Arc<Notify> {
        self.state().unasked.open()
    }

    /// Says that somebody takes them with [`Desk::next_unasked`] from now on, and passes each on before it takes the next:
    /// no answer is given before what the server said before it.
    pub(super) fn begin_unasked(&self) {
        self.state().unasked.begin();
    }

    /// Says that nobody does any more.
    pub(super) fn stop_unasked(&self) {
        let mut state = self.state();
        state.unasked.stop();
        state.wake_settled();
    }

    /// What the server said unasked.
    pub(super) fn next_unasked(&self) -> Next<Result<Message>> {
        let mut state = self.state();
        let state = &mut *state;
        let (message, passed) = state.unasked.pop();
        if passed {
            state.wake_settled();
        }
        if let Some(message) = message {
            state.held -= Unasked::weight(&message);
            return Next::Message(Ok(message));
        }
        match &state.life {
            Life::Running | Life::Ending(_) => Next::Nothing,
            Life::Ended(_, end) => Next::Message(Err(end.error(&self.origin, true, Repeat::Safe))),
        }
    }

    /// Gives a message to whom it belongs.
    ///
    /// # Errors
    /// If the server sends more than anyone can take and nothing of it may be dropped.
    pub(super) fn deliver(&self, message: Message) -> Result<(), Broken> {
        match message {
            Message::Answer(id, answer) => {
                self.answer(id, answer);
                Ok(())
            }
            Message::Notice(notice) => self.notice(notice),
            request @ Message::Request { .. } => self.unasked(request),
        }
    }

    fn answer(&self, id: Option<RequestId>, answer: Answer) {
        let mut state = self.state();
        let id = match &id {
            Some(id) => ours(id),
            // An error about a request whose id could not be read. Where only one waits, it is that.
            None => only(state.slots.iter().filter(|(_, slot)| slot.sent && !slot.is_settled()).map(|(id, _)| *id)),
        };
        let came = state.unasked.came();
        let slot = id.and_then(|id| state.slots.get_mut(&id));
        let settled = slot.is_some_and(|slot| {
            let settles = slot.sent && !slot.is_settled();
            if settles {
                slot.after = came;
            }
            settles && slot.settle(Ok(answer))
        });
        if !settled {
            tracing::debug!(id, "an answer that nobody waits for");
        }
    }

    /// Fails the request whose answer cannot be read.
    pub(super) fn fail(&self, id: u64, broken: Broken) -> bool {
        let mut state = self.state();
        state.slots.get_mut(&id).is_some_and(|slot| slot.sent && slot.settle(Err(broken.into())))
    }

    fn notice(&self, notice: Notice) -> Result<(), Broken> {
        let address: Address = serde_json::from_slice(notice.params.as_bytes()).unwrap_or_default();
        let mut state = self.state();
        match state.audience(&notice.method, address) {
            Audience::One(id) => self.give(&mut state, id, notice),
            Audience::Several(ids) => ids.into_iter().for_each(|id| self.give(&mut state, id, notice.clone())),
            Audience::TornDown(id) => {
                state.slots.entry(id).and_modify(Slot::tear_down);
            }
            Audience::Nobody => {
                drop(state);
                return self.unasked(Message::Notice(notice));
            }
        }
        Ok(())
    }

    fn give(&self, state: &mut State, id: u64, notice: Notice) {
        let weight = weight(&notice);
        let room = state.held.saturating_add(weight) <= self.limits.event_bytes;
        let Some(slot) = state.slots.get_mut(&id) else { return };
        match slot.notice(notice, room, &self.limits) {
            Kept::Yes => state.held += weight,
            Kept::No => {}
            Kept::Failed => {
                state.cancelled.push(id);
                self.cancellations.notify_one();
            }
        }
    }

    fn unasked(&self, message: Message) -> Result<(), Broken> {
        let mut state = self.state();
        let state = &mut *state;
        state.unasked.push(message, &mut state.held, &self.limits)
    }

    /// Says that the connection has ended, before it is known why: no request is taken in any more.
    pub(super) fn ending(&self) {
        let mut state = self.state();
        if matches!(state.life, Life::Running) {
            state.life = Life::Ending(Instant::now());
        }
    }

    /// Ends every request. Only the first end counts.
    pub(super) fn end(&self, end: End) {
        let mut state = self.state();
        let since = match &state.life {
            Life::Running => Instant::now(),
            Life::Ending(since) => *since,
            Life::Ended(..) => return,
        };
        for slot in state.slots.values_mut() {
            slot.settle(Err(end.error(&self.origin, slot.sent, slot.wants.repeat)));
        }
        state.life = Life::Ended(since, end);
        state.unasked.wake();
    }

    /// Since when nothing more comes in.
    pub(super) fn ended(&self) -> Option<Instant> {
        match &self.state().life {
            Life::Running => None,
            Life::Ending(since) | Life::Ended(since, _) => Some(*since),
        }
    }

    /// Whether nothing more comes in because we closed it.
    pub(super) fn was_closed(&self) -> bool {
        matches!(self.state().life, Life::Ended(_, End::Closed))
    }

    /// What a request fails with that comes after the end.
    pub(super) fn gone(&self) -> Error {
        match &self.state().life {
            Life::Ended(_, end) => end.error(&self.origin, false, Repeat::Never),
            Life::Running | Life::Ending(_) => Error::unreachable(&self.origin, "the connection has ended"),
        }
    }
}

/// The id as we count: from zero up.
fn ours(id: &RequestId) -> Option<u64> {
    match id {
        RequestId::Integer(id) => u64::try_from(*id).ok(),
        RequestId::String(_) => None,
    }
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::exchange::Raw;

    const WANTS: Wants = Wants { progress: true, logs: false, changes: false, repeat: Repeat::Safe };

    fn log() -> Message {
        let params = Raw::checked(Bytes::from_static(br#"{"level":"info","data":1}"#));
        Message::Notice(Notice { method: Notification::Message.to_string(), params })
    }

    /// A desk with one request, at which a log message has come and then the answer.
    fn answered() -> Desk {
        let desk = Desk::new("a".to_owned(), Arc::default());
        desk.keep_unasked();
        desk.open(1, WANTS).unwrap();
        assert!(desk.begin(1));
        desk.deliver(log()).unwrap();
        let result = Raw::checked(Bytes::from_static(b"{}"));
        desk.deliver(Message::Answer(Some(RequestId::from(1)), Answer::Result(result))).unwrap();
        desk
    }

    fn has_answer(desk: &Desk) -> bool {
        matches!(desk.next(1), Next::Message(Ok(Incoming::Answer(_))))
    }

    #[test]
    fn an_answer_waits_for_what_the_server_said_before_it() {
        let desk = answered();
        desk.begin_unasked();
        // What comes after it is not waited for.
        desk.deliver(log()).unwrap();
        assert!(matches!(desk.next(1), Next::Nothing));
        assert!(matches!(desk.next_unasked(), Next::Message(Ok(Message::Notice(_)))));
        assert!(matches!(desk.next(1), Next::Nothing), "it may not have been passed on yet");
        assert!(matches!(desk.next_unasked(), Next::Message(Ok(Message::Notice(_)))));
        assert!(has_answer(&desk));
    }

    #[test]
    fn an_answer_waits_for_nobody_where_nobody_reads() {
        assert!(has_answer(&answered()));
        let desk = answered();
        desk.begin_unasked();
        assert!(matches!(desk.next_unasked(), Next::Message(Ok(_))));
        desk.stop_unasked();
        assert!(has_answer(&desk));
        let desk = answered();
        desk.begin_unasked();
        desk.next_unasked();
        desk.stop_unasked();
        desk.begin_unasked();
        assert!(has_answer(&desk), "another reader has nothing to pass on");
    }
}
