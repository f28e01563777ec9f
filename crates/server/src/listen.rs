//! `subscriptions/listen`: a stream of changes, opened by a request and ended by either side.
//!
//! The stream's buffer is its mailbox, which holds one mark per thing asked for: changes that come faster
//! than the client reads are merged, and none is lost.
//!
//! Spec: basic/patterns/subscriptions.

use std::any::Any;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::method::Notification;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_proto::{meta, sse};
use bytes::Bytes;
use http::Extensions;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, Sleep, sleep};

use crate::backend::{self, Aside, BoxFuture, Caller};
use crate::bus::{Bus as _, Change, Event, Interest, Mailbox, Receiver as _, Topic};
use crate::completed::Failure;
use crate::cx::{Client, notification};
use crate::extension::{Listener, Told};
use crate::load::{Permit, What};
use crate::principal::Principal;
use crate::run::failure;
use crate::server::Server;

/// A stream of changes.
pub(crate) struct Listening {
    /// The raw JSON of the request's id, which is the subscription's id too.
    id: Box<RawValue>,
    /// The server's name and version, as JSON.
    server_info: String,
    mailbox: Arc<Mailbox>,
    drained: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The first message, until it is sent.
    acknowledgement: Option<String>,
    over: bool,
    listener: Arc<Listener>,
    extensions: Server,
    /// What the backend tells besides changes.
    aside: Option<Aside>,
    /// What an extension is about to say.
    telling: Option<BoxFuture<'static, Option<Told>>>,
    /// Makes the backend listen as long as it is held.
    _keep: Option<Box<dyn Any + Send>>,
    _permit: Permit,
}

/// `params`, without what every request has.
#[derive(Deserialize)]
struct Params {
    notifications: SubscriptionFilter,
}

impl Listening {
    /// Opens the stream. What the server, or its backend, does not have is not honoured, and missing in the
    /// acknowledgement.
    ///
    /// # Errors
    /// If the filter cannot be read or names too much, if too many streams are open, or if the backend refuses.
    pub(crate) async fn open(server: &Server, request: &Request, extensions: Extensions) -> Result<Self, Failure> {
        let wanted = wanted(server, request)?;
        let permit = server.inner.load.enter(What::Stream)?;
        let own = match &server.inner.backend {
            None => honour(server, wanted.clone()),
            Some(_) => wanted.clone(),
        };
        let mailbox = Mailbox::new(interest(&own));
        // Attached before it is acknowledged, so that no change in between is missed.
        let receiver = Arc::downgrade(&mailbox);
        server.inner.bus.attach(receiver.clone());
        server.inner.topics.attach(receiver);
        let principal: Option<Principal> = extensions.get().cloned();
        let listener = Arc::new(Listener { principal, capabilities: Client::Modern.capabilities(request) });
        let (honoured, mailbox, aside, keep) = match &server.inner.backend {
            None => (topics(server, &listener, &mailbox, (wanted, own)).await?, mailbox, None, None),
            Some(backend) => {
                let principal = listener.principal.clone();
                let caller = Caller::of(&Client::Modern, request, principal, Arc::new(extensions));
                let deadline = server.inner.limits().backend_deadline;
                let listened = backend::listen(Arc::clone(backend), caller, wanted, deadline).await?;
                let mailbox = listened.own.unwrap_or(mailbox);
                mailbox.narrow(interest(&listened.honoured));
                (listened.honoured, mailbox, listened.aside, Some(listened.keep))
            }
        };
        let id = RawValue::from_string(request.id().to_owned()).map_err(|_| Rejection::Internal)?;
        let load = Arc::clone(&server.inner.load);
        let mut listening = Self {
            id,
            server_info: serde_json::to_string(&*server.inner.info).map_err(|_| Rejection::Internal)?,
            mailbox,
            drained: Box::pin(async move { load.drained().await }),
            acknowledgement: None,
            over: false,
            listener,
            extensions: server.clone(),
            aside,
            telling: None,
            _keep: keep,
            _permit: permit,
        };
        listening.acknowledgement =
            Some(listening.message(Notification::SubscriptionsAcknowledged, Some(("notifications", &honoured)))?);
        Ok(listening)
    }

    /// The next message; `None` when the stream is over, after its result.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        if self.over {
            return Poll::Ready(None);
        }
        if let Some(acknowledgement) = self.acknowledgement.take() {
            return Poll::Ready(Some(acknowledgement));
        }
        if let Some(message) = ready!(self.poll_telling(cx)) {
            return Poll::Ready(Some(message));
        }
        while let Poll::Ready(change) = self.mailbox.poll_next(cx) {
            let message = match change {
                Change::Topic(topic) => {
                    self.telling = self.tell(topic);
                    match ready!(self.poll_telling(cx)) {
                        Some(message) => return Poll::Ready(Some(message)),
                        None => continue,
                    }
                }
                Change::Tools => self.message::<()>(Notification::ToolsListChanged, None),
                Change::Prompts => self.message::<()>(Notification::PromptsListChanged, None),
                Change::Resources => self.message::<()>(Notification::ResourcesListChanged, None),
                Change::Resource(uri) => self.message(Notification::ResourceUpdated, Some(("uri", &uri))),
                Change::Task(params) => self.task(&params),
            };
            match message {
                Ok(message) => return Poll::Ready(Some(message)),
                Err(rejection) => tracing::error!(%rejection, "a notification is not JSON"),
            }
        }
        if let Some(message) = self.aside(cx) {
            return Poll::Ready(Some(message));
        }
        if self.mailbox.is_over() || self.drained.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(self.end()));
        }
        Poll::Pending
    }

    /// What the backend tells, or the end of the stream when it has nothing more to tell; nothing if there is nothing now.
    fn aside(&mut self, cx: &mut Context<'_>) -> Option<String> {
        while let Some(aside) = &mut self.aside {
            let Poll::Ready(told) = aside.poll_next(cx) else { break };
            let Some(Told { method, params }) = told else { return Some(self.end()) };
            match self.spelled(&method, params) {
                Ok(message) => return Some(message),
                Err(error) => tracing::error!(%error, method, "a notification is not JSON"),
            }
        }
        None
    }

    /// Has the extension say what has become of one of its topics.
    fn tell(&self, Topic { extension, topic }: Topic) -> Option<BoxFuture<'static, Option<Told>>> {
        let topics = &self.extensions.inner.registry.extensions.topics;
        let (_, topics) = topics.iter().find(|(id, _)| *id == extension)?;
        let (topics, listener) = (Arc::clone(topics), Arc::clone(&self.listener));
        let mailbox = Arc::clone(&self.mailbox);
        Some(Box::pin(async move {
            let error = match topics.tell(&listener, &topic).await {
                Ok(told) => return told,
                Err(error) => error,
            };
            tracing::warn!(%error, %extension, "nothing could be said of a topic");
            if let Some(pause) = error.passes_after() {
                // What it waits for is away from all topics alike, so that none of them is kept from being told.
                sleep(pause).await;
                mailbox.deliver(&Event::Topic(Topic { extension, topic }));
            }
            None
        }))
    }

    /// What an extension says, once it has said it; nothing if there is nothing to be said.
    fn poll_telling(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        let Some(telling) = &mut self.telling else { return Poll::Ready(None) };
        let told = ready!(telling.as_mut().poll(cx));
        self.telling = None;
        let Some(Told { method, params }) = told else { return Poll::Ready(None) };
        Poll::Ready(self.spelled(&method, params).inspect_err(|error| tracing::error!(%error, method)).ok())
    }

    /// A notification with the subscription in its `_meta`.
    fn spelled(&self, method: &str, mut params: JsonObject) -> Result<String, Rejection> {
        let id: serde_json::Value = serde_json::from_str(self.id.get()).map_err(|_| Rejection::Internal)?;
        let meta = params.entry("_meta").or_insert_with(|| serde_json::json!({}));
        meta.as_object_mut().ok_or(Rejection::Internal)?.insert(meta::SUBSCRIPTION_ID.to_owned(), id);
        let message = serde_json::json!({ "jsonrpc": "2.0", "method": method, "params": params });
        Ok(message.to_string())
    }

    /// Ends the stream on purpose; the message is its last.
    pub(crate) fn end(&mut self) -> String {
        self.over = true;
        self.result()
    }

    /// Whether the last message has been given.
    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    /// A notification of this subscription.
    fn message<T: Serialize>(&self, method: Notification, member: Option<(&str, &T)>) -> Result<String, Rejection> {
        let mut params = serde_json::Map::new();
        let id: serde_json::Value = serde_json::from_str(self.id.get()).map_err(|_| Rejection::Internal)?;
        params.insert("_meta".to_owned(), serde_json::json!({ meta::SUBSCRIPTION_ID: id }));
        if let Some((name, value)) = member {
            params.insert(name.to_owned(), serde_json::to_value(value).map_err(|_| Rejection::Internal)?);
        }
        notification(method, &params).map_err(|_| Rejection::Internal)
    }

    /// A notification of this subscription that says what a task has become. Whoever told of it has put its own
    /// subscription into `_meta`.
    fn task(&self, params: &str) -> Result<String, Rejection> {
        let mut params: serde_json::Map<_, _> = serde_json::from_str(params).map_err(|_| Rejection::Internal)?;
        let id: serde_json::Value = serde_json::from_str(self.id.get()).map_err(|_| Rejection::Internal)?;
        let meta = params.entry("_meta").or_insert_with(|| serde_json::json!({}));
        let meta = meta.as_object_mut().ok_or(Rejection::Internal)?;
        meta.insert(meta::SUBSCRIPTION_ID.to_owned(), id);
        notification(Notification::TaskStatus, &params).map_err(|_| Rejection::Internal)
    }

    /// The response that ends the stream on purpose.
    fn result(&self) -> String {
        let (id, key, info) = (self.id.get(), meta::SUBSCRIPTION_ID, &self.server_info);
        let meta = format!(r#"{{"{key}":{id},"{}":{info}}}"#, meta::SERVER_INFO);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","_meta":{meta}}}}}"#)
    }
}

/// What the request asks to hear of.
fn wanted(server: &Server, request: &Request) -> Result<SubscriptionFilter, Rejection> {
    let params: Params = serde_json::from_str(request.params()).map_err(|error| malformed(error.to_string()))?;
    let wanted = params.notifications;
    let limit = server.inner.limits().listen_resources;
    for (what, named) in [("resources", &wanted.resource_subscriptions), ("tasks", &wanted.task_ids)] {
        within(limit, what, named.as_ref().map_or(0, Vec::len))?;
    }
    Ok(wanted)
}

/// Whether a listener names no more than it may.
fn within(limit: usize, what: &str, named: usize) -> Result<(), Rejection> {
    match named > limit {
        true => Err(malformed(format!("{named} {what}, at most {limit} can be named"))),
        false => Ok(()),
    }
}

fn malformed(found: String) -> Rejection {
    Rejection::ParamMalformed { field: "params.notifications", expected: "a filter of notifications", found }
}

fn honour(server: &Server, wanted: SubscriptionFilter) -> SubscriptionFilter {
    let capabilities = &server.inner.capabilities;
    let keep = |wanted: Option<bool>, has: bool| wanted.filter(|wanted| *wanted && has);
    SubscriptionFilter {
        tools_list_changed: keep(wanted.tools_list_changed, capabilities.tools.is_some()),
        prompts_list_changed: keep(wanted.prompts_list_changed, capabilities.prompts.is_some()),
        resources_list_changed: keep(wanted.resources_list_changed, capabilities.resources.is_some()),
        resource_subscriptions: wanted.resource_subscriptions.filter(|_| capabilities.resources.is_some()),
        // These are for extensions.
        task_ids: None,
        extra: JsonObject::new(),
    }
}

/// Adds what extensions honour of the filter, and their topics to the mailbox.
async fn topics(
    server: &Server,
    listener: &Listener,
    mailbox: &Mailbox,
    asked: (SubscriptionFilter, SubscriptionFilter),
) -> Result<SubscriptionFilter, Failure> {
    let (wanted, honoured) = asked;
    let extensions = &server.inner.registry.extensions.topics;
    if extensions.is_empty() {
        return Ok(honoured);
    }
    let object = |filter| match serde_json::to_value(filter) {
        Ok(serde_json::Value::Object(filter)) => Ok(filter),
        Ok(_) | Err(_) => Err(Rejection::Internal),
    };
    let (wanted, mut honoured) = (object(wanted)?, object(honoured)?);
    let limit = server.inner.limits().listen_resources;
    for (id, topics) in extensions {
        let subscribed = topics.subscribe(listener, &wanted).await.map_err(failure)?;
        within(limit, "topics", subscribed.topics.len())?;
        let own = |topic| Topic { extension: id.clone(), topic };
        mailbox.add_topics(subscribed.topics.into_iter().map(own).collect());
        for (field, value) in subscribed.honoured {
            if topics.fields().contains(&field.as_str()) {
                honoured.insert(field, value);
            } else {
                tracing::error!(extension = id, field, "an extension honours a field that it does not claim");
            }
        }
    }
    serde_json::from_value(honoured.into()).map_err(|_| Rejection::Internal.into())
}

pub(crate) fn interest(filter: &SubscriptionFilter) -> Interest {
    Interest {
        tools: filter.tools_list_changed == Some(true),
        prompts: filter.prompts_list_changed == Some(true),
        resources: filter.resources_list_changed == Some(true),
        uris: filter.resource_subscriptions.iter().flatten().cloned().collect(),
        tasks: filter.task_ids.iter().flatten().cloned().collect(),
        topics: BTreeSet::new(),
    }
}

/// What an open stream has to say.
pub(crate) trait Messages: Send {
    /// The next message; `None` when the stream is over.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>>;
}

impl Messages for Listening {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        Self::poll_next(self, cx)
    }
}

/// A listener's stream as server-sent events, with comments that keep it open.
pub(crate) struct ListeningBody<M> {
    listening: M,
    keep_alive: Duration,
    timer: Pin<Box<Sleep>>,
}

impl<M: Messages> ListeningBody<M> {
    pub(crate) fn new(listening: M, keep_alive: Duration) -> Self {
        Self { listening, keep_alive, timer: Box::pin(sleep(keep_alive)) }
    }

    /// The next bytes.
    pub(crate) fn poll_events(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut events = Vec::new();
        loop {
            match self.listening.poll_next(cx) {
                Poll::Ready(Some(message)) => sse::encode_data(&mut events, &message),
                Poll::Ready(None) if events.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            sse::encode_comment(&mut events, "");
            self.timer.as_mut().reset(Instant::now() + self.keep_alive);
        }
        if events.is_empty() { Poll::Pending } else { Poll::Ready(Some(events.into())) }
    }
}
