//! Those for whom upstreams are listened to with the same credential: one stream of each pod for all of them.
//!
//! What is heard with one credential is told to nobody who has shown another.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_server::{Bus as _, Event, InProcess, Mailbox, Receiver};
use futures_util::future::join_all;

use super::wants::{Want, Wants};
use super::watch::{Cover, Watch};
use crate::failure::Failure;
use crate::plan::Plan;
use crate::reach::Sender;

/// How long a listener is kept waiting until the upstreams are listened to. What they have not said by then is told of as
/// soon as it can be, with a word that everything may have changed.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who learns first of what changes, so that nobody who is told of it is given what was kept before.
pub(super) type Keeper = Arc<OnceLock<Weak<dyn Receiver>>>;

/// Listeners of a route, on one replica.
pub(crate) struct Circle {
    bus: InProcess,
    keeper: Keeper,
    wants: Arc<Wants>,
    watches: Mutex<Vec<Arc<Watch>>>,
    /// As whom upstreams are listened to.
    from: Sender,
    /// Whether it is the gateway that listens, and what is kept follows what is heard, gaps included.
    is_followed: bool,
    /// The mailboxes of those who are told of nothing else; none where these are not all that there is.
    members: Option<Mutex<Vec<Weak<Mailbox>>>>,
}

/// What the upstreams have said about a filter.
pub(super) struct Taken {
    /// The part that they take on, or have not been able to say anything about yet.
    pub(super) filter: SubscriptionFilter,
    /// Why one of them takes on nothing, where that is for want of another credential.
    pub(super) denied: Option<Failure>,
}

impl Circle {
    /// All who have shown no credential that would be an upstream's.
    pub(super) fn common(keeper: Keeper) -> Arc<Self> {
        Arc::new(Self { is_followed: true, members: None, ..Self::new(keeper, Sender::gateway(<_>::default())) })
    }

    /// The gateway, and those who may hear what it hears.
    pub(super) fn own(keeper: Keeper) -> Arc<Self> {
        Arc::new(Self { is_followed: true, ..Self::new(keeper, Sender::own()) })
    }

    /// Those who have shown the same credential.
    pub(super) fn of(keeper: Keeper, from: Sender) -> Arc<Self> {
        Arc::new(Self::new(keeper, from))
    }

    fn new(keeper: Keeper, from: Sender) -> Self {
        let (bus, wants, watches) = (InProcess::default(), Arc::default(), Mutex::default());
        Self { bus, keeper, wants, watches, from, is_followed: false, members: Some(Mutex::default()) }
    }

    /// Wants to hear of something until the want is dropped, from whenever the upstreams are listened to. Nobody knows what
    /// was announced until then.
    pub(super) fn begin(self: &Arc<Self>, plan: &Plan, filter: &SubscriptionFilter) -> Want {
        let want = Wants::add(&self.wants, filter);
        self.watches(plan, true);
        want
    }

    pub(super) const fn bus(&self) -> &InProcess {
        &self.bus
    }

    pub(super) const fn from(&self) -> &Sender {
        &self.from
    }

    /// Tells a listener of every change that is heard here.
    pub(super) fn join(&self, mailbox: &Arc<Mailbox>) {
        self.enlist(mailbox);
        let member = Arc::downgrade(mailbox);
        self.bus.attach(member);
    }

    /// Tells a listener of its tasks, and when it has to begin again.
    pub(super) fn enlist(&self, mailbox: &Arc<Mailbox>) {
        if let Some(members) = &self.members {
            let mut members = members.lock().unwrap_or_else(PoisonError::into_inner);
            members.retain(|member| member.strong_count() > 0);
            members.push(Arc::downgrade(mailbox));
        }
    }

    /// Wants to hear of something until the want is dropped. Done when the upstreams are listened to, or it takes too long.
    pub(super) async fn want(self: &Arc<Self>, plan: &Plan, filter: &SubscriptionFilter) -> (Want, Taken) {
        let want = Wants::add(&self.wants, filter);
        let watches = self.watches(plan, false);
        let covers = watches.iter().map(|watch| async {
            let covered = tokio::time::timeout(PATIENCE, watch.covers(filter)).await;
            covered.unwrap_or_else(|_| {
                tracing::debug!("an upstream is not listened to yet");
                Cover { accepted: watch.part_of(filter), denied: None }
            })
        });
        let covers = join_all(covers).await;
        let any = |flag: fn(&SubscriptionFilter) -> Option<bool>| {
            covers.iter().any(|cover| flag(&cover.accepted) == Some(true)).then_some(true)
        };
        let named = |names: fn(&SubscriptionFilter) -> &Option<Vec<String>>| {
            let all = covers.iter().flat_map(|cover| names(&cover.accepted).iter().flatten());
            let accepted: std::collections::BTreeSet<_> = all.collect();
            // In the order in which it was asked for.
            names(filter).as_ref().map(|asked| asked.iter().filter(|name| accepted.contains(name)).cloned().collect())
        };
        let filter = SubscriptionFilter {
            tools_list_changed: any(|accepted| accepted.tools_list_changed),
            prompts_list_changed: any(|accepted| accepted.prompts_list_changed),
            resources_list_changed: any(|accepted| accepted.resources_list_changed),
            resource_subscriptions: named(|filter| &filter.resource_subscriptions),
            task_ids: named(|filter| &filter.task_ids),
            ..SubscriptionFilter::default()
        };
        (want, Taken { filter, denied: covers.into_iter().find_map(|cover| cover.denied) })
    }

    /// Listens to the upstreams of another plan from now on. Whoever listens is told, once those are heard, that anything may
    /// have changed.
    pub(super) fn replace(self: &Arc<Self>, plan: &Plan) {
        let listens = !self.watches.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if listens {
            self.watches(plan, true);
        }
    }

    /// Something has changed at an upstream.
    pub(super) fn announce(&self, event: &Event) {
        if let Some(keeper) = self.keeper.get().and_then(Weak::upgrade) {
            keeper.deliver(event);
        }
        self.bus.deliver(event);
    }

    /// Anything may have changed.
    pub(super) fn gap(&self) {
        // Others than the gateway empty what is kept by what they hear only, not by breaking off.
        if self.is_followed
            && let Some(keeper) = self.keeper.get().and_then(Weak::upgrade)
        {
            keeper.gap();
        }
        self.bus.gap();
    }

    /// Upstreams want another credential by now: who listens has to begin again, with the one that it has by then.
    pub(super) fn end(&self) {
        self.members().iter().for_each(|mailbox| mailbox.close());
    }

    /// The mailboxes of those who listen here and nowhere else.
    pub(super) fn members(&self) -> Vec<Arc<Mailbox>> {
        let Some(members) = &self.members else { return Vec::new() };
        members.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }

    /// One watch for each upstream of the plan. Those of upstreams that are no longer in it end. `missed` says whether others
    /// were listened to before, so that nobody knows what was announced meanwhile.
    fn watches(self: &Arc<Self>, plan: &Plan, missed: bool) -> Vec<Arc<Watch>> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |(place, reach)| (reach, plan.is_federated().then(|| (plan.naming.upstreams().clone(), place)));
        let wanted: Vec<_> = plan.reaches.iter().enumerate().map(wanted).collect();
        watches.retain(|watch| wanted.iter().any(|(reach, uris)| watch.is_of(reach, uris.as_ref())));
        for (reach, uris) in wanted {
            if !watches.iter().any(|watch| watch.is_of(reach, uris.as_ref())) {
                let (circle, wants) = (Arc::downgrade(self), Arc::clone(&self.wants));
                watches.push(Watch::start(circle, wants, Arc::clone(reach), uris, missed));
            }
        }
        watches.clone()
    }
}

impl std::fmt::Debug for Circle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Circle").finish_non_exhaustive()
    }
}
