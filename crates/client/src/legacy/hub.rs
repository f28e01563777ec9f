//! Who listens to the changes that one session tells of.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anypod_proto::method::Notification;
use anypod_proto::resources::ResourceUpdatedNotificationParams;
use anypod_proto::subscriptions::SubscriptionFilter;
use tokio::sync::mpsc;

use crate::exchange::Notice;

/// The listeners of a session.
#[derive(Default)]
pub(super) struct Hub {
    listeners: Mutex<BTreeMap<u64, Listener>>,
    /// How many listeners each resource is subscribed for, and the right to subscribe.
    pub(super) subscribed: tokio::sync::Mutex<HashMap<String, usize>>,
}

struct Listener {
    filter: SubscriptionFilter,
    sender: mpsc::Sender<Notice>,
}

impl Hub {
    /// Adds a listener; at most `waiting` changes wait for it.
    pub(super) fn listen(&self, id: u64, filter: SubscriptionFilter, waiting: usize) -> mpsc::Receiver<Notice> {
        let (sender, changes) = mpsc::channel(waiting.max(1));
        self.lock().insert(id, Listener { filter, sender });
        changes
    }

    /// Tells everyone who wants to know. A listener that has too much waiting already is dropped: it will begin
    /// again, and look anew at what it holds.
    pub(super) fn tell(&self, notice: &Notice) {
        self.lock()
            .retain(|_, listener| !wants(&listener.filter, notice) || listener.sender.try_send(notice.clone()).is_ok());
    }

    /// Ends the streams of all listeners.
    pub(super) fn lose_all(&self) {
        self.lock().clear();
    }

    /// Removes a listener.
    pub(super) fn remove(&self, id: u64) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wants(filter: &SubscriptionFilter, notice: &Notice) -> bool {
    let method = Notification::parse(&notice.method);
    let uris = filter.resource_subscriptions.as_deref().unwrap_or_default();
    let lists = [
        (Notification::ToolsListChanged, filter.tools_list_changed),
        (Notification::PromptsListChanged, filter.prompts_list_changed),
        (Notification::ResourcesListChanged, filter.resources_list_changed),
    ];
    lists.iter().any(|(list, wanted)| method == Some(*list) && *wanted == Some(true))
        || method == Some(Notification::ResourceUpdated)
            && notice.params.read().is_ok_and(|params: ResourceUpdatedNotificationParams| {
                uris.iter().any(|uri| is_within(&params.uri, uri))
            })
}

/// Spec: schema, `ResourceUpdatedNotification`: the URI may be that of a part of the one subscribed to.
fn is_within(updated: &str, subscribed: &str) -> bool {
    updated
        .strip_prefix(subscribed)
        .is_some_and(|rest| rest.is_empty() || subscribed.ends_with('/') || rest.starts_with(['/', '#', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_resource_is_within_it_and_its_namesake_is_not() {
        for within in ["file:///a", "file:///a/b", "file:///a#b", "file:///a?b"] {
            assert!(is_within(within, "file:///a"), "{within}");
        }
        for outside in ["file:///ab", "file:///", "file:///b/a", ""] {
            assert!(!is_within(outside, "file:///a"), "{outside}");
        }
        assert!(is_within("file:///a/b", "file:///a/"));
    }
}
