//! What the upstreams of a route list: fetched page by page, kept as long as they allow, merged where there are several, and
//! looked up when a tool is called by its name.
//!
//! Looking up does not wait for what the cache may keep: what was listed last names tools for a while ([`KNOWN_FOR`]), and a
//! name that is not in it has the lists fetched anew.

mod derived;
mod extension;

use std::sync::Arc;
use std::time::Duration;

use anypod_client::Call;
use anypod_proto::method::{Method, TaskMethod};
use anypod_proto::param_header::ParamHeaders;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::tasks;
use anypod_proto::version::Era;
use bytes::Bytes;
use futures_util::future::join_all;
use serde::Deserialize;

use self::derived::Derived;
use crate::cache::{Cache, Found, Subject};
use crate::config;
use crate::failure::Failure;
use crate::federate::completion::{Reference, reference};
use crate::federate::{ListKind, Merged, Part, Resolved, Unavailable, uris};
use crate::owner::Owner;
use crate::plan::Plan;
use crate::reach::{Reach, Sender};

/// How long lists name tools once they were fetched, if nobody says that they changed.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// Pages of one list of one upstream.
const MOST_PAGES: usize = 1000;

/// The lists of one route.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) cache: Cache,
    derived: Derived,
}

impl Catalogue {
    pub(crate) fn new(config: &config::Cache) -> Self {
        Self { cache: Cache::new(config), derived: Derived::default() }
    }

    /// All pages of a list of one upstream.
    async fn pages(&self, reach: &Arc<Reach>, kind: ListKind, sender: &Sender) -> Result<Vec<Found>, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page {
            next_cursor: Option<String>,
        }
        // Several are asked for one request, or for what it takes to send it on.
        let sender = sender.apart();
        let mut pages = Vec::new();
        let mut cursor: Option<String> = None;
        while pages.len() < MOST_PAGES {
            let page = self.page(reach, kind.method(), cursor.as_deref(), &sender).await?;
            let next = serde_json::from_slice::<Page>(&page.rest).ok().and_then(|page| page.next_cursor);
            pages.push(page);
            match next {
                Some(next) if Some(&next) != cursor.as_ref() => cursor = Some(next),
                Some(_) => break,
                None => return Ok(pages),
            }
        }
        tracing::warn!(upstream = &**reach.name(), list = kind.method().as_str(), "a list does not end");
        Err(Failure::Broken { upstream: reach.name().to_string() })
    }

    /// One page.
    pub(crate) async fn page(
        &self,
        reach: &Arc<Reach>,
        method: Method,
        cursor: Option<&str>,
        sender: &Sender,
    ) -> Result<Found, Failure> {
        let subject = Subject {
            upstream: reach.name(),
            method: method.as_str(),
            detail: cursor.unwrap_or_default(),
            apart: sender.credentials.kept_apart_by(),
        };
        let ask = || async {
            let mut call = Call::new(method);
            if let Some(cursor) = cursor {
                let json = serde_json::to_vec(cursor).map_err(|_| Rejection::Internal)?;
                call.set_param("cursor", Some(&json)).map_err(|error| Failure::of(reach.name(), error))?;
            }
            reach.ask(&call, sender).await
        };
        self.cache.fetch(subject, ask).await
    }

    /// The list of all upstreams.
    pub(crate) async fn merged(&self, plan: &Plan, kind: ListKind, sender: &Sender) -> Arc<Merged> {
        let fetched = join_all(plan.reaches.iter().map(|reach| self.pages(reach, kind, sender))).await;
        let apart = sender.credentials.kept_apart_by();
        let texts: Vec<Result<Vec<Bytes>, Unavailable>> = fetched
            .into_iter()
            .map(|pages| match pages {
                Ok(pages) => Ok(pages.iter().map(Found::result).collect()),
                // Whoever has no such things has nothing to add.
                Err(failure) if failure.is_unknown_method() => Ok(Vec::new()),
                Err(failure) => Err(unavailable(&failure)),
            })
            .collect();
        let parts: Vec<Part<'_>> = texts.iter().map(part).collect();
        let merged = Arc::new(Merged::new(kind, &plan.naming, &parts));
        for note in merged.notes() {
            tracing::debug!(?note, list = kind.method().as_str(), "of a merged list");
        }
        self.derived.put(kind, apart, &merged);
        merged
    }

    /// The upstream that a request is for.
    ///
    /// # Errors
    /// If it is nobody's; then it looks unknown.
    pub(crate) async fn owner(&self, plan: &Plan, request: &Request, sender: &Sender) -> Result<Owner, Failure> {
        if let [reach] = &*plan.reaches {
            return Ok(Owner::only(reach));
        }
        match request.method() {
            Some(Method::ToolsCall) => {
                let name = request.name().ok_or(Rejection::ParamMissing("params.name"))?;
                self.named(plan, ListKind::Tools, &name, sender).await
            }
            Some(Method::PromptsGet) => {
                let name = request.name().ok_or(Rejection::ParamMissing("params.name"))?;
                self.named(plan, ListKind::Prompts, &name, sender).await
            }
            Some(Method::ResourcesRead) => {
                let uri = request.uri().ok_or(Rejection::ParamMissing("params.uri"))?;
                by_uri(plan, &uri)
            }
            Some(Method::Complete) => match reference(request.params()) {
                Some(Reference::Prompt(name)) => self.named(plan, ListKind::Prompts, &name, sender).await,
                Some(Reference::Resource(uri)) => by_uri(plan, &uri),
                None => Err(Rejection::ParamMissing("params.ref").into()),
            },
            Some(
                Method::Discover
                | Method::ToolsList
                | Method::PromptsList
                | Method::ResourcesList
                | Method::ResourceTemplatesList
                | Method::SubscriptionsListen,
            ) => Err(crate::desk::unknown_method(request).into()),
            None => self.of_extension(plan, request, sender).await,
        }
    }

    /// What an upstream says that it is: the result of its `server/discover`.
    pub(crate) async fn about(&self, reach: &Arc<Reach>, sender: &Sender) -> Result<Bytes, Failure> {
        let method = Method::Discover;
        let apart = sender.credentials.kept_apart_by();
        let subject = Subject { upstream: reach.name(), method: method.as_str(), detail: "", apart };
        let ask = || async { reach.ask(&Call::new(method), sender).await };
        Ok(self.cache.fetch(subject, ask).await?.result())
    }

    /// The upstream that a request of an extension is for: as its task says, as is configured, or by what the upstreams declare.
    async fn of_extension(&self, plan: &Plan, request: &Request, sender: &Sender) -> Result<Owner, Failure> {
        let method = request.method_name();
        if TaskMethod::parse(&method).is_some() {
            return match by_task(plan, request) {
                Some(owner) => Ok(owner),
                None => Err(self.no_task(plan, request, sender).await),
            };
        }
        if let Some(owner) = plan.configured_for(&method).map(|place| Owner::one_of(plan, place, None)) {
            return Ok(owner);
        }
        // Extensions of tasks may have requests about them as well.
        if let Some(owner) = by_task(plan, request) {
            return Ok(owner);
        }
        let sender = sender.apart();
        let each = join_all(plan.reaches.iter().map(|reach| self.about(reach, &sender))).await;
        let declared: Vec<_> =
            each.iter().map(|said| extension::declared(said.as_deref().unwrap_or_default())).collect();
        match &*extension::whose(&method, &declared) {
            [place] => Ok(Owner::one_of(plan, *place, None)),
            // One that does not say what it has may have it.
            [] => Err(each
                .into_iter()
                .find_map(|said| said.err().filter(|failure| !failure.is_unknown_method()))
                .unwrap_or_else(|| crate::desk::unknown_method(request).into())),
            several => {
                let upstreams = several.iter().map(|place| plan.reaches[*place].name().to_string()).collect();
                Err(Failure::Ambiguous { method: method.chars().take(256).collect(), upstreams })
            }
        }
    }

    /// Why a request about a task is for no upstream: what a server says that has the extension and no such task, if one of
    /// them has it.
    async fn no_task(&self, plan: &Plan, request: &Request, sender: &Sender) -> Failure {
        let apart = sender.apart();
        let each = join_all(plan.reaches.iter().map(|reach| self.about(reach, &apart))).await;
        if !each.iter().flatten().any(|said| extension::has_tasks(said)) {
            return crate::desk::unknown_method(request).into();
        }
        match tasks::is_declared(sender.identity.capabilities().extensions.as_ref()) {
            true => tasks::not_found().into(),
            false => tasks::not_declared().into(),
        }
    }

    /// The same for a request that can be relayed as bytes, if its owner is known without asking.
    pub(crate) fn relayable(&self, plan: &Plan, method: Method, name: &str, apart: Option<[u8; 32]>) -> Option<Owner> {
        let kind = match method {
            Method::ToolsCall => ListKind::Tools,
            Method::PromptsGet => ListKind::Prompts,
            Method::Discover
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourceTemplatesList
            | Method::ResourcesRead
            | Method::Complete
            | Method::SubscriptionsListen => return None,
        };
        let merged = self.derived.find(kind, apart, KNOWN_FOR)?;
        match merged.directory()?.resolve(name) {
            Resolved::Known { upstream, own } => {
                let reach = &plan.reaches[upstream];
                let relayable = !reach.is_child() && reach.upstream.era() == Some(Era::Modern);
                relayable.then(|| Owner::one_of(plan, upstream, unless_same(own, name)))
            }
            Resolved::Prefixed { .. } | Resolved::Cut { .. } | Resolved::Unknown => None,
        }
    }

    async fn named(&self, plan: &Plan, kind: ListKind, name: &str, sender: &Sender) -> Result<Owner, Failure> {
        let apart = sender.credentials.kept_apart_by();
        let unknown = || {
            let what = if kind == ListKind::Tools { "tool" } else { "prompt" };
            Failure::from(Rejection::Unknown { what, key: "name", name: name.chars().take(256).collect() })
        };
        let of = |merged: &Merged| -> Option<Owner> {
            match merged.directory()?.resolve(name) {
                Resolved::Known { upstream, own } | Resolved::Prefixed { upstream, own } => {
                    Some(Owner::one_of(plan, upstream, unless_same(own, name)))
                }
                Resolved::Cut { .. } | Resolved::Unknown => None,
            }
        };
        if let Some(owner) = self.derived.find(kind, apart, KNOWN_FOR).and_then(|merged| of(&merged)) {
            return Ok(owner);
        }
        let merged = self.merged(plan, kind, sender).await;
        of(&merged).ok_or_else(unknown)
    }

    /// The arguments that a tool of one upstream wants mirrored into headers.
    ///
    /// # Errors
    /// If the tools could not be listed.
    pub(crate) async fn mirrored(
        &self,
        reach: &Arc<Reach>,
        tool: &str,
        sender: &Sender,
    ) -> Result<Option<Arc<ParamHeaders>>, Failure> {
        let apart = sender.credentials.kept_apart_by();
        if let Some(known) = self.derived.mirrored(reach.name(), apart, tool, KNOWN_FOR) {
            return Ok(known);
        }
        // Mostly it is known, and the future of this is large.
        let pages = Box::pin(self.pages(reach, ListKind::Tools, sender)).await?;
        self.derived.learn(reach.name(), apart, &pages);
        Ok(self.derived.mirrored(reach.name(), apart, tool, KNOWN_FOR).flatten())
    }

    /// The same of a tool of any upstream, by the name that clients know.
    ///
    /// # Errors
    /// If the tools could not be listed, or the name is nobody's.
    pub(crate) async fn wanted(
        &self,
        plan: &Plan,
        tool: &str,
        sender: &Sender,
    ) -> Result<Option<Arc<ParamHeaders>>, Failure> {
        if let [reach] = &*plan.reaches {
            return self.mirrored(reach, tool, sender).await;
        }
        let owner = self.named(plan, ListKind::Tools, tool, sender).await?;
        self.mirrored(&owner.reach, owner.own_name().unwrap_or(tool), sender).await
    }

    /// The same, as far as it is known, of the only upstream of a route.
    pub(crate) fn param_headers(&self, plan: &Plan, tool: &str) -> Option<Arc<ParamHeaders>> {
        let [reach] = &*plan.reaches else { return None };
        self.derived.mirrored(reach.name(), None, tool, KNOWN_FOR).flatten()
    }

    /// What an upstream said about a list is no longer so.
    pub(crate) fn changed(&self, plan: &Plan, method: Method, detail: Option<&str>) {
        for reach in &plan.reaches {
            self.cache.forget(reach.name(), method.as_str(), detail);
        }
        if let Some(kind) = ListKind::of(method) {
            self.derived.forget(kind);
        }
    }
}

fn part(texts: &Result<Vec<Bytes>, Unavailable>) -> Part<'_> {
    match texts {
        Ok(pages) => {
            let pages = pages.iter().filter_map(|page| std::str::from_utf8(page).ok()).collect();
            Part { pages, unavailable: None }
        }
        Err(reason) => Part { pages: Vec::new(), unavailable: Some(*reason) },
    }
}

/// Why a part of a merged result is missing, in the words that clients may read.
pub(crate) const fn unavailable(failure: &Failure) -> Unavailable {
    match failure {
        Failure::NoPod { .. } | Failure::Lost { .. } | Failure::OutcomeUnknown { .. } => Unavailable::Unreachable,
        Failure::TimedOut { .. } => Unavailable::TimedOut,
        Failure::Broken { .. } => Unavailable::Unreadable,
        Failure::Rejected(_)
        | Failure::Unauthorized
        | Failure::UpstreamUnauthorized(_)
        | Failure::Ambiguous { .. }
        | Failure::HolderGone
        | Failure::Answered { .. } => Unavailable::Failed,
    }
}

/// What a name is at its upstream, if that is something else than clients say: then it has to be written anew.
fn unless_same(own: &str, name: &str) -> Option<String> {
    (own != name).then(|| own.to_owned())
}

fn by_uri(plan: &Plan, uri: &str) -> Result<Owner, Failure> {
    match uris::unwrap(plan.naming.upstreams(), uri) {
        Some((place, own)) => Ok(Owner::one_of(plan, place, Some(own))),
        None => {
            let name = uri.chars().take(256).collect();
            Err(Rejection::Unknown { what: "resource", key: "uri", name }.into())
        }
    }
}

/// Requests about a task bear the upstream in front of its id.
fn by_task(plan: &Plan, request: &Request) -> Option<Owner> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        #[serde(borrow)]
        task_id: Option<std::borrow::Cow<'a, str>>,
    }
    let params: Option<Params<'_>> = serde_json::from_str(request.params()).ok();
    let id = params?.task_id?;
    let (upstream, own) = id.split_once('+')?;
    Some(Owner::one_of(plan, plan.naming.upstreams().place(upstream)?, Some(own.to_owned())))
}
