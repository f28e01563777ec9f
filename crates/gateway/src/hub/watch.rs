//! One upstream that is listened to: a stream of each of its pods, opened again when it is lost.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Weak};
use std::time::Duration;

use anypod_client::{Call, Exchange, Incoming, Notice, Raw};
use anypod_proto::method::{Method, Notification, TaskMethod};
use anypod_proto::subscriptions::{SubscriptionFilter, SubscriptionsAcknowledgedNotificationParams};
use anypod_proto::tasks::{GetTaskResult, TaskStatusNotificationParams};
use anypod_server::Event;
use futures_util::future::{join_all, select_all};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::circle::Circle;
use super::wants::Wants;
use crate::failure::Failure;
use crate::federate::{Upstreams, uris};
use crate::owner::Owner;
use crate::reach::{Reach, Sender};
use crate::sessions::Session;

/// The first pause before a lost stream is opened again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));
/// How long a stream may take to be acknowledged.
const ACKNOWLEDGED: Duration = Duration::from_secs(5);
/// How long something more is waited for from a stream whose place another has taken: without a word, and in all.
const LAST_WORDS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// How often it is looked whether there are pods without a stream.
const LOOK: Duration = Duration::from_secs(5);
/// How long after it a pod is asked again that wanted another credential.
const DENIED_FOR: Duration = Duration::from_secs(15);

/// An upstream that is listened to as long as this is kept.
#[derive(Debug)]
pub(super) struct Watch {
    reach: Weak<Reach>,
    covered: watch::Receiver<Covered>,
    own: Own,
    task: AbortHandle,
}

/// What an upstream has said about a filter, in the names that clients know.
pub(super) struct Cover {
    /// The part that it takes on.
    pub(super) accepted: SubscriptionFilter,
    /// Why it takes on nothing, where that is for want of another credential.
    pub(super) denied: Option<Failure>,
}

/// The same in its own names, and what it was asked for.
#[derive(Debug, Clone, Default)]
struct Covered {
    asked: SubscriptionFilter,
    accepted: SubscriptionFilter,
    denied: Option<Failure>,
}

/// How the URIs and task ids of the upstream are known to clients: as they are, or with its place among several.
#[derive(Debug, Clone)]
struct Own(Option<(Upstreams, usize)>);

/// A stream of one pod.
struct Stream {
    /// None if the pod has nothing to tell, as it says itself.
    exchange: Option<Exchange>,
    /// What it has taken on.
    accepted: SubscriptionFilter,
    /// Why it tells nothing, where that is for want of another credential, and since when.
    denied: Option<(Failure, Instant)>,
    /// A legacy session lives as long as somebody has it in hands.
    _session: Option<Arc<Session>>,
}

impl Watch {
    pub(super) fn start(
        circle: Weak<Circle>,
        wants: Arc<Wants>,
        reach: Arc<Reach>,
        uris: Option<(Upstreams, usize)>,
        missed: bool,
    ) -> Arc<Self> {
        let (covering, covered) = watch::channel(Covered::default());
        let own = Own(uris);
        let watching = Watching {
            teller: Teller { circle, reach: Arc::clone(&reach), own: own.clone() },
            wants,
            covering,
            streams: BTreeMap::new(),
            heard: false,
        };
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

    /// Done when the upstream has said what it takes on of its part of the filter.
    pub(super) async fn covers(&self, filter: &SubscriptionFilter) -> Cover {
        let wanted = self.own.of(filter);
        let mut covered = self.covered.clone();
        // If the task is gone, so is the upstream, and nothing will be heard of it.
        let Ok(covered) = covered.wait_for(|covered| includes(&covered.asked, &wanted)).await.map(|said| said.clone())
        else {
            return Cover { accepted: SubscriptionFilter::default(), denied: None };
        };
        let accepted = both(&wanted, &covered.accepted);
        let denied = covered.denied.filter(|_| !is_empty(&wanted));
        Cover { accepted: self.own.of_public(accepted), denied }
    }

    /// The part of a filter that is about this upstream, in the names that clients know.
    pub(super) fn part_of(&self, filter: &SubscriptionFilter) -> SubscriptionFilter {
        self.own.of_public(self.own.of(filter))
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

    /// Spelled as [`Owner`] has it.
    fn task(&self, public: &str) -> Option<String> {
        match &self.0 {
            None => Some(public.to_owned()),
            Some((upstreams, place)) => {
                let (of, own) = public.split_once('+')?;
                (upstreams.place(of) == Some(*place)).then(|| own.to_owned())
            }
        }
    }

    fn of(&self, filter: &SubscriptionFilter) -> SubscriptionFilter {
        let uris = filter.resource_subscriptions.iter().flatten().filter_map(|uri| self.uri(uri)).collect();
        let tasks = filter.task_ids.iter().flatten().filter_map(|id| self.task(id)).collect();
        SubscriptionFilter { resource_subscriptions: Some(uris), task_ids: Some(tasks), ..filter.clone() }
    }

    fn of_public(&self, filter: SubscriptionFilter) -> SubscriptionFilter {
        let uris = filter.resource_subscriptions.map(|uris| uris.into_iter().map(|uri| self.public(uri)).collect());
        let task = |id: String| match &self.0 {
            None => id,
            Some((upstreams, place)) => format!("{}+{id}", upstreams.names()[*place]),
        };
        let tasks = filter.task_ids.map(|ids| ids.into_iter().map(task).collect());
        SubscriptionFilter { resource_subscriptions: uris, task_ids: tasks, ..filter }
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
        && wanted.task_ids.iter().flatten().all(|id| covered.task_ids.iter().flatten().any(|covered| covered == id))
}

/// What is in both of two filters.
fn both(one: &SubscriptionFilter, other: &SubscriptionFilter) -> SubscriptionFilter {
    let flag = |one: Option<bool>, other: Option<bool>| one.filter(|one| *one && other == Some(true));
    let named = |one: &Option<Vec<String>>, other: &Option<Vec<String>>| {
        let is_in_other = |name: &&String| other.iter().flatten().any(|other| other == *name);
        one.as_ref().map(|one| one.iter().filter(is_in_other).cloned().collect())
    };
    SubscriptionFilter {
        tools_list_changed: flag(one.tools_list_changed, other.tools_list_changed),
        prompts_list_changed: flag(one.prompts_list_changed, other.prompts_list_changed),
        resources_list_changed: flag(one.resources_list_changed, other.resources_list_changed),
        resource_subscriptions: named(&one.resource_subscriptions, &other.resource_subscriptions),
        task_ids: named(&one.task_ids, &other.task_ids),
        ..SubscriptionFilter::default()
    }
}

/// The task of a watch.
struct Watching {
    teller: Teller,
    wants: Arc<Wants>,
    covering: watch::Sender<Covered>,
    /// By pod.
    streams: BTreeMap<Arc<str>, Stream>,
    /// Whether any pod has ever been heard.
    heard: bool,
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
            let mut wanted = self.wanted();
            if wanted != asked {
                // What nobody wants is no longer promised. Whoever came to want it before that relies on it, and is seen now.
                self.covering.send_modify(|covered| {
                    covered.asked = both(&covered.asked, &wanted);
                    covered.accepted = both(&covered.accepted, &wanted);
                });
                wanted = self.wanted();
            }
            let mut replaced = BTreeMap::new();
            if wanted != asked {
                // What is there is kept until what takes its place is acknowledged, so that nothing is missed in between.
                replaced = std::mem::take(&mut self.streams);
                missed |= !self.open_missing(&wanted).await;
                asked.clone_from(&wanted);
            } else if !is_empty(&wanted) {
                let complete = self.open_missing(&wanted).await;
                if complete && missed {
                    // Nobody knows what was announced meanwhile.
                    let Some(circle) = self.teller.circle.upgrade() else { return };
                    circle.gap();
                    self.teller.catch_up(&wanted).await;
                    (missed, pause) = (false, PAUSES.0);
                }
                missed |= !complete;
            }
            if !missed {
                let denied = self.denied();
                if denied.is_some() && self.heard {
                    // It was good for a while.
                    self.heard = false;
                    self.teller.circle.upgrade().iter().for_each(|circle| circle.end());
                }
                self.covering.send_replace(Covered { accepted: self.accepted(&asked), asked: asked.clone(), denied });
            }
            if !is_empty(&asked) && !self.teller.hear_out(replaced).await {
                return;
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
                        if !self.teller.tell(notice).await {
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

    /// What is wanted of the upstream, in its own names.
    fn wanted(&self) -> SubscriptionFilter {
        self.wants.filter(|uri| self.teller.own.uri(uri), |id| self.teller.own.task(id))
    }

    /// Opens a stream of each pod that is well and has none. Whether all have one then.
    async fn open_missing(&mut self, wanted: &SubscriptionFilter) -> bool {
        if is_empty(wanted) {
            self.streams.clear();
            return true;
        }
        let Ok(places) = self.teller.reach.places().await else { return false };
        let is_due = |stream: &Stream| stream.denied.as_ref().is_some_and(|(_, since)| since.elapsed() >= DENIED_FOR);
        self.streams.retain(|pod, stream| places.contains(pod) && !is_due(stream));
        let missing: Vec<_> = places.into_iter().filter(|pod| !self.streams.contains_key(pod)).collect();
        let Some(from) = self.teller.circle.upgrade().map(|circle| circle.from().clone()) else { return false };
        let opened = join_all(missing.into_iter().map(|pod| {
            let (reach, from) = (Arc::clone(&self.teller.reach), from.clone());
            async move { (Arc::clone(&pod), timeout(ACKNOWLEDGED, open(&reach, &pod, wanted, &from)).await) }
        }));
        let mut complete = true;
        for (pod, opened) in opened.await {
            match opened {
                Ok(Ok(stream)) => {
                    self.heard |= stream.exchange.is_some();
                    self.streams.insert(pod, stream);
                }
                Ok(Err(error)) => {
                    tracing::debug!(
                        upstream = &**self.teller.reach.name(),
                        pod = &*pod,
                        error,
                        "a pod cannot be listened to"
                    );
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

    /// What of this filter will be heard: of lists and resources, which each pod knows, what all pods have taken on; of
    /// tasks, which may be known where they run, what any has.
    fn accepted(&self, asked: &SubscriptionFilter) -> SubscriptionFilter {
        let all = self.streams.values().fold(asked.clone(), |all, stream| both(&all, &stream.accepted));
        let any = |id: &&String| {
            self.streams
                .values()
                .any(|stream| stream.accepted.task_ids.iter().flatten().any(|accepted| accepted == *id))
        };
        let task_ids = asked.task_ids.as_ref().map(|ids| ids.iter().filter(any).cloned().collect());
        SubscriptionFilter { task_ids, ..all }
    }

    /// Why nothing is heard, where all pods want another credential.
    fn denied(&self) -> Option<Failure> {
        let mut denied = None;
        for stream in self.streams.values() {
            denied = Some(stream.denied.as_ref()?.0.clone());
        }
        denied
    }
}

/// Tells the listeners of a circle what an upstream says.
struct Teller {
    circle: Weak<Circle>,
    reach: Arc<Reach>,
    own: Own,
}

impl Teller {
    /// Tells what tasks are now of which nobody was told meanwhile.
    async fn catch_up(&self, wanted: &SubscriptionFilter) {
        let Some(from) = self.circle.upgrade().map(|circle| circle.from().clone()) else { return };
        for id in wanted.task_ids.iter().flatten() {
            let mut call = Call::named(TaskMethod::Get.as_str());
            call.params = format!(r#""taskId":{}"#, serde_json::Value::from(id.as_str())).into_bytes();
            call.name = Some(id.clone());
            match self.reach.ask(&call, &from).await {
                Ok(result) => {
                    let Some(notice) = task_notice(&result) else { continue };
                    self.tell_task(notice).await;
                }
                Err(failure) => tracing::debug!(upstream = &**self.reach.name(), %failure, "a task is not told of"),
            }
        }
    }

    async fn tell_task(&self, notice: Notice) {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Params {
            task_id: String,
        }
        let notice = Owner::at(&self.reach, self.own.0.clone()).notice(notice);
        let Ok(Params { task_id }) = notice.params.read() else { return };
        // Not the circle: it ends with its listener, and this wait with it.
        let mailboxes = self.circle.upgrade().map(|circle| circle.members()).unwrap_or_default();
        for mailbox in mailboxes {
            mailbox.has_room().await;
            mailbox.put_task(&task_id, notice.params.as_str().to_owned());
        }
    }

    /// Tells what came over streams before others took their place. False if nobody is there to be told.
    async fn hear_out(&self, replaced: BTreeMap<Arc<str>, Stream>) -> bool {
        let end = Instant::now() + LAST_WORDS.1;
        let last_words = replaced.into_values().filter_map(|stream| stream.exchange).map(async |mut exchange| {
            while Instant::now() < end
                && let Ok(Ok(Incoming::Notice(notice))) = timeout(LAST_WORDS.0, exchange.next()).await
            {
                if !self.tell(notice).await {
                    return false;
                }
            }
            true
        });
        join_all(last_words).await.into_iter().all(|is_somebody_there| is_somebody_there)
    }

    /// Tells the listeners; false if nobody is left to be told.
    async fn tell(&self, notice: Notice) -> bool {
        let Some(circle) = self.circle.upgrade() else { return false };
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
            Some(Notification::TaskStatus) => {
                drop(circle);
                self.tell_task(notice).await;
                return true;
            }
            Some(_) | None => return true,
        };
        circle.announce(&event);
        true
    }
}

/// What `tasks/get` has answered, as the notification that would have said so.
fn task_notice(result: &[u8]) -> Option<Notice> {
    let GetTaskResult { task, meta: _, extra } = serde_json::from_slice(result).ok()?;
    let params = TaskStatusNotificationParams { meta: None, task, extra };
    let params = Raw::parse(serde_json::to_vec(&params).ok()?.into()).ok()?;
    Some(Notice { method: Notification::TaskStatus.as_str().to_owned(), params })
}

fn is_empty(filter: &SubscriptionFilter) -> bool {
    includes(&SubscriptionFilter::default(), filter)
}

/// Opens a stream, and waits until it is acknowledged.
async fn open(
    reach: &Arc<Reach>,
    pod: &Arc<str>,
    wanted: &SubscriptionFilter,
    from: &Sender,
) -> Result<Stream, String> {
    let mut call = Call::new(Method::SubscriptionsListen);
    let filter = serde_json::to_string(wanted).map_err(|error| error.to_string())?;
    call.params = format!(r#""notifications":{filter}"#).into_bytes();
    let nothing = |session, denied| {
        let (accepted, denied) = (SubscriptionFilter::default(), denied);
        Stream { exchange: None, accepted, denied, _session: session }
    };
    let mut under = match reach.send_to(pod, &call, from).await {
        Ok(under) => under,
        Err(Failure::Answered { .. }) => return Ok(nothing(None, None)),
        Err(failure @ Failure::UpstreamUnauthorized(_)) => {
            tracing::debug!(upstream = &**reach.name(), pod = &**pod, "a pod wants another credential of who listens");
            return Ok(nothing(None, Some((failure, Instant::now()))));
        }
        Err(failure) => return Err(failure.to_string()),
    };
    match under.exchange.next().await {
        Ok(Incoming::Notice(notice))
            if Notification::parse(&notice.method) == Some(Notification::SubscriptionsAcknowledged) =>
        {
            // What it does not say it does not promise.
            let said: Option<SubscriptionsAcknowledgedNotificationParams> = notice.params.read().ok();
            let accepted = said.map(|said| both(wanted, &said.notifications)).unwrap_or_default();
            Ok(Stream { exchange: Some(under.exchange), accepted, denied: None, _session: under.session })
        }
        // A server need not have such streams.
        Ok(Incoming::Answer(_)) => Ok(nothing(under.session, None)),
        Ok(Incoming::Notice(_)) => Err("it does not acknowledge".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
