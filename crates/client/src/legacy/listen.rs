//! `subscriptions/listen` of a legacy server: its unasked stream, and `resources/subscribe` for each resource.
//!
//! Spec: basic/patterns/subscriptions; 2025-11-25, server/resources, "Subscriptions".

use std::sync::Arc;

use anypod_proto::code::Code;
use anypod_proto::jsonrpc::{ErrorObject, JsonObject, JsonValue};
use anypod_proto::legacy::{SubscribeRequestParams, UnsubscribeRequestParams};
use anypod_proto::meta;
use anypod_proto::method::{LegacyMethod, Notification};
use anypod_proto::subscriptions::{SubscriptionFilter, SubscriptionsAcknowledgedNotificationParams};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::session::Session;
use super::tally::One;
use super::unasked::{Hearing, Reader, Want};
use super::{Attempt, Shared};
use crate::call::Call;
use crate::credentials::BoxFuture;
use crate::error::{Error, Result};
use crate::exchange::{Answer, Exchange, Incoming, Messages, Notice, Raw};

/// Begins to listen.
///
/// # Errors
/// As the link, where resources have to be subscribed to.
pub(super) async fn listen(shared: &Arc<Shared>, session: &Arc<Session>, call: &Call, one: One) -> Result<Attempt> {
    let asked = match filter(call) {
        Ok(asked) => asked,
        Err(error) => {
            let error = ErrorObject::new(Code::InvalidParams, error.to_string());
            return Ok(Attempt::Exchange(Exchange::answered(Answer::Error(error))));
        }
    };
    let offered = offered(session, asked.clone());
    let mut listening = Listening::new(shared, session, asked, one);
    let mut granted = SubscriptionFilter::default();
    if offered != granted {
        match session.reader.hearing(shared.limits.connect_deadline).await {
            Hearing::Open | Hearing::Opening => granted = offered,
            // Without a stream of its own, a session tells of changes only by chance: what comes is passed on, and
            // nothing is promised.
            Hearing::None => {}
            Hearing::Failed => return Err(Error::lost("the server's stream of changes broke")),
        }
    }
    if let Some(uris) = granted.resource_subscriptions.take() {
        match listening.subscribe(uris).await? {
            None => return Ok(Attempt::Gone),
            Some(uris) => granted.resource_subscriptions = Some(uris).filter(|uris| !uris.is_empty()),
        }
    }
    listening.acknowledge(granted);
    Ok(Attempt::Exchange(Exchange::stream(listening)))
}

fn filter(call: &Call) -> serde_json::Result<SubscriptionFilter> {
    #[derive(Deserialize)]
    struct Params {
        notifications: SubscriptionFilter,
    }
    let text = [b"{", call.params.as_slice(), b"}"].concat();
    serde_json::from_slice(&text).map(|Params { notifications }| notifications)
}

/// The part of the filter that the server has declared.
fn offered(session: &Session, asked: SubscriptionFilter) -> SubscriptionFilter {
    let capabilities = &session.server.capabilities;
    let of = |offers: Option<bool>, asked: Option<bool>| asked.filter(|asked| *asked && offers == Some(true));
    let resources = capabilities.resources.as_ref();
    SubscriptionFilter {
        tools_list_changed: of(
            capabilities.tools.as_ref().and_then(|tools| tools.list_changed),
            asked.tools_list_changed,
        ),
        prompts_list_changed: of(
            capabilities.prompts.as_ref().and_then(|prompts| prompts.list_changed),
            asked.prompts_list_changed,
        ),
        resources_list_changed: of(
            resources.and_then(|resources| resources.list_changed),
            asked.resources_list_changed,
        ),
        resource_subscriptions: asked
            .resource_subscriptions
            .filter(|_| resources.and_then(|resources| resources.subscribe) == Some(true)),
        task_ids: None,
        ..SubscriptionFilter::default()
    }
}

/// A listener. Dropping it ends what was subscribed to for it alone.
struct Listening {
    shared: Arc<Shared>,
    session: Arc<Session>,
    id: u64,
    acknowledged: Option<Notice>,
    changes: mpsc::Receiver<Notice>,
    uris: Vec<String>,
    _want: Want,
    _counted: One,
}

impl Listening {
    fn new(shared: &Arc<Shared>, session: &Arc<Session>, filter: SubscriptionFilter, one: One) -> Self {
        let id = shared.next_id();
        let changes = session.hub.listen(id, filter, shared.limits.waiting_messages);
        let want = Reader::want(shared, session);
        let (shared, session) = (Arc::clone(shared), Arc::clone(session));
        Self { shared, session, id, acknowledged: None, changes, uris: Vec::new(), _want: want, _counted: one }
    }

    /// Subscribes to resources; gives those that the server agreed to. `None` if the session is gone.
    async fn subscribe(&mut self, uris: Vec<String>) -> Result<Option<Vec<String>>> {
        let session = Arc::clone(&self.session);
        let mut subscribed = session.hub.subscribed.lock().await;
        for uri in uris {
            if self.uris.contains(&uri) {
                continue;
            }
            if !subscribed.contains_key(&uri) {
                let params = SubscribeRequestParams { uri: uri.clone() };
                match self.shared.ask(&session, LegacyMethod::Subscribe, params).await? {
                    None => return Ok(None),
                    Some(Answer::Result(_)) => {}
                    Some(Answer::Error(error)) => {
                        tracing::debug!(code = error.code, "a resource could not be subscribed to");
                        continue;
                    }
                }
            }
            *subscribed.entry(uri.clone()).or_default() += 1;
            self.uris.push(uri);
        }
        Ok(Some(self.uris.clone()))
    }

    fn acknowledge(&mut self, granted: SubscriptionFilter) {
        let params =
            SubscriptionsAcknowledgedNotificationParams::new(i64::try_from(self.id).unwrap_or(i64::MAX), granted);
        let text = serde_json::to_vec(&params).expect("the protocol's own types are JSON");
        let method = Notification::SubscriptionsAcknowledged.as_str().to_owned();
        self.acknowledged = Some(Notice { method, params: Raw::checked(Bytes::from(text)) });
    }

    /// The change as a modern server tells of it: with the id of the subscription.
    fn stamped(&self, notice: Notice) -> Result<Notice> {
        let mut params: JsonObject = notice.params.read()?;
        let meta = params.entry("_meta").or_insert_with(|| JsonValue::Object(JsonObject::new()));
        if let JsonValue::Object(meta) = meta {
            meta.insert(meta::SUBSCRIPTION_ID.to_owned(), self.id.into());
        }
        let text = serde_json::to_vec(&params).expect("what was JSON is JSON");
        Ok(Notice { method: notice.method, params: Raw::checked(Bytes::from(text)) })
    }
}

impl Messages for Listening {
    fn next(&mut self) -> BoxFuture<'_, Result<Incoming>> {
        Box::pin(async move {
            if let Some(notice) = self.acknowledged.take() {
                return Ok(Incoming::Notice(notice));
            }
            match self.changes.recv().await {
                Some(notice) => self.stamped(notice).map(Incoming::Notice),
                None => Err(Error::lost("the server's stream of changes broke, or more changed than was read")),
            }
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.session.hub.remove(self.id);
        if !self.uris.is_empty() {
            let (shared, session) = (Arc::clone(&self.shared), Arc::clone(&self.session));
            let uris = std::mem::take(&mut self.uris);
            self.shared.background.run(unsubscribe(shared, session, uris));
        }
    }
}

async fn unsubscribe(shared: Arc<Shared>, session: Arc<Session>, uris: Vec<String>) {
    let mut subscribed = session.hub.subscribed.lock().await;
    for uri in uris {
        let Some(listeners) = subscribed.get_mut(&uri) else { continue };
        *listeners -= 1;
        if *listeners == 0 {
            subscribed.remove(&uri);
            if let Err(error) = shared.ask(&session, LegacyMethod::Unsubscribe, UnsubscribeRequestParams { uri }).await
            {
                tracing::debug!(%error, "a subscription to a resource could not be ended");
            }
        }
    }
}
