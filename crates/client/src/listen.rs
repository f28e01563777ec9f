//! Subscriptions: being told of changes.
//!
//! A stream that is lost is begun again, and the holder is told that there may be a gap, so that it can look at what it
//! holds anew. Spec: basic/patterns/subscriptions.

use std::collections::VecDeque;
use std::future::IntoFuture;
use std::time::Duration;

use anypod_proto::jsonrpc::{JsonObject, JsonValue};
use anypod_proto::method::{Method, Notification};
use anypod_proto::resources::ResourceUpdatedNotificationParams;
use anypod_proto::subscriptions::{SubscriptionFilter, SubscriptionsAcknowledgedNotificationParams};

use anypod_proto::tasks::{DetailedTask, TaskStatusNotificationParams};
use tokio::time::Instant;

use crate::call::Call;
use crate::client::Client;
use crate::credentials::BoxFuture;
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Exchange, Incoming, Notice};

/// The first pause before a lost stream is begun again; it doubles up to [`Limits::longest_pause`](crate::Limits).
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// A stream that lasted this long was no failure.
const LASTING: Duration = Duration::from_secs(30);

/// What a server says of a change.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The list of tools has changed.
    ToolsChanged,
    /// The list of prompts has changed.
    PromptsChanged,
    /// The lists of resources and resource templates have changed.
    ResourcesChanged,
    /// A resource has changed.
    ResourceUpdated {
        /// Which.
        uri: String,
    },
    /// A task of the extension has changed, into this.
    TaskChanged(Box<DetailedTask>),
    /// The stream was lost and has been begun again. What happened between is not known: everything that the filter
    /// holds may have changed.
    Gap,
    /// A notification of an extension.
    Other(Notice),
}

/// Why a subscription ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// The server ended it on purpose, such as a pod that shuts down. Whoever wants to go on listens again.
    Graceful,
    /// The stream broke, and could not be begun again.
    Lost(Error),
    /// The holder cancelled it.
    Cancelled,
}

/// A request for a subscription; awaiting it waits until the server has acknowledged it.
#[must_use = "a subscription begins when it is awaited"]
pub struct Listen {
    client: Client,
    filter: SubscriptionFilter,
    extensions: JsonObject,
    persistent: bool,
}

impl Listen {
    pub(crate) fn new(client: &Client, filter: SubscriptionFilter) -> Self {
        Self { client: client.clone(), filter, extensions: JsonObject::new(), persistent: false }
    }

    /// Adds a field of an extension to the filter.
    pub fn field(mut self, key: &str, value: impl Into<JsonValue>) -> Self {
        self.extensions.insert(key.to_owned(), value.into());
        self
    }

    /// Goes on when the server ends the subscription on purpose, as after a loss: with another pod, say.
    pub const fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    async fn begin(self) -> Result<Subscription> {
        let Self { client, filter, extensions, persistent } = self;
        let mut call = Call::new(Method::SubscriptionsListen);
        let mut notifications = serde_json::to_value(&filter).map_err(|error| Error::Misuse(error.to_string()))?;
        if let JsonValue::Object(fields) = &mut notifications {
            fields.extend(extensions);
        }
        client.inner().trace(&mut call);
        call.push_param("notifications", notifications.to_string().as_bytes());
        let begun = Begun::new(&client, &call).await?;
        Ok(Subscription {
            client,
            call,
            persistent,
            begun: Some(begun),
            waiting: VecDeque::new(),
            fruitless: 0,
            again_at: None,
            end: None,
        })
    }
}

impl IntoFuture for Listen {
    type Output = Result<Subscription>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}

/// A subscription under way. Dropping it cancels it.
pub struct Subscription {
    client: Client,
    call: Call,
    persistent: bool,
    begun: Option<Begun>,
    waiting: VecDeque<Event>,
    /// How often in a row the stream was begun and soon lost again, without an event.
    fruitless: usize,
    /// When a lost stream is to be begun again, once that is decided.
    again_at: Option<Instant>,
    end: Option<End>,
}

/// A stream that the server has acknowledged.
struct Begun {
    exchange: Exchange,
    accepted: SubscriptionFilter,
    since: Instant,
}

impl Begun {
    async fn new(client: &Client, call: &Call) -> Result<Self> {
        let deadline = client.inner().limits.request_deadline;
        let begin = async {
            let mut exchange = client.inner().upstream.send(call).await?;
            match exchange.next().await? {
                Incoming::Answer(Answer::Error(error)) => Err(Error::Answered(error)),
                Incoming::Answer(Answer::Result(_)) => Err(Error::lost("the server ended the subscription at once")),
                Incoming::Notice(notice) => {
                    let accepted = acknowledged(&notice)?;
                    Ok(Self { exchange, accepted, since: Instant::now() })
                }
            }
        };
        tokio::time::timeout(deadline, begin).await.unwrap_or(Err(Error::TimedOut(deadline)))
    }
}

fn acknowledged(notice: &Notice) -> Result<SubscriptionFilter> {
    if Notification::parse(&notice.method) != Some(Notification::SubscriptionsAcknowledged) {
        let method = notice.method.escape_debug();
        return Err(Broken::Result(format!("{method} before the subscription was acknowledged")).into());
    }
    let params: SubscriptionsAcknowledgedNotificationParams = notice.params.read()?;
    Ok(params.notifications)
}

impl Subscription {
    /// The part of the filter that the server honours.
    pub fn accepted(&self) -> SubscriptionFilter {
        self.begun.as_ref().map(|begun| begun.accepted.clone()).unwrap_or_default()
    }

    /// The next event; `None` when the subscription has ended, for the reason that [`Subscription::end`] gives.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if self.end.is_some() {
                return None;
            }
            let Some(begun) = &mut self.begun else {
                self.begin_again().await;
                continue;
            };
            match begun.exchange.next().await {
                Ok(Incoming::Notice(notice)) => {
                    self.fruitless = 0;
                    self.client.inner().noticed(&notice);
                    return Some(event(notice));
                }
                Ok(Incoming::Answer(Answer::Result(_))) if !self.persistent => self.finish(End::Graceful),
                Ok(Incoming::Answer(Answer::Result(_))) | Err(Error::Lost { .. }) => self.lose(),
                Ok(Incoming::Answer(Answer::Error(error))) => self.finish(End::Lost(Error::Answered(error))),
                Err(error) => self.finish(End::Lost(error)),
            }
        }
    }

    /// Why the subscription ended; `None` while it goes on.
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Ends the subscription.
    pub fn cancel(&mut self) {
        if self.end.is_none() {
            self.finish(End::Cancelled);
        }
    }

    fn finish(&mut self, end: End) {
        self.begun = None;
        self.end = Some(end);
    }

    fn lose(&mut self) {
        if self.begun.take().is_some_and(|begun| begun.since.elapsed() >= LASTING) {
            self.fruitless = 0;
        }
    }

    /// Begins a lost stream again, with growing pauses.
    async fn begin_again(&mut self) {
        let inner = self.client.inner();
        loop {
            if self.fruitless >= inner.limits.resumptions.max(1) {
                self.finish(End::Lost(Error::lost("the stream was lost again and again")));
                return;
            }
            let again_at = *self.again_at.get_or_insert_with(|| {
                let pause = FIRST_PAUSE.saturating_mul(1 << self.fruitless.min(16)).min(inner.limits.longest_pause);
                Instant::now() + inner.outside.jitter(pause)
            });
            tokio::time::sleep_until(again_at).await;
            let begun = Begun::new(&self.client, &self.call).await;
            self.again_at = None;
            self.fruitless += 1;
            match begun {
                Ok(begun) => {
                    self.begun = Some(begun);
                    inner.missed_changes();
                    self.waiting.push_back(Event::Gap);
                    return;
                }
                Err(error) if self.fruitless >= inner.limits.resumptions || !error.is_passing() => {
                    self.finish(End::Lost(error));
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, "a subscription could not be begun again yet");
                }
            }
        }
    }
}

fn event(notice: Notice) -> Event {
    match Notification::parse(&notice.method) {
        Some(Notification::ToolsListChanged) => Event::ToolsChanged,
        Some(Notification::PromptsListChanged) => Event::PromptsChanged,
        Some(Notification::ResourcesListChanged) => Event::ResourcesChanged,
        Some(Notification::ResourceUpdated) => match notice.params.read::<ResourceUpdatedNotificationParams>() {
            Ok(params) => Event::ResourceUpdated { uri: params.uri },
            Err(_) => Event::Other(notice),
        },
        Some(Notification::TaskStatus) => match notice.params.read::<TaskStatusNotificationParams>() {
            Ok(params) => Event::TaskChanged(Box::new(params.task)),
            Err(_) => Event::Other(notice),
        },
        Some(
            Notification::Cancelled
            | Notification::Progress
            | Notification::Message
            | Notification::SubscriptionsAcknowledged
            | Notification::Initialized
            | Notification::RootsListChanged
            | Notification::ElicitationComplete,
        )
        | None => Event::Other(notice),
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("end", &self.end).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listen").field("filter", &self.filter).finish_non_exhaustive()
    }
}
