//! Changes: what the upstreams of a route announce, told to all who listen to the route.
//!
//! Listeners say what they want to hear of ([`Hub::want`]); what any of them wants is what the gateway listens to, by one
//! stream for each pod, however many listeners there are. A stream that is lost is opened again, and listeners are told
//! that everything they asked for may have changed, so that nothing is missed in silence.
//!
//! Spec: basic/patterns/subscriptions.

mod wants;
mod watch;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_server::{Bus, BusError, Event, InProcess, Receiver};
use futures_util::future::join_all;

pub(crate) use self::wants::Want;
use self::wants::Wants;
use self::watch::Watch;
use crate::plan::Plan;

/// How long a listener is kept waiting until the upstreams are listened to. After that it is told of changes as soon as
/// they are, with a word that everything may have changed.
const PATIENCE: Duration = Duration::from_secs(3);

/// The bus of one route, on one replica.
pub(crate) struct Hub {
    bus: InProcess,
    wants: Arc<Wants>,
    watches: Mutex<Vec<Arc<Watch>>>,
    /// What is wanted as long as the route is there.
    kept: Mutex<Vec<Want>>,
}

impl Hub {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            bus: InProcess::default(),
            wants: Arc::default(),
            watches: Mutex::default(),
            kept: Mutex::default(),
        })
    }

    /// Wants to hear of something until the want is dropped. Done when the upstreams are listened to.
    pub(crate) async fn want(self: &Arc<Self>, plan: &Plan, filter: &SubscriptionFilter) -> Want {
        let want = Wants::add(&self.wants, filter);
        let watches = self.watches(plan, false);
        let covered = join_all(watches.iter().map(|watch| watch.covers(filter)));
        if tokio::time::timeout(PATIENCE, covered).await.is_err() {
            tracing::debug!("an upstream is not listened to yet");
        }
        want
    }

    /// Goes on wanting something as long as the route is there.
    pub(crate) fn keep(&self, want: Want) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(want);
    }

    /// Listens to the upstreams of another plan from now on. Whoever listens is told, once those are heard, that anything may
    /// have changed.
    pub(crate) fn replace(self: &Arc<Self>, plan: &Plan) {
        let listens = !self.watches.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if listens {
            self.watches(plan, true);
        }
    }

    /// Something has changed at an upstream.
    fn announce(&self, event: &Event) {
        self.bus.deliver(event);
    }

    /// Anything may have changed.
    fn gap(&self) {
        self.bus.gap();
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
                let (hub, wants) = (Arc::downgrade(self), Arc::clone(&self.wants));
                watches.push(Watch::start(hub, wants, Arc::clone(reach), uris, missed));
            }
        }
        watches.clone()
    }
}

impl Bus for Hub {
    fn publish(&self, event: Event) -> Pin<Box<dyn Future<Output = Result<(), BusError>> + Send + '_>> {
        self.bus.publish(event)
    }

    fn attach(&self, receiver: Weak<dyn Receiver>) {
        self.bus.attach(receiver);
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}
