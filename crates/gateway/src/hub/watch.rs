//! One upstream that is listened to: a stream of each of its pods, opened again when it is lost.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anypod_client::{Call, Exchange, Incoming, Notice};
use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::method::{Method, Notification};
use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_server::Event;
use futures_util::future::{join_all, select_all};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Hub;
use super::wants::Wants;
use crate::failure::Failure;
use crate::federate::{Upstreams, uris};
use crate::reach::{Reach, Sender};
use crate::sessions::Session;

/// The first pause before a lost stream is opened again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));
/// How long a stream may take to be acknowledged.
const ACKNOWLEDGED: Duration = Duration::from_secs(5);
/// How often it is looked whether there are pods without a stream.
const LOOK: Duration = Duration::from_secs(5);

/// An upstream that is listened to as long as this is kept.
#[derive(Debug)]
pub(super) struct Watch {
    reach: Weak<Reach>,
    covered: watch::Receiver<SubscriptionFilter>,
    own: Own,
    task: AbortHandle,
}

/// How the URIs of the upstream are known to clients: as they are, or with its place among several.
#[derive(Debug, Clone)]
struct Own(Option<(Upstreams, usize)>);

/// A stream of one pod.
struct Stream {
    /// None if the pod has nothing to tell, as it says itself.
    exchange: Option<Exchange>,
    /// A legacy session lives as long as somebody has it in hands.
    _session: Option<Arc<Session>>,
}

impl Watch {
    pub(super) fn start(
        hub: Weak<Hub>,
        wants: Arc<Wants>,
        reach: Arc<Reach>,
        uris: Option<(Upstreams, usize)>,
        missed: bool,
    ) -> Arc<Self> {
        let (covering, covered) = watch::channel(SubscriptionFilter::default());
        let own = Own(uris);
        let watching =
            Watching { hub, wants, reach: Arc::clone(&reach), own: own.clone(), covering, streams: BTreeMap::new() };
        let task = tokio::spawn(watching.run(missed)).abort_handle();
        Arc::new(Self { reach: Arc::downgrade(&reach), covered, own, task })
    }

    /// Whether it is of this upstream, at this place among those of the route.
    pub(super) fn is_of(&self, reach: &Arc<Reach>, uris: Option<&(Upstreams, usize)>) -> bool {
        let same = match (&self.own.0, uris) {
            (None, None) => true,
            (Some((upstreams, place)), Some((others, other))) => place == other && upstreams.names() == others.names(),
            (None, Some(_)) | (Some(_), None) => false,
        };
        same && std::ptr::eq(self.reach.as_ptr(), Arc::as_ptr(reach))
    }

    /// Done when what this upstream has of the filter is listened to.
    pub(super) async fn covers(&self, filter: &SubscriptionFilter) {
        let wanted = self.own.of(filter);
        let mut covered = self.covered.clone();
        // If the task is gone, so is the upstream, and nothing will be heard of it.
        let _ = covered.wait_for(|covered| includes(covered, &wanted)).await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Own {
    fn uri(&self, public: &str) -> Option<String> {
        match &self.0 {
            None => Some(public.to_owned()),
            Some((upstreams, place)) => {
                uris::unwrap(upstreams, public).filter(|(of, _)| of == place).map(|(_, own)| own)
            }
        }
    }

    fn of(&self, filter: &SubscriptionFilter) -> SubscriptionFilter {
        let uris = filter.resource_subscriptions.iter().flatten().filter_map(|uri| self.uri(uri)).collect();
        SubscriptionFilter { resource_subscriptions: Some(uris), ..filter.clone() }
    }

    fn public(&self, own: String) -> String {
        match &self.0 {
            None => own,
            Some((upstreams, place)) => uris::wrap(upstreams, *place, &own),
        }
    }
}

/// Whether everything in `wanted` is in `covered`.
fn includes(covered: &SubscriptionFilter, wanted: &SubscriptionFilter) -> bool {
    let flag = |covered: Option<bool>, wanted: Option<bool>| wanted != Some(true) || covered == Some(true);
    let has = |uri: &String| covered.resource_subscriptions.iter().flatten().any(|covered| covered == uri);
    flag(covered.tools_list_changed, wanted.tools_list_changed)
        && flag(covered.prompts_list_changed, wanted.prompts_list_changed)
        && flag(covered.resources_list_changed, wanted.resources_list_changed)
        && wanted.resource_subscriptions.iter().flatten().all(has)
}

/// The task of a watch.
struct Watching {
    hub: Weak<Hub>,
    wants: Arc<Wants>,
    reach: Arc<Reach>,
    own: Own,
    covering: watch::Sender<SubscriptionFilter>,
    /// By pod.
    streams: BTreeMap<Arc<str>, Stream>,
}

/// What made a watch look up.
enum Woken {
    Notice(Notice),
    Lost(Arc<str>),
    Wanted,
    Time,
}

impl Watching {
    async fn run(mut self, mut missed: bool) {
        let mut changes = self.wants.changes();
        let mut asked = SubscriptionFilter::default();
        let mut pause = PAUSES.0;
        loop {
            let wanted = self.wants.filter(|uri| self.own.uri(uri));
            if wanted != asked {
                // What is there is kept until what takes its place is acknowledged, so that nothing is missed in between.
                let before = std::mem::take(&mut self.streams);
                self.covering.send_if_modified(|covered| {
                    let narrower = !includes(covered, &wanted);
                    if narrower {
                        *covered = SubscriptionFilter::default();
                    }
                    narrower
                });
                let complete = self.open_missing(&wanted).await;
                missed |= !complete;
                drop(before);
                asked = wanted.clone();
            } else if !is_empty(&wanted) {
                let complete = self.open_missing(&wanted).await;
                if complete && missed {
                    // Nobody knows what was announced meanwhile.
                    let Some(hub) = self.hub.upgrade() else { return };
                    hub.gap();
                    (missed, pause) = (false, PAUSES.0);
                }
                missed |= !complete;
            }
            if !missed {
                self.covering.send_replace(asked.clone());
            }
            let look = match (is_empty(&asked), missed) {
                (true, _) => None,
                (false, true) => Some(pause),
                (false, false) => Some(LOOK),
            };
            if missed {
                pause = (pause * 2).min(PAUSES.1);
            }
            loop {
                match self.next(&mut changes, look.map(|look| Instant::now() + look)).await {
                    Woken::Notice(notice) => {
                        if !self.tell(&notice) {
                            return;
                        }
                    }
                    Woken::Lost(pod) => {
                        self.streams.remove(&pod);
                        missed = true;
                        sleep(PAUSES.0).await;
                        break;
                    }
                    Woken::Wanted | Woken::Time => break,
                }
            }
        }
    }

    /// Opens a stream of each pod that is well and has none. Whether all have one then.
    async fn open_missing(&mut self, wanted: &SubscriptionFilter) -> bool {
        if is_empty(wanted) {
            self.streams.clear();
            return true;
        }
        let Ok(places) = self.reach.places().await else { return false };
        self.streams.retain(|pod, _| places.contains(pod));
        let missing: Vec<_> = places.into_iter().filter(|pod| !self.streams.contains_key(pod)).collect();
        let opened = join_all(missing.into_iter().map(|pod| {
            let reach = Arc::clone(&self.reach);
            async move { (Arc::clone(&pod), timeout(ACKNOWLEDGED, open(&reach, &pod, wanted)).await) }
        }));
        let mut complete = true;
        for (pod, opened) in opened.await {
            match opened {
                Ok(Ok(stream)) => drop(self.streams.insert(pod, stream)),
                Ok(Err(error)) => {
                    tracing::debug!(upstream = &**self.reach.name(), pod = &*pod, error, "a pod cannot be listened to");
                    complete = false;
                }
                Err(_) => complete = false,
            }
        }
        complete
    }

    async fn next(&mut self, changes: &mut watch::Receiver<()>, look: Option<Instant>) -> Woken {
        let notice = async {
            let waiting: Vec<_> = self
                .streams
                .iter_mut()
                .filter_map(|(pod, stream)| stream.exchange.as_mut().map(|exchange| (pod, exchange)))
                .map(|(pod, exchange)| {
                    Box::pin(async {
                        match exchange.next().await {
                            Ok(Incoming::Notice(notice)) => Woken::Notice(notice),
                            Ok(Incoming::Answer(_)) | Err(_) => Woken::Lost(Arc::clone(pod)),
                        }
                    })
                })
                .collect();
            match waiting.is_empty() {
                true => pending().await,
                false => select_all(waiting).await.0,
            }
        };
        let time = async {
            match look {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            woken = notice => woken,
            changed = changes.changed() => match changed {
                Ok(()) => Woken::Wanted,
                Err(_) => pending().await,
            },
            () = time => Woken::Time,
        }
    }

    /// Tells the listeners; false if nobody is left to be told.
    fn tell(&self, notice: &Notice) -> bool {
        let Some(hub) = self.hub.upgrade() else { return false };
        let event = match Notification::parse(&notice.method) {
            Some(Notification::ToolsListChanged) => Event::ToolsChanged,
            Some(Notification::PromptsListChanged) => Event::PromptsChanged,
            Some(Notification::ResourcesListChanged) => Event::ResourcesChanged,
            Some(Notification::ResourceUpdated) => {
                #[derive(Deserialize)]
                struct Params {
                    uri: String,
                }
                let Ok(Params { uri }) = notice.params.read() else { return true };
                Event::ResourceUpdated { uri: self.own.public(uri) }
            }
            Some(_) | None => return true,
        };
        hub.announce(&event);
        true
    }
}

fn is_empty(filter: &SubscriptionFilter) -> bool {
    includes(&SubscriptionFilter::default(), filter)
}

/// Opens a stream, and waits until it is acknowledged.
async fn open(reach: &Arc<Reach>, pod: &Arc<str>, wanted: &SubscriptionFilter) -> Result<Stream, String> {
    let mut call = Call::new(Method::SubscriptionsListen);
    let filter = serde_json::to_string(wanted).map_err(|error| error.to_string())?;
    call.params = format!(r#""notifications":{filter}"#).into_bytes();
    let sender = Sender::gateway(ClientCapabilities::default());
    let mut under = match reach.send_to(pod, &call, &sender).await {
        Ok(under) => under,
        Err(Failure::Answered { .. }) => return Ok(Stream { exchange: None, _session: None }),
        Err(failure) => return Err(failure.to_string()),
    };
    match under.exchange.next().await {
        Ok(Incoming::Notice(notice))
            if Notification::parse(&notice.method) == Some(Notification::SubscriptionsAcknowledged) =>
        {
            Ok(Stream { exchange: Some(under.exchange), _session: under.session })
        }
        // A server need not have such streams.
        Ok(Incoming::Answer(_)) => Ok(Stream { exchange: None, _session: under.session }),
        Ok(Incoming::Notice(_)) => Err("it does not acknowledge".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
