//! A route as it is configured: whom it lets in, what it lets through, and which upstreams are behind it.

use std::sync::Arc;
use std::time::Duration;

use anypod_proto::param_header::ParamHeaders;
use anypod_server::Guard;

use crate::authenticate::Authentication;
use crate::catalogue::Catalogue;
use crate::config::{self, Mode, Prefix};
use crate::federate::{Naming, Upstreams};
use crate::glob::Glob;
use crate::policy::Policy;
use crate::rate::Rates;
use crate::reach::Reach;
use crate::start_error::StartError;

/// What is configured for one route. Replaced as a whole.
pub(crate) struct Plan {
    /// As it is configured.
    config: config::Route,
    pub(crate) path: Box<str>,
    pub(crate) mode: Mode,
    pub(crate) guard: Guard,
    pub(crate) authentication: Authentication,
    pub(crate) policy: Policy,
    pub(crate) rates: Rates,
    pub(crate) reaches: Box<[Arc<Reach>]>,
    pub(crate) naming: Naming,
    /// Which upstream methods of extensions are for, as far as that is configured, in the order in which they are looked at.
    methods: Box<[(Glob, usize)]>,
    /// Whether anything is answered from memory.
    pub(crate) caches: bool,
    pub(crate) limits: config::Limits,
    /// What the upstreams list, as far as it is known. Shared with the plan before, where that holds the same.
    pub(crate) catalogue: Arc<Catalogue>,
}

/// The plan that another one replaces.
pub(crate) struct Before {
    pub(crate) plan: Arc<Plan>,
    /// Whether an upstream of the route has moved: nothing that was known of it need be so where it is now.
    pub(crate) moved: bool,
}

impl Plan {
    /// What of `before` is configured as it was goes on as it is: the levels of rates, and what is kept of upstreams.
    ///
    /// # Errors
    /// If the configuration names something that cannot be used.
    pub(crate) fn new(
        route: &config::Route,
        limits: &config::Limits,
        reaches: Vec<Arc<Reach>>,
        before: Option<&Before>,
    ) -> Result<Self, StartError> {
        let mut guard = Guard::default();
        route.hosts.iter().for_each(|host| guard.allow_host(host.as_str()));
        route.origins.iter().for_each(|origin| guard.allow_origin(origin.as_str()));
        if route.any_host_unchecked {
            guard.dangerously_allow_any_host();
        }
        if let Some(mistake) = guard.mistake() {
            return Err(StartError::route(&route.path, mistake));
        }
        let authentication = Authentication::new(&route.token).map_err(|whose| {
            StartError::route(&route.path, format!("the token of `{whose}` is no SHA-256 in hexadecimal"))
        })?;
        let names = match reaches.len() {
            // One upstream collides with nobody, and its names stay as they are.
            0 | 1 => config::Names { prefix: Prefix::Never, longest: None, ..route.names.clone() },
            _ => route.names.clone(),
        };
        let upstreams = Upstreams::new(reaches.iter().map(|reach| reach.name().to_string()));
        Ok(Self {
            config: route.clone(),
            path: route.path.as_str().into(),
            mode: route.mode,
            guard,
            authentication,
            policy: Policy::new(&route.rule),
            rates: Rates::new(&route.rate, before.map(|before| &before.plan.rates)),
            naming: Naming::new(&upstreams, &names),
            methods: methods(route),
            catalogue: before
                .filter(|before| !before.moved && before.plan.lists_alike(route, &reaches))
                .map_or_else(|| Arc::new(Catalogue::new(&route.cache)), |before| Arc::clone(&before.plan.catalogue)),
            reaches: reaches.into(),
            caches: route.cache.enabled,
            limits: limits.clone(),
        })
    }

    /// Whether what is kept for this plan is right for a route to these upstreams as well. What is merged speaks of upstreams by
    /// their places, and by the names that clients know. Under other rules nothing is answered that was asked for under these.
    fn lists_alike(&self, route: &config::Route, reaches: &[Arc<Reach>]) -> bool {
        let config::Route { names, cache, rule, .. } = &self.config;
        let same_upstreams = self.reaches.len() == reaches.len()
            && self.reaches.iter().zip(reaches).all(|(one, other)| Arc::ptr_eq(one, other));
        same_upstreams && *names == route.names && *cache == route.cache && *rule == route.rule
    }

    /// The place of the upstream that a method of an extension is configured to be for.
    pub(crate) fn configured_for(&self, method: &str) -> Option<usize> {
        self.methods.iter().find(|(glob, _)| glob.fits(method)).map(|(_, place)| *place)
    }

    /// Whether several upstreams are behind the route.
    pub(crate) const fn is_federated(&self) -> bool {
        self.reaches.len() > 1
    }

    /// How long the state of a round is valid.
    pub(crate) const fn round_ttl(&self) -> Duration {
        self.limits.answer_deadline.get()
    }

    /// How long a cursor of a merged list is valid.
    pub(crate) const fn cursor_ttl(&self) -> Duration {
        Duration::from_secs(86_400)
    }

    /// The arguments that a tool wants mirrored, as far as its schema is known.
    pub(crate) fn param_headers(&self, tool: &str) -> Option<Arc<ParamHeaders>> {
        self.catalogue.param_headers(self, tool)
    }
}

/// Which upstream methods are for: those that are written out first, then by the length of their globs.
fn methods(route: &config::Route) -> Box<[(Glob, usize)]> {
    let mut methods: Vec<_> = route.methods.iter().collect();
    methods.sort_by_key(|(method, _)| (method.contains('*'), std::cmp::Reverse(method.len())));
    let place = |upstream: &String| route.upstreams.iter().position(|name| name == upstream);
    methods.into_iter().filter_map(|(method, upstream)| Some((Glob::new(method), place(upstream)?))).collect()
}
