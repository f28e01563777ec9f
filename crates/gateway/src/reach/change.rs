//! An upstream that is configured anew: what can change while it is called, and what it takes another one for.

use std::sync::Arc;

use super::settings::Settings;
use super::{Reach, client_limits};
use crate::config;
use crate::sessions::Bounds;
use crate::start_error::StartError;
use crate::upstream::Found;

/// What changes, once all of a new configuration can be used.
pub(crate) struct Change {
    reach: Arc<Reach>,
    /// The pods, where they are configured one by one.
    pods: Option<Found>,
    settings: Settings,
    bounds: Bounds,
}

impl Reach {
    /// What makes this upstream the one that is wanted; none if that takes another one. Other pods do not: those that stay
    /// keep their connections, their sessions and what is known of them.
    ///
    /// # Errors
    /// If the configuration names something that cannot be used.
    pub(crate) fn change(
        self: &Arc<Self>,
        wanted: &config::Upstream,
        limits: &config::Limits,
    ) -> Result<Option<Change>, StartError> {
        if self.config != (config::Upstream { pods: Vec::new(), ..wanted.clone() }) {
            return Ok(None);
        }
        let settings = Settings::new(wanted, client_limits(wanted, limits))?;
        // A child process has its bounds from its beginning.
        if self.is_child() && self.ways().settings != settings {
            return Ok(None);
        }
        let pods = self.upstream.find(&wanted.pods).map_err(|error| StartError::upstream(&wanted.name, error))?;
        Ok(Some(Change { reach: Arc::clone(self), pods, settings, bounds: Bounds::from(limits) }))
    }
}

impl Change {
    /// The upstream that changes.
    pub(crate) const fn reach(&self) -> &Arc<Reach> {
        &self.reach
    }

    /// Whether it takes this upstream elsewhere: none of its pods stays. Those that come may run another version of it.
    pub(crate) fn moves(&self, reach: &Arc<Reach>) -> bool {
        Arc::ptr_eq(&self.reach, reach) && self.pods.as_ref().is_some_and(|pods| !reach.upstream.keeps_any(pods))
    }

    /// Does it.
    pub(crate) fn apply(self) {
        let Self { reach, pods, settings, bounds } = self;
        reach.sessions.bound(bounds);
        if let Some(pods) = pods {
            reach.upstream.take(pods);
            reach.forget_gone();
            reach.sessions.leave(|key| reach.upstream.pod(&key.pod).is_none());
        }
        reach.upstream.authorize(settings.authorization().cloned());
        let mut ways = reach.ways_mut();
        if ways.settings != settings {
            ways.settings = settings;
            ways.endpoints.clear();
            drop(ways);
            // They were opened with what held before. What is under way in them goes on with it.
            reach.sessions.leave(|_| true);
        }
    }
}
