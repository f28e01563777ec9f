//! Tasks: following what a server has made of a request, to its end or from anywhere else.
//!
//! Spec: the extension `io.modelcontextprotocol/tasks`. Waiting is asking again at the pace that the server sets.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::time::Duration;

use anypod_proto::method::TaskMethod;
use anypod_proto::rounds::InputResponses;
use anypod_proto::tasks::{CreateTaskResult, DetailedTask, GetTaskResult, TaskState};
use bytes::Bytes;

use crate::call::Call;
use crate::client::{Client, Inner};
use crate::error::{Error, Result};
use crate::exchange::Raw;
use crate::reply::Reply;
use crate::request::Options;
use crate::rounds::{Ended, cancellable};

/// How long to wait between two looks at a task whose server does not say.
const PACE: Duration = Duration::from_secs(1);
/// The least time between two looks, whatever the server says.
const LEAST: Duration = Duration::from_millis(20);
/// The most that one waits for the acknowledgement of a cancellation that no one waits for.
const PARTING: Duration = Duration::from_secs(5);

/// What became of a request whose caller does not want to wait.
#[derive(Debug)]
pub enum Started<T> {
    /// The result came at once.
    Done(T),
    /// The server works on it.
    Task(Box<Task<T>>),
}

/// A task of a server. It is no more than its id: dropping it changes nothing, and any client with the same
/// credentials may go on with it by [`Client::task`], on another machine as well.
pub struct Task<T> {
    client: Client,
    id: String,
    call: Box<Call>,
    reply: PhantomData<fn() -> T>,
}

impl<T> Task<T> {
    pub(crate) fn new(client: &Client, id: String, call: Call) -> Self {
        Self { client: client.clone(), id, call: Box::new(call), reply: PhantomData }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it is now.
    ///
    /// # Errors
    /// [`Error::Answered`] if the server does not know it (any more), and as every request.
    pub async fn get(&self) -> Result<DetailedTask> {
        self.client.inner().task_now(&self.id).await
    }

    /// Answers some or all of its open questions. That the answers have come in is all that the server says.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub async fn update(&self, responses: &InputResponses) -> Result<()> {
        self.client.inner().update_task(&self.id, responses).await
    }

    /// Says that it is no longer wanted. It may end otherwise all the same.
    ///
    /// # Errors
    /// As [`Task::get`].
    pub async fn cancel(&self) -> Result<()> {
        self.client.inner().cancel_task(&self.id).await
    }
}

impl<T: Reply> Task<T> {
    /// Waits for its end, and answers its questions by the client's answerers. A future that is dropped leaves the task
    /// as it is.
    ///
    /// # Errors
    /// [`Error::Task`] if it was cancelled, [`Error::Answered`] if it failed or is unknown, and as every request.
    pub async fn wait(&self) -> Result<T> {
        let mut options = Options::default();
        let raw = Box::pin(self.client.inner().watch_task(&self.id, None, &mut options)).await?;
        T::read(raw, &self.client, &self.call)
    }
}

impl<T> std::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

fn task_call(method: TaskMethod, id: &str) -> Call {
    let mut call = Call::named(method.as_str());
    call.name = Some(id.to_owned());
    call.push_text("taskId", id);
    call
}

impl Inner {
    async fn task_now(&self, id: &str) -> Result<DetailedTask> {
        let raw = self.plain(task_call(TaskMethod::Get, id)).await?;
        let result: GetTaskResult = raw.read()?;
        Ok(result.task)
    }

    async fn update_task(&self, id: &str, responses: &InputResponses) -> Result<()> {
        let mut call = task_call(TaskMethod::Update, id);
        let json = serde_json::to_vec(responses).map_err(|error| Error::Misuse(error.to_string()))?;
        call.push_param("inputResponses", &json);
        self.plain(call).await.map(drop)
    }

    async fn cancel_task(&self, id: &str) -> Result<()> {
        self.plain(task_call(TaskMethod::Cancel, id)).await.map(drop)
    }

    /// A request in one round without options.
    async fn plain(&self, mut call: Call) -> Result<Raw> {
        let mut options = Options::default();
        match self.round(&mut call, &mut options).await? {
            Ended::Complete(raw) => Ok(raw),
            Ended::Asks { .. } | Ended::Task(_) | Ended::Other(..) => {
                Err(crate::error::Broken::Result("a question about a question about a task".to_owned()).into())
            }
        }
    }

    /// Follows the task that a call has become. Who gives up the call gives up the task.
    pub(crate) async fn follow(
        &self,
        client: &Client,
        created: CreateTaskResult,
        options: &mut Options,
    ) -> Result<Raw> {
        let task = created.task;
        let mut guard = Abandon { client: client.clone(), id: Some(task.task_id.clone()) };
        let pace = task.poll_interval_ms.map(Duration::from_millis);
        let watched = match options.timeout {
            None => self.watch_task(&task.task_id, pace, options).await,
            Some(timeout) => {
                let watch = self.watch_task(&task.task_id, pace, options);
                tokio::time::timeout(timeout, watch).await.unwrap_or(Err(Error::TimedOut(timeout)))
            }
        };
        match &watched {
            Err(Error::TimedOut(_) | Error::Cancelled) => {}
            Ok(_) | Err(_) => guard.id = None,
        }
        watched
    }

    /// Looks at a task until it has ended.
    async fn watch_task(&self, id: &str, pace: Option<Duration>, options: &mut Options) -> Result<Raw> {
        let mut pace = pace.unwrap_or(PACE);
        let mut answered = BTreeSet::new();
        let mut failures = 0;
        loop {
            let looked = cancellable(options, self.task_now(id)).await;
            let task = match looked {
                Ok(task) => task,
                Err(error) if failures < self.limits.resumptions && error.is_passing() => {
                    failures += 1;
                    tracing::debug!(%error, failures, "a task could not be looked at");
                    let pause = self.outside.jitter(self.bounded(pace) * u32::try_from(failures.min(8)).unwrap_or(8));
                    cancellable(options, async {
                        tokio::time::sleep(pause).await;
                        Ok(())
                    })
                    .await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            failures = 0;
            pace = task.poll_interval_ms.map_or(pace, Duration::from_millis);
            match task.state {
                TaskState::Completed(outcome) => {
                    return Ok(Raw::checked(Bytes::from(outcome.into_text().into_string())));
                }
                TaskState::Failed(error) => return Err(Error::Answered(error)),
                TaskState::Cancelled => return Err(Error::Task { id: id.to_owned(), state: "was cancelled" }),
                TaskState::InputRequired(mut questions) => {
                    // A key names one question for the task's whole life.
                    questions.retain(|key, _| !answered.contains(key));
                    if !questions.is_empty() {
                        self.check_questions(questions.len() + answered.len())?;
                        answered.extend(questions.keys().cloned());
                        let responses = cancellable(options, self.answerers.answer(questions)).await?;
                        cancellable(options, self.update_task(id, &responses)).await?;
                        continue;
                    }
                }
                TaskState::Working => {}
            }
            let pause = self.bounded(pace);
            cancellable(options, async {
                tokio::time::sleep(pause).await;
                Ok(())
            })
            .await?;
        }
    }

    fn bounded(&self, pace: Duration) -> Duration {
        pace.clamp(LEAST, self.limits.longest_pause.max(LEAST))
    }
}

/// Cancels a task whose caller has gone.
struct Abandon {
    client: Client,
    id: Option<String>,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) else { return };
        let client = self.client.clone();
        runtime.spawn(async move {
            let cancelled = tokio::time::timeout(PARTING, client.inner().cancel_task(&id)).await;
            tracing::debug!(in_time = cancelled.is_ok(), "cancelled a task whose caller has gone");
        });
    }
}
