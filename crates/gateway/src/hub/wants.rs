//! What the listeners of a route want to hear of, all together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anypod_proto::subscriptions::SubscriptionFilter;
use tokio::sync::watch;

use super::circle::Circle;

/// Counts, so that what one listener drops stays wanted by others.
#[derive(Debug)]
pub(super) struct Wants {
    counts: Mutex<Counts>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Counts {
    tools: usize,
    prompts: usize,
    resources: usize,
    uris: BTreeMap<String, usize>,
    tasks: BTreeMap<String, usize>,
}

/// What one listener wants, until it is dropped.
#[derive(Debug)]
pub(crate) struct Want {
    wants: Arc<Wants>,
    filter: SubscriptionFilter,
    /// What listens for it, where nobody else holds that.
    circle: Option<Arc<Circle>>,
}

impl Default for Wants {
    fn default() -> Self {
        Self { counts: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Wants {
    pub(super) fn add(wants: &Arc<Self>, filter: &SubscriptionFilter) -> Want {
        wants.lock().count(filter, |count| *count += 1);
        wants.changed.send_replace(());
        Want { wants: Arc::clone(wants), filter: filter.clone(), circle: None }
    }

    /// Tells when something else is wanted than before.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What is wanted of an upstream that knows its resources and tasks by URIs and ids of its own; none is another
    /// upstream's.
    pub(super) fn filter(
        &self,
        own: impl Fn(&str) -> Option<String>,
        own_task: impl Fn(&str) -> Option<String>,
    ) -> SubscriptionFilter {
        let counts = self.lock();
        let any = |count: usize| (count > 0).then_some(true);
        let uris: Vec<String> = counts.uris.keys().filter_map(|uri| own(uri)).collect();
        let tasks: Vec<String> = counts.tasks.keys().filter_map(|id| own_task(id)).collect();
        SubscriptionFilter {
            tools_list_changed: any(counts.tools),
            prompts_list_changed: any(counts.prompts),
            resources_list_changed: any(counts.resources),
            resource_subscriptions: (!uris.is_empty()).then_some(uris),
            task_ids: (!tasks.is_empty()).then_some(tasks),
            ..SubscriptionFilter::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counts are independent of each other, so a panic in between leaves nothing inconsistent.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn count(&mut self, filter: &SubscriptionFilter, act: impl Fn(&mut usize)) {
        for (wanted, count) in [
            (filter.tools_list_changed, &mut self.tools),
            (filter.prompts_list_changed, &mut self.prompts),
            (filter.resources_list_changed, &mut self.resources),
        ] {
            if wanted == Some(true) {
                act(count);
            }
        }
        for uri in filter.resource_subscriptions.iter().flatten() {
            act(self.uris.entry(uri.clone()).or_default());
        }
        for id in filter.task_ids.iter().flatten() {
            act(self.tasks.entry(id.clone()).or_default());
        }
        self.uris.retain(|_, count| *count > 0);
        self.tasks.retain(|_, count| *count > 0);
    }
}

impl Want {
    /// The same, which also holds what listens for it.
    pub(super) fn holding(self, circle: &Arc<Circle>) -> Self {
        let mut want = self;
        want.circle = Some(Arc::clone(circle));
        want
    }
}

impl Drop for Want {
    fn drop(&mut self) {
        self.wants.lock().count(&self.filter, |count| *count = count.saturating_sub(1));
        self.wants.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(tools: bool, uris: &[&str]) -> SubscriptionFilter {
        let uris: Vec<String> = uris.iter().map(|uri| (*uri).to_owned()).collect();
        SubscriptionFilter {
            tools_list_changed: tools.then_some(true),
            resource_subscriptions: (!uris.is_empty()).then_some(uris),
            ..SubscriptionFilter::default()
        }
    }

    #[test]
    fn what_one_listener_drops_stays_wanted_by_others() {
        let wants = Arc::<Wants>::default();
        let own = |uri: &str| Some(uri.to_owned());
        let first = Wants::add(&wants, &filter(true, &["a", "b"]));
        let second = Wants::add(&wants, &filter(false, &["b"]));
        assert_eq!(wants.filter(own, |_| None), filter(true, &["a", "b"]));
        drop(first);
        assert_eq!(wants.filter(own, |_| None), filter(false, &["b"]));
        drop(second);
        assert_eq!(wants.filter(own, |_| None), filter(false, &[]));
        assert!(wants.lock().uris.is_empty());
    }

    #[test]
    fn an_upstream_is_asked_for_its_own_resources_only() {
        let wants = Arc::<Wants>::default();
        let _want = Wants::add(&wants, &filter(false, &["db+x", "files+y"]));
        let own = |uri: &str| uri.strip_prefix("db+").map(str::to_owned);
        assert_eq!(wants.filter(own, |_| None), filter(false, &["x"]));
        let tasks = ["db+1", "files+2"].map(str::to_owned).into();
        let _task = Wants::add(&wants, &SubscriptionFilter { task_ids: Some(tasks), ..SubscriptionFilter::default() });
        assert_eq!(wants.filter(|_| None, own).task_ids, Some(vec!["1".to_owned()]));
    }
}
