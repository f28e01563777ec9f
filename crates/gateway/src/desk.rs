//! The backend of a route's server: what answers everything that is not relayed as bytes, for clients of both eras.
//!
//! The server has opened the legacy session, admitted the message and holds the bounds; here it is decided who answers.

mod forward;
mod hop;
mod lists;
mod notes;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use anypod_client::Identity;
use anypod_proto::discover::DiscoverResult;
use anypod_proto::method::Method;
use anypod_proto::param_header::ParamHeaders;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_server::{Answered, Asked, Backend, BoxFuture, Caller, Event, Listened, Receiver, Refusal};

pub(crate) use self::forward::Mirrored;
pub(crate) use self::hop::{Hopped, is_hop};
pub(crate) use self::notes::Notes;

use crate::authenticate::Credentials;
use crate::failure::Failure;
use crate::hub::Hub;
use crate::plan::Plan;
use crate::policy::Attempt;
use crate::reach::{Sender, info};
use crate::seal::Sealer;

/// The backend of one route. What is configured can be replaced while it works.
pub(crate) struct Desk {
    plan: RwLock<Arc<Plan>>,
    pub(crate) sealer: Sealer,
    replica: Replica,
    hub: Arc<Hub>,
    /// What is kept wants to be told of changes; from when something is.
    follows: OnceLock<()>,
}

/// This process, as others know it.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    /// Tells it from others, also from those before it at the same address.
    pub(crate) number: u64,
    /// The URL under which others reach it, once that is known.
    address: Arc<OnceLock<String>>,
}

impl Replica {
    pub(crate) fn new(number: u64, advertised: Option<String>) -> Self {
        Self { number, address: Arc::new(advertised.map(OnceLock::from).unwrap_or_default()) }
    }

    /// Takes a URL for where others reach it, unless it has one.
    pub(crate) fn is_reached_at(&self, url: String) {
        // What was advertised stays.
        let _ = self.address.set(url);
    }

    /// Empty where there is none.
    pub(crate) fn address(&self) -> &str {
        self.address.get().map_or("", String::as_str)
    }
}

impl Desk {
    pub(crate) fn new(plan: Arc<Plan>, sealer: Sealer, replica: Replica, hub: Arc<Hub>) -> Arc<Self> {
        Arc::new(Self { plan: RwLock::new(plan), sealer, replica, hub, follows: OnceLock::new() })
    }

    /// What is configured now.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works by another configuration from now on. What is under way goes on by the one before.
    pub(crate) fn replace(&self, plan: Arc<Plan>) {
        self.hub.replace(&plan);
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// Follows the changes of lists, now that something is kept.
    fn follow(&self, plan: &Arc<Plan>) {
        if self.follows.set(()).is_err() {
            return;
        }
        let (hub, plan) = (Arc::clone(&self.hub), Arc::clone(plan));
        let filter = SubscriptionFilter {
            tools_list_changed: Some(true),
            prompts_list_changed: Some(true),
            resources_list_changed: Some(true),
            ..SubscriptionFilter::default()
        };
        tokio::spawn(async move {
            hub.follow(&plan, &filter).await;
        });
    }

    // What is rarer than a call has a future of its own: all requests would pay for the largest.
    async fn answered(&self, asked: Asked) -> Result<Answered, Failure> {
        let plan = self.plan();
        let request = Arc::clone(&asked.request);
        let (method, name) = (request.method(), subject(&request));
        let principal = asked.caller.principal.as_ref();
        Notes::asked_by(&asked.caller);
        // A hop was checked where it came in, and counted there.
        if !is_hop(&asked.caller) {
            plan.policy.check(&Attempt::of(principal, &request, &request.method_name(), name.as_deref()))?;
            // Further rounds of a call that was let in are let in.
            if asked.state.is_none() {
                plan.rates.take(principal, &request.method_name(), name.as_deref())?;
            }
        }
        match method {
            Some(
                method @ (Method::ToolsList
                | Method::PromptsList
                | Method::ResourcesList
                | Method::ResourceTemplatesList),
            ) => Box::pin(self.list(&plan, &asked, method)).await,
            Some(Method::Discover) => Box::pin(self.discovered(&plan, &asked.caller)).await,
            Some(Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::Complete) | None => {
                self.forward(&plan, asked).await
            }
            // The server opens such streams itself.
            Some(Method::SubscriptionsListen) => Err(unknown_method(&request).into()),
        }
    }
}

/// What is kept of upstreams is forgotten when they announce that it has changed.
impl Receiver for Desk {
    fn deliver(&self, event: &Event) {
        let plan = self.plan();
        match event {
            Event::ToolsChanged => plan.catalogue.changed(&plan, Method::ToolsList, None),
            Event::PromptsChanged => plan.catalogue.changed(&plan, Method::PromptsList, None),
            Event::ResourcesChanged => {
                plan.catalogue.changed(&plan, Method::ResourcesList, None);
                plan.catalogue.changed(&plan, Method::ResourceTemplatesList, None);
            }
            Event::ResourceUpdated { uri } => plan.catalogue.changed(&plan, Method::ResourcesRead, Some(uri)),
            Event::Topic(_) | Event::Session { .. } => {}
        }
    }

    fn gap(&self) {
        let plan = self.plan();
        for method in Method::ALL.iter().filter(|method| method.is_cacheable()) {
            plan.catalogue.changed(&plan, *method, None);
        }
    }
}

impl Backend for Desk {
    fn discover(self: Arc<Self>, caller: Caller) -> BoxFuture<'static, Result<DiscoverResult, Refusal>> {
        Box::pin(async move {
            let plan = self.plan();
            Notes::asked_by(&caller);
            self.about(&plan, &caller).await.map_err(|failure| refused(&notes(&caller), failure))
        })
    }

    fn answer(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Answered> {
        Box::pin(async move {
            let notes = notes(&asked.caller);
            self.answered(asked).await.unwrap_or_else(|failure| Answered::Refused(refused(&notes, failure)))
        })
    }

    fn listen(
        self: Arc<Self>,
        caller: Caller,
        wanted: SubscriptionFilter,
    ) -> BoxFuture<'static, Result<Listened, Refusal>> {
        Box::pin(async move {
            let notes = notes(&caller);
            self.listened(caller, wanted).await.map_err(|failure| refused(&notes, failure))
        })
    }

    fn param_headers(&self, tool: &str) -> Option<Arc<ParamHeaders>> {
        self.plan().param_headers(tool)
    }
}

/// What a request is about: the name of a tool or a prompt, or a URI.
pub(crate) fn subject<B: AsRef<str>>(request: &Request<B>) -> Option<std::borrow::Cow<'_, str>> {
    request.name().or_else(|| request.uri())
}

pub(crate) fn unknown_method(request: &Request) -> Rejection {
    Rejection::UnknownMethod(request.method_name().chars().take(256).collect())
}

/// What is noted about the request of a caller.
fn notes(caller: &Caller) -> Notes {
    caller.extensions.get().cloned().unwrap_or_default()
}

/// The failure as the server answers it, once it is noted as what it is.
fn refused(notes: &Notes, failure: Failure) -> Refusal {
    notes.failed(&failure);
    failure.into()
}

/// Who the caller is towards upstreams.
pub(crate) fn sender(caller: &Caller) -> Sender {
    let Named { identity, spelled } = caller.kept.remember(|| Named::of(caller));
    let credentials = caller.extensions.get::<Credentials>().cloned().unwrap_or_default();
    Sender::client(identity, spelled, credentials, notes(caller))
}

/// What upstreams are told of a client.
#[derive(Clone)]
struct Named {
    identity: Arc<Identity>,
    spelled: Arc<str>,
}

impl Named {
    fn of(caller: &Caller) -> Self {
        let name = caller.info.as_deref().cloned().unwrap_or_else(info);
        let spelled = serde_json::to_string(&*caller.capabilities).unwrap_or_default().into();
        Self { identity: Arc::new(Identity::new(name, (*caller.capabilities).clone())), spelled }
    }
}
