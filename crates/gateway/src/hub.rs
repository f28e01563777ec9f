//! Changes: what the upstreams of a route announce, told to all who listen to the route.
//!
//! Listeners say what they want to hear of ([`Hub::listen`]); what any of them wants is what the gateway listens to, by one
//! stream for each pod, however many listeners there are. A stream that is lost is opened again, and listeners are told
//! that everything they asked for may have changed, so that nothing is missed in silence.
//!
//! That stream shows no credential. Where one is configured for the gateway itself, it follows changes with that, for what is
//! kept and for those whom it knows by tokens. Whoever shows a credential that is passed on to upstreams is listened for with
//! it, apart from all who have shown another; and so is each listener to tasks, of which more is told than that they
//! changed.
//!
//! Fields of the filter that other extensions than tasks define go to the only upstream of a route as they are, see
//! [`Hub::heed`]; of several nobody knows whose they are, and they are not taken on.
//!
//! Listeners are promised what the upstreams have acknowledged, and no more.
//!
//! Spec: basic/patterns/subscriptions; the extension `io.modelcontextprotocol/tasks`, "Task Status Notifications".

mod aside;
mod circle;
mod wants;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_proto::tasks;
use anypod_server::{Bus, BusError, Event, Interest, Mailbox, Receiver};

use self::aside::Asides;
pub(crate) use self::aside::Heeded;
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
    own: Arc<Circle>,
    /// Those with credentials of their own, as long as somebody listens.
    apart: Mutex<Apart>,
    followed: Mutex<Followed>,
    asides: Asides,
}

/// What is wanted as long as the route is there.
#[derive(Default)]
struct Followed {
    filter: Option<SubscriptionFilter>,
    wants: Vec<Want>,
    /// Whether it is listened to with the gateway's own credential.
    as_own: bool,
}

#[derive(Default)]
struct Apart {
    by_credential: HashMap<[u8; 32], Weak<Circle>>,
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

impl Followed {
    fn begin(&mut self, filter: &SubscriptionFilter, as_own: bool) {
        (self.filter, self.as_own) = (Some(filter.clone()), as_own);
    }
}

impl Hub {
    pub(crate) fn new() -> Arc<Self> {
        let keeper = Keeper::default();
        let (common, own) = (Circle::common(Arc::clone(&keeper)), Circle::own(Arc::clone(&keeper)));
        Arc::new(Self {
            keeper,
            common,
            own,
            apart: Mutex::default(),
            followed: Mutex::default(),
            asides: Asides::default(),
        })
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

    /// Passes fields of extensions on for somebody, where there is one upstream and no rule, and listens until what this gives is
    /// dropped. None if they are not taken on.
    ///
    /// # Errors
    /// As the upstream has it.
    pub(crate) async fn heed(
        &self,
        plan: &Plan,
        fields: &JsonObject,
        from: &Sender,
    ) -> Result<Option<Heeded>, Failure> {
        self.asides.heed(plan, fields, from).await
    }

    /// Goes on listening for the gateway itself, as long as the route is there.
    pub(crate) async fn follow(&self, plan: &Plan, filter: &SubscriptionFilter) {
        let as_own = has_own(plan);
        let circle = if as_own { &self.own } else { &self.common };
        // Before the wait, in which another plan may bring a credential.
        self.followed().begin(filter, as_own);
        let (want, _) = circle.want(plan, filter).await;
        self.followed().wants.push(want);
    }

    /// Listens to the upstreams of another plan from now on. Whoever listens is told, once those are heard, that anything may
    /// have changed.
    pub(crate) fn replace(&self, plan: &Plan) {
        let apart: Vec<_> = {
            let apart = self.apart();
            apart.by_credential.values().chain(&apart.single).filter_map(Weak::upgrade).collect()
        };
        self.asides.replace(plan);
        self.common.replace(plan);
        self.own.replace(plan);
        let mut followed = self.followed();
        if let Some(filter) = followed.filter.clone().filter(|_| has_own(plan) && !followed.as_own) {
            followed.as_own = true;
            followed.wants.push(self.own.begin(plan, &filter));
        }
        apart.iter().for_each(|circle| circle.replace(plan));
    }

    /// Where those listen who have shown this credential, or whom the gateway knows, where it has a credential for them; none
    /// for all others, who hear what anybody may hear.
    fn circle(&self, plan: &Plan, from: &Credentials) -> Option<Arc<Circle>> {
        let key = match (&from.principal, &from.passed_on) {
            (None, Some(_)) => from.kept_apart_by()?,
            (Some(_), _) if has_own(plan) => return Some(Arc::clone(&self.own)),
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

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without those that nobody listens in any more.
    fn apart(&self) -> MutexGuard<'_, Apart> {
        let mut apart = self.apart.lock().unwrap_or_else(PoisonError::into_inner);
        apart.by_credential.retain(|_, circle| circle.strong_count() > 0);
        apart.single.retain(|circle| circle.strong_count() > 0);
        apart
    }
}

/// Whether the gateway has a credential of its own for an upstream of the route.
fn has_own(plan: &Plan) -> bool {
    plan.reaches.iter().any(|reach| reach.upstream.authorization().is_some())
}

fn interest(filter: &SubscriptionFilter, of_tasks: &SubscriptionFilter) -> Interest {
    Interest {
        tools: filter.tools_list_changed == Some(true),
        prompts: filter.prompts_list_changed == Some(true),
        resources: filter.resources_list_changed == Some(true),
        uris: filter.resource_subscriptions.iter().flatten().cloned().collect(),
        tasks: of_tasks.task_ids.iter().flatten().cloned().collect(),
        // Extensions of the gateway itself have topics; it has none.
        topics: BTreeSet::new(),
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
