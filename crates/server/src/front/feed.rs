//! What a legacy client hears unasked: changes of lists, and of the resources that it has subscribed to.
//!
//! Of what the server itself has, the mailbox hears. A backend has to listen for what is wanted, and what a session wants
//! changes while its stream is open, by requests that may have reached another pod. So the stream follows: it lets the
//! backend begin with each new resource, and end with each that is wanted no more.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anypod_proto::capabilities::ServerCapabilities;
use anypod_proto::subscriptions::SubscriptionFilter;

use crate::backend::{self, Backend, BoxFuture, Caller, Listened};
use crate::bus::{Change, Mailbox};
use crate::completed::Failure;
use crate::listen::interest;
use crate::server::Server;

/// The changes that one stream tells of.
pub(crate) struct Feed {
    mailbox: Arc<Mailbox>,
    source: Option<Source>,
}

/// A backend that listens for a feed.
struct Source {
    backend: Arc<dyn Backend>,
    caller: Caller,
    deadline: Duration,
    lists: Listening,
    /// By URI. At most [`crate::Limits::session_resources`].
    resources: BTreeMap<String, Listening>,
}

/// How far the backend is with one wish.
enum Listening {
    Begins(BoxFuture<'static, Result<Listened, Failure>>),
    Goes {
        /// What is heard for this caller alone.
        own: Option<Arc<Mailbox>>,
        _keep: Box<dyn Any + Send>,
    },
    Refused(Failure),
}

impl Feed {
    /// The changes from now on of the lists that the server announces, and of what the session subscribes to. Legacy servers
    /// announce the changes of their lists to every client.
    pub(crate) fn new(server: &Server, session: u64, caller: Caller, capabilities: &ServerCapabilities) -> Self {
        let lists = lists(capabilities);
        let limits = server.inner.limits();
        let mailbox = Mailbox::for_session(interest(&lists), session, limits.session_resources);
        let receiver = Arc::downgrade(&mailbox);
        server.inner.bus.attach(receiver);
        let source = server.inner.backend.as_ref().map(|backend| Source {
            lists: begin(backend, &caller, lists, limits.backend_deadline),
            backend: Arc::clone(backend),
            caller,
            deadline: limits.backend_deadline,
            resources: BTreeMap::new(),
        });
        Self { mailbox, source }
    }

    pub(crate) const fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Waits until the backend listens to what is wanted so far.
    ///
    /// # Errors
    /// If it does not tell of its lists.
    pub(crate) async fn listens(&mut self) -> Result<(), Failure> {
        let Some(source) = &mut self.source else { return Ok(()) };
        source.follow(&self.mailbox);
        poll_fn(|cx| source.poll(cx)).await;
        match &source.lists {
            Listening::Refused(failure) => Err(failure.clone()),
            Listening::Begins(_) | Listening::Goes { .. } => Ok(()),
        }
    }

    /// The next change; pending while there is none.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Change> {
        let next = self.mailbox.poll_next(cx);
        let Some(source) = &mut self.source else { return next };
        // After the mailbox knows whom to wake, so that no change of what is wanted is missed.
        source.follow(&self.mailbox);
        // Whether all is heard of by now or not, there is nothing to do but to wait.
        let _ = source.poll(cx);
        if source.lists.own().is_some() {
            self.mailbox.leave_lists();
        }
        match next {
            Poll::Ready(change) => Poll::Ready(change),
            Poll::Pending => source.poll_own(cx),
        }
    }
}

impl Source {
    /// Begins with what is wanted and was not, or was refused, and ends with what is wanted no more.
    fn follow(&mut self, mailbox: &Mailbox) {
        let Some(wanted): Option<BTreeSet<String>> = mailbox.changed_resources() else { return };
        let goes_on = |listening: &Listening| !matches!(listening, Listening::Refused(_));
        self.resources.retain(|uri, listening| wanted.contains(uri) && goes_on(listening));
        for uri in wanted {
            let filter = resource(uri.clone());
            let listening = || begin(&self.backend, &self.caller, filter, self.deadline);
            self.resources.entry(uri).or_insert_with(listening);
        }
    }

    /// Ready when nothing is about to begin.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut all = Poll::Ready(());
        for listening in std::iter::once(&mut self.lists).chain(self.resources.values_mut()) {
            let Listening::Begins(begins) = listening else { continue };
            match begins.as_mut().poll(cx) {
                Poll::Ready(Ok(Listened { honoured, own, aside: _, keep })) => {
                    if let Some(own) = &own {
                        own.narrow(interest(&honoured));
                    }
                    *listening = Listening::Goes { own, _keep: keep };
                }
                Poll::Ready(Err(failure)) => {
                    tracing::warn!(code = failure.code(), "the backend does not listen for a legacy client");
                    *listening = Listening::Refused(failure);
                }
                Poll::Pending => all = Poll::Pending,
            }
        }
        all
    }

    /// The next change of those that are heard for this caller alone.
    fn poll_own(&self, cx: &Context<'_>) -> Poll<Change> {
        let all = std::iter::once(&self.lists).chain(self.resources.values());
        let ready = |own: &Arc<Mailbox>| match own.poll_next(cx) {
            Poll::Ready(change) => Some(change),
            Poll::Pending => None,
        };
        all.filter_map(Listening::own).find_map(ready).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Listening {
    const fn own(&self) -> Option<&Arc<Mailbox>> {
        match self {
            Self::Goes { own, .. } => own.as_ref(),
            Self::Begins(_) | Self::Refused(_) => None,
        }
    }
}

/// The lists whose changes are announced.
fn lists(capabilities: &ServerCapabilities) -> SubscriptionFilter {
    let announced = |changes: Option<bool>| changes.filter(|changes| *changes);
    SubscriptionFilter {
        tools_list_changed: announced(capabilities.tools.as_ref().and_then(|tools| tools.list_changed)),
        prompts_list_changed: announced(capabilities.prompts.as_ref().and_then(|prompts| prompts.list_changed)),
        resources_list_changed: announced(capabilities.resources.as_ref().and_then(|all| all.list_changed)),
        ..SubscriptionFilter::default()
    }
}

/// The filter that names one resource.
pub(super) fn resource(uri: String) -> SubscriptionFilter {
    SubscriptionFilter { resource_subscriptions: Some(vec![uri]), ..SubscriptionFilter::default() }
}

fn begin(backend: &Arc<dyn Backend>, caller: &Caller, wanted: SubscriptionFilter, deadline: Duration) -> Listening {
    if wanted == SubscriptionFilter::default() {
        return Listening::Goes { own: None, _keep: Box::new(()) };
    }
    Listening::Begins(Box::pin(backend::listen(Arc::clone(backend), caller.clone(), wanted, deadline)))
}
