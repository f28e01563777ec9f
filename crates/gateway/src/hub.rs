//! Changes: what the upstreams of a route announce, told to all who listen to the route.
//!
//! Listeners say what they want to hear of ([`Hub::listen`]); what any of them wants is what the gateway listens to, by one
//! stream for each pod, however many listeners there are. A stream that is lost is opened again, and listeners are told
//! that everything they asked for may have changed, so that nothing is missed in silence.
//!
//! That stream is the gateway's own, with the credential that is configured for it, and for those whom the gateway knows. Whoever shows a credential that is passed on to upstreams is listened for with it, apart
//! from all who have shown another; and so is each listener to tasks, of which more is told than that they changed.
//!
//! Listeners are promised what the upstreams have acknowledged, and no more.
//!
//! Spec: basic/patterns/subscriptions; the extension `io.modelcontextprotocol/tasks`, "Task Status Notifications".

mod circle;
mod wants;
mod watch;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_proto::tasks;
use anypod_server::{Bus, BusError, Event, Interest, Mailbox, Receiver};

use self::circle::{Circle, Keeper};
use self::wants::Want;
use crate::authenticate::Credentials;
use crate::failure::Failure;
use crate::plan::Plan;
use crate::reach::Sender;

/// The bus of one route, on one replica.
pub(crate) struct Hub {
    keeper: Keeper,
    common: Arc<Circle>,
    /// Those with credentials of their own, as long as somebody listens.
    apart: Mutex<Apart>,
    /// What is wanted as long as the route is there.
    kept: Mutex<Vec<Want>>,
}

#[derive(Default)]
struct Apart {
    by_credential: HashMap<Option<[u8; 32]>, Weak<Circle>>,
    /// Each of one listener.
    single: Vec<Weak<Circle>>,
}

/// What a listener will hear of.
pub(crate) struct Heard {
    /// What upstreams have taken on.
    pub(crate) honoured: SubscriptionFilter,
    /// Where it comes in, if that is not the bus.
    pub(crate) own: Option<Arc<Mailbox>>,
    /// Why an upstream takes on nothing, where that is for want of another credential.
    pub(crate) denied: Option<Failure>,
    /// Heard as long as this is held.
    pub(crate) wants: Vec<Want>,
}

impl Hub {
    pub(crate) fn new() -> Arc<Self> {
        let keeper = Keeper::default();
        let common = Circle::common(Arc::clone(&keeper));
        Arc::new(Self { keeper, common, apart: Mutex::default(), kept: Mutex::default() })
    }

    /// Tells this one of every change before all others. Once.
    pub(crate) fn first_tells(&self, keeper: Weak<dyn Receiver>) {
        // Whoever was told first stays so.
        let _ = self.keeper.set(keeper);
    }

    /// Listens for somebody until what this gives is dropped. Done when the upstreams are listened to.
    pub(crate) async fn listen(&self, plan: &Plan, filter: SubscriptionFilter, from: &Credentials) -> Heard {
        let task_ids = filter.task_ids.clone().filter(|ids| !ids.is_empty());
        let of_tasks = SubscriptionFilter { task_ids, ..SubscriptionFilter::default() };
        let others = SubscriptionFilter { task_ids: None, ..filter };
        let shared = self.circle(plan, from);
        let single = of_tasks.task_ids.as_ref().map(|_| self.single(from));
        let own = match (&shared, &single) {
            (None, None) => None,
            _ => {
                let mailbox = Mailbox::new(interest(&others, &of_tasks));
                // Before anything is listened to, so that nothing is missed.
                shared.as_ref().unwrap_or(&self.common).join(&mailbox);
                single.iter().for_each(|single| single.enlist(&mailbox));
                Some(mailbox)
            }
        };
        let mut heard = Heard { honoured: SubscriptionFilter::default(), own, denied: None, wants: Vec::new() };
        if others != SubscriptionFilter::default() {
            let (want, taken) = shared.as_ref().unwrap_or(&self.common).want(plan, &others).await;
            heard.wants.push(shared.iter().fold(want, Want::holding));
            (heard.honoured, heard.denied) = (taken.filter, taken.denied);
        }
        if let Some(single) = single {
            let (want, taken) = single.want(plan, &of_tasks).await;
            heard.wants.push(want.holding(&single));
            heard.honoured.task_ids = taken.filter.task_ids;
            heard.denied = heard.denied.or(taken.denied);
        }
        heard
    }

    /// Goes on listening for the gateway itself, as long as the route is there.
    pub(crate) async fn follow(&self, plan: &Plan, filter: &SubscriptionFilter) {
        let (want, _) = self.common.want(plan, filter).await;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(want);
    }

    /// Listens to the upstreams of another plan from now on. Whoever listens is told, once those are heard, that anything may
    /// have changed.
    pub(crate) fn replace(&self, plan: &Plan) {
        let apart: Vec<_> = {
            let apart = self.apart();
            apart.by_credential.values().chain(&apart.single).filter_map(Weak::upgrade).collect()
        };
        self.common.replace(plan);
        apart.iter().for_each(|circle| circle.replace(plan));
    }

    /// Where those listen who have shown this credential; none for those who may hear what the gateway hears: it knows them
    /// itself, or hears no more than anybody.
    fn circle(&self, plan: &Plan, from: &Credentials) -> Option<Arc<Circle>> {
        let key = match (&from.principal, &from.passed_on) {
            (None, Some(_)) => from.kept_apart_by(),
            (None, None) if plan.reaches.iter().any(|reach| reach.upstream.authorization().is_some()) => None,
            (Some(_), _) | (None, None) => return None,
        };
        let mut apart = self.apart();
        if let Some(circle) = apart.by_credential.get(&key).and_then(Weak::upgrade) {
            return Some(circle);
        }
        let circle = Circle::of(Arc::clone(&self.keeper), Sender::with(from, ClientCapabilities::default()));
        apart.by_credential.insert(key, Arc::downgrade(&circle));
        Some(circle)
    }

    /// Where one listens alone, to tasks. What others listen to comes and goes, and must not have its streams opened anew.
    fn single(&self, from: &Credentials) -> Arc<Circle> {
        let extensions = Some(tasks::capability());
        let capabilities = ClientCapabilities { extensions, ..ClientCapabilities::default() };
        let circle = Circle::of(Arc::clone(&self.keeper), Sender::with(from, capabilities));
        self.apart().single.push(Arc::downgrade(&circle));
        circle
    }

    /// Without those that nobody listens in any more.
    fn apart(&self) -> MutexGuard<'_, Apart> {
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        apart.by_credential.retain(|_, circle| circle.strong_count() > 0);
        apart.single.retain(|circle| circle.strong_count() > 0);
        apart
    }
}

fn interest(filter: &SubscriptionFilter, of_tasks: &SubscriptionFilter) -> Interest {
    Interest {
        tools: filter.tools_list_changed == Some(true),
        prompts: filter.prompts_list_changed == Some(true),
        resources: filter.resources_list_changed == Some(true),
        uris: filter.resource_subscriptions.iter().flatten().cloned().collect(),
        tasks: of_tasks.task_ids.iter().flatten().cloned().collect(),
    }
}

impl Bus for Hub {
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>> {
        self.common.bus().publish(event)
    }

    fn attach(&self, receiver: Weak<dyn Receiver>) {
        self.common.bus().attach(receiver);
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}
