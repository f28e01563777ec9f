//! A store within one process, for tests and for servers that are one pod.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anypod_proto::tasks::TaskStatus;
use tokio::sync::watch;
use tokio::time::Instant;

mod care;
mod entry;
mod events;
mod queue;
mod state;
mod tasks;
mod values;
mod work;

use self::events::Listening;
use self::state::State;
use crate::error::StoreError;
use crate::event::{Event, Follower};
use crate::options::Options;
use crate::report::{StoreStatus, Swept, TaskQuery, TaskReport, TaskRow};
use crate::store::{Later, Store};
use crate::task::{Answered, Created, NewTask, Owner, Question, Task, TaskId};
use crate::time::{Clock, Millis};
use crate::value::{NewValue, Replaced, Value, ValueId};
use crate::work::{Claim, Claims, End, Fenced, HandBack, Lease, Step};

/// When stores begin that have no clock of their own: some day, as tests like it.
const BEGIN: Millis = Millis(1_700_000_000_000);

/// A store within one process. What it holds is gone with it. Several pods of one process share it in an [`Arc`].
///
/// By [default](Default) its time is that of tokio, so that a test which pauses the one moves the other.
pub struct Memory {
    shared: Arc<Shared>,
    clock: Box<dyn Clock>,
}

/// What followers need too.
struct Shared {
    state: Mutex<State>,
    woken: watch::Sender<u64>,
}

impl Memory {
    /// An empty store with these bounds, whose time is that of `clock`.
    pub fn with(options: Options, clock: impl Clock) -> Self {
        let shared = Shared { state: Mutex::new(State::new(options)), woken: watch::Sender::new(0) };
        Self { shared: Arc::new(shared), clock: Box::new(clock) }
    }

    /// Does something that changes nothing that anybody waits for.
    fn look<'a, T>(&'a self, act: impl FnOnce(&mut State, Millis) -> T + Send + 'a) -> Later<'a, T>
    where
        T: Send + 'a,
    {
        Box::pin(async move { Ok(act(&mut self.shared.lock(), self.clock.now())) })
    }

    /// Does something after which there may be something to claim or to hear.
    fn wake<'a, T>(&'a self, act: impl FnOnce(&mut State, Millis) -> Result<T, StoreError> + Send + 'a) -> Later<'a, T>
    where
        T: Send + 'a,
    {
        Box::pin(async move {
            let result = act(&mut self.shared.lock(), self.clock.now())?;
            self.shared.woken.send_modify(|count| *count += 1);
            Ok(result)
        })
    }
}

impl Shared {
    /// No change stops halfway, so what another thread's panic has left behind is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        let made = Instant::now();
        Self::with(Options::default(), move || BEGIN.after(made.elapsed()))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Store for Memory {
    fn now(&self) -> Later<'_, Millis> {
        self.look(|_, now| now)
    }

    fn create(&self, task: NewTask) -> Later<'_, Created> {
        self.wake(|state, now| state.create(task, now))
    }

    fn task(&self, id: TaskId, owner: Option<Owner>) -> Later<'_, Option<Task>> {
        self.look(move |state, _| state.task(&id, owner.as_ref()))
    }

    fn answer(&self, id: TaskId, owner: Option<Owner>, answers: Vec<(String, String)>) -> Later<'_, Answered> {
        self.wake(move |state, now| state.answer(&id, owner.as_ref(), answers, now))
    }

    fn cancel(&self, id: TaskId, owner: Option<Owner>, message: Option<String>) -> Later<'_, Option<TaskStatus>> {
        self.wake(move |state, now| state.cancel(&id, owner.as_ref(), message, now))
    }

    fn claim(&self, claim: Claim) -> Later<'_, Claims> {
        // What has become due and is left to others makes them come at the same time by themselves.
        self.look(move |state, now| state.claim(&claim, now))
    }

    fn renew(&self, leases: Vec<Lease>, lease: Duration) -> Later<'_, Vec<Fenced>> {
        self.look(move |state, now| state.renew(&leases, lease, now))
    }

    fn record(&self, lease: Lease, step: Step) -> Later<'_, Fenced> {
        Box::pin(async move { self.shared.lock().record(&lease, step, self.clock.now()) })
    }

    fn say(&self, lease: Lease, message: String) -> Later<'_, Fenced> {
        self.wake(move |state, now| state.say(&lease, message, now))
    }

    fn park(&self, lease: Lease, questions: Vec<Question>) -> Later<'_, Fenced> {
        self.wake(move |state, now| state.park(&lease, questions, now))
    }

    fn finish(&self, lease: Lease, end: End) -> Later<'_, Fenced> {
        self.wake(move |state, now| state.finish(&lease, end, now))
    }

    fn hand_back(&self, lease: Lease, back: HandBack) -> Later<'_, Fenced> {
        self.wake(move |state, now| state.hand_back(&lease, back, now))
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn woken(&self) -> watch::Receiver<u64> {
        self.shared.woken.subscribe()
    }

    fn publish(&self, events: Vec<String>) -> Later<'_, ()> {
        self.wake(|state, now| {
            for text in &events {
                state.options.check("the event", text)?;
            }
            for text in events {
                state.tell(Event::Told(text), now);
            }
            Ok(())
        })
    }

    fn follow(&self) -> Later<'_, Box<dyn Follower>> {
        self.look(|state, _| {
            let (shared, woken) = (Arc::clone(&self.shared), self.shared.woken.subscribe());
            Box::new(Listening { shared, position: state.log.end(), woken }) as Box<dyn Follower>
        })
    }

    fn put(&self, value: NewValue) -> Later<'_, bool> {
        Box::pin(async move {
            let mut state = self.shared.lock();
            let State { options, values, .. } = &mut *state;
            options.check("the value", &value.text)?;
            Ok(values.put(value, self.clock.now(), options))
        })
    }

    fn value(&self, id: ValueId) -> Later<'_, Option<Value>> {
        self.look(move |state, now| state.values.look(&id, now))
    }

    fn replace(&self, id: ValueId, version: u64, text: String) -> Later<'_, Replaced> {
        Box::pin(async move {
            let mut state = self.shared.lock();
            state.options.check("the value", &text)?;
            Ok(state.values.replace(id, version, text, self.clock.now()))
        })
    }

    fn remove(&self, id: ValueId) -> Later<'_, bool> {
        self.look(move |state, now| state.values.remove(&id, now))
    }

    fn mark(&self, digest: [u8; 32], keep: Duration) -> Later<'_, bool> {
        self.look(move |state, now| state.marks.mark(digest, keep, now))
    }

    fn status(&self) -> Later<'_, StoreStatus> {
        self.look(|state, now| state.status(now))
    }

    fn tasks(&self, query: TaskQuery) -> Later<'_, Vec<TaskRow>> {
        self.look(move |state, _| state.tasks(&query))
    }

    fn report(&self, id: TaskId) -> Later<'_, Option<TaskReport>> {
        self.look(move |state, _| state.tasks.get(&id).map(entry::Entry::report))
    }

    fn retry(&self, id: TaskId) -> Later<'_, Option<TaskStatus>> {
        self.wake(move |state, _| Ok(state.retry(&id)))
    }

    fn sweep(&self, most: usize) -> Later<'_, Swept> {
        self.look(move |state, now| state.sweep(most, now))
    }

    fn compact(&self) -> Later<'_, ()> {
        self.look(|_, _| ())
    }
}
