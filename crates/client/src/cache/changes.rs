//! What notifications change: the cache, and what is remembered of the tools.
//!
//! Spec: server/utilities/caching, "Interaction with Notifications".

use anypod_proto::method::{Method, Notification};
use anypod_proto::resources::ResourceUpdatedNotificationParams;

use crate::call::Call;
use crate::client::Inner;
use crate::exchange::Notice;

impl Inner {
    /// Takes note of what a notification says of what is kept.
    pub(crate) fn noticed(&self, notice: &Notice) {
        match Notification::parse(&notice.method) {
            Some(Notification::ToolsListChanged) => {
                self.tools.forget();
                self.lists_changed(&[Method::ToolsList]);
            }
            Some(Notification::PromptsListChanged) => self.lists_changed(&[Method::PromptsList]),
            Some(Notification::ResourcesListChanged) => {
                self.lists_changed(&[Method::ResourcesList, Method::ResourceTemplatesList]);
            }
            Some(Notification::ResourceUpdated) => self.resource_updated(notice),
            Some(
                Notification::Cancelled
                | Notification::Progress
                | Notification::Message
                | Notification::SubscriptionsAcknowledged
                | Notification::TaskStatus
                | Notification::Initialized
                | Notification::RootsListChanged
                | Notification::ElicitationComplete,
            )
            | None => {}
        }
    }

    /// Changes may have been missed: nothing that is kept is known to be true.
    pub(crate) fn missed_changes(&self) {
        self.tools.forget();
        if let Some(cache) = &self.cache {
            cache.all_changed();
        }
    }

    /// The result of this call cannot be read: the next one is to ask again.
    pub(crate) fn reject(&self, call: &Call) {
        if let Some(cache) = &self.cache {
            cache.reject(call);
        }
    }

    /// How often the server said that a list has changed.
    pub(crate) fn list_changes(&self, method: Method) -> u64 {
        self.cache.as_ref().map_or(0, |cache| cache.changes(method))
    }

    fn lists_changed(&self, methods: &[Method]) {
        if let Some(cache) = &self.cache {
            methods.iter().for_each(|method| cache.list_changed(*method));
        }
    }

    fn resource_updated(&self, notice: &Notice) {
        let Some(cache) = &self.cache else { return };
        match notice.params.read::<ResourceUpdatedNotificationParams>() {
            Ok(params) => cache.resource_updated(&params.uri),
            Err(_) => cache.all_changed(),
        }
    }
}
