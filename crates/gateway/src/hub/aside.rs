//! Fields of extensions in the filter of a listener, which the gateway does not know: passed on to the only upstream of the
//! route, and what that tells passed back.
//!
//! Nobody knows what such a field means, so nothing is shared among listeners and nothing merged: each has a stream of its own to
//! one pod, as it would have behind any balancer. When that breaks, the listener's stream ends, and who listens begins again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anypod_client::{Call, Incoming, Notice};
use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::method::{Method, Notification};
use anypod_proto::subscriptions::SubscriptionsAcknowledgedNotificationParams;
use anypod_proto::version::Era;
use anypod_server::{Aside, Teller, Told};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::plan::Plan;
use crate::reach::{Reach, Sender, Under};
use crate::upstream::Tried;

/// How long a stream may take to be acknowledged.
const ACKNOWLEDGED: Duration = Duration::from_secs(5);

/// The streams that are open.
#[derive(Debug, Default)]
pub(super) struct Asides(Mutex<Vec<Open>>);

/// One of them.
#[derive(Debug)]
struct Open {
    reach: Weak<Reach>,
    task: AbortHandle,
}

/// A stream for one listener, as long as this is held.
#[derive(Debug)]
pub(crate) struct Heeded {
    /// The fields that the upstream has taken on.
    pub(crate) honoured: JsonObject,
    /// Where it comes in.
    pub(crate) aside: Option<Aside>,
    task: AbortHandle,
}

impl Drop for Heeded {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether fields of extensions are passed on: to one upstream, and where no rule could be about what they name.
fn passes(plan: &Plan) -> bool {
    !plan.is_federated() && plan.policy.is_open()
}

impl Asides {
    /// Passes fields on for somebody. None if nobody takes them on.
    ///
    /// # Errors
    /// As the upstream has it.
    pub(super) async fn heed(
        &self,
        plan: &Plan,
        fields: &JsonObject,
        from: &Sender,
    ) -> Result<Option<Heeded>, Failure> {
        let Some(reach) = plan.reaches.first().filter(|_| passes(plan) && !fields.is_empty()) else { return Ok(None) };
        if reach.era(from).await? != Era::Modern {
            return Ok(None);
        }
        let opened = timeout(ACKNOWLEDGED, open(reach, fields, from)).await;
        let opened = opened.map_err(|_| Failure::TimedOut { upstream: reach.name().to_string() })?;
        let Some((under, honoured)) = opened? else { return Ok(None) };
        let (teller, aside) = Aside::new();
        let task = tokio::spawn(pass_back(under, teller)).abort_handle();
        let mut all = self.lock();
        all.retain(|open| !open.task.is_finished());
        all.push(Open { reach: Arc::downgrade(reach), task: task.clone() });
        Ok(Some(Heeded { honoured, aside: Some(aside), task }))
    }

    /// Ends the streams that could not be opened by this plan.
    pub(super) fn replace(&self, plan: &Plan) {
        let stays = |open: &Open| {
            let reach = open.reach.upgrade();
            passes(plan) && reach.is_some_and(|reach| plan.reaches.iter().any(|other| Arc::ptr_eq(other, &reach)))
        };
        self.lock().iter().filter(|open| !stays(open)).for_each(|open| open.task.abort());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a stream for these fields. Gives those that are acknowledged; none if that is none of them.
async fn open(reach: &Arc<Reach>, fields: &JsonObject, from: &Sender) -> Result<Option<(Under, JsonObject)>, Failure> {
    let mut call = Call::new(Method::SubscriptionsListen);
    let filter = serde_json::Value::Object(fields.clone());
    call.params = format!(r#""notifications":{filter}"#).into_bytes();
    let mut under = reach.send(&call, from, &mut Tried::default()).await?;
    match under.exchange.next().await.map_err(|error| Failure::of(reach.name(), error))? {
        Incoming::Notice(notice) => {
            let is_acknowledged = Notification::parse(&notice.method) == Some(Notification::SubscriptionsAcknowledged);
            let said = notice.params.read::<SubscriptionsAcknowledgedNotificationParams>().ok();
            let said = said
                .filter(|_| is_acknowledged)
                .ok_or_else(|| Failure::Broken { upstream: reach.name().to_string() })?;
            let asked = |(field, _): &(String, serde_json::Value)| fields.contains_key(field);
            let honoured: JsonObject = said.notifications.extra.into_iter().filter(asked).collect();
            Ok((!honoured.is_empty()).then_some((under, honoured)))
        }
        Incoming::Answer(anypod_client::Answer::Error(error)) => Err(error.into()),
        // A server need not have such streams.
        Incoming::Answer(anypod_client::Answer::Result(_)) => Ok(None),
    }
}

/// Tells the listener what the upstream tells, until one of them has gone.
async fn pass_back(mut under: Under, teller: Teller) {
    while let Ok(Incoming::Notice(Notice { method, params })) = under.exchange.next().await {
        // What is the protocol's own was not asked for here, and is told by others.
        if Notification::parse(&method).is_some() {
            continue;
        }
        let Ok(params) = params.read::<JsonObject>() else { continue };
        if !teller.tell(Told { method, params }).await {
            return;
        }
    }
}
