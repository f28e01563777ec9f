//! Lists and `server/discover`: as the only upstream has them, or of several as one.

use std::sync::Arc;

use anypod_proto::discover::DiscoverResult;
use anypod_proto::method::{Method, TaskMethod};
use anypod_proto::reject::Rejection;
use anypod_proto::seal::Purpose;
use anypod_proto::subscriptions::SubscriptionFilter;
use anypod_proto::tasks;
use anypod_proto::version::{Era, Version};
use anypod_server::{Answered, Asked, Binding, Caller, Listened, Principal};
use bytes::Bytes;
use futures_util::future::join_all;

use super::{Desk, Notes, sender};
use crate::authenticate::Credentials;
use crate::catalogue::unavailable;
use crate::failure::Failure;
use crate::federate::{ListKind, PageSize, Position, discover};
use crate::hub::Heard;
use crate::plan::Plan;
use crate::policy::Attempt;
use crate::reach::info;

/// The bounds of a page of a merged list.
const PAGE: PageSize = PageSize { items: 500, bytes: 1 << 20 };

impl Desk {
    pub(super) async fn list(&self, plan: &Arc<Plan>, asked: &Asked, method: Method) -> Result<Answered, Failure> {
        let sender = sender(&asked.caller);
        let request = &asked.request;
        if let ([reach], true) = (&*plan.reaches, plan.policy.is_open()) {
            Notes::answered_by(&asked.caller, reach);
            let found = plan.catalogue.page(reach, method, request.cursor().as_deref(), &sender).await?;
            if found.cached {
                Notes::cached(&asked.caller, found.is_fresh());
            } else if found.is_fresh() {
                self.follow(plan);
            }
            return Ok(Answered::Result(found.result()));
        }
        let Some(kind) = ListKind::of(method) else { return Err(Rejection::Internal.into()) };
        let principal = asked.caller.principal.as_ref();
        let position = match request.cursor() {
            None => None,
            Some(cursor) => Some(self.open_cursor(kind, principal, &cursor)?),
        };
        let merged = plan.catalogue.merged(plan, kind, &sender).await;
        self.follow(plan);
        let item = item_method(kind);
        let allows = |name: &str| plan.policy.shows(principal, item, name);
        let filter: Option<&dyn Fn(&str) -> bool> = (!plan.policy.is_open()).then_some(&allows);
        let page = merged.page(position.as_ref(), PAGE, filter)?;
        let cursor = match page.next() {
            None => None,
            Some(next) => Some(self.seal_cursor(kind, principal, &next, plan)?),
        };
        Ok(Answered::Result(Bytes::from(page.result(&server_info(), cursor.as_deref()))))
    }

    /// The answer to `server/discover`.
    pub(super) async fn discovered(&self, plan: &Plan, caller: &Caller) -> Result<Answered, Failure> {
        self.about_raw(plan, caller).await.map(Answered::Result)
    }

    /// The same, read.
    pub(super) async fn about(&self, plan: &Plan, caller: &Caller) -> Result<DiscoverResult, Failure> {
        let raw = self.about_raw(plan, caller).await?;
        serde_json::from_slice(&raw).map_err(|error| {
            tracing::warn!(%error, "an upstream does not say what it is");
            Failure::Broken {
                upstream: plan.reaches.first().map_or_else(String::new, |reach| reach.name().to_string()),
            }
        })
    }

    async fn about_raw(&self, plan: &Plan, caller: &Caller) -> Result<Bytes, Failure> {
        let sender = sender(caller);
        if let [reach] = &*plan.reaches {
            Notes::answered_by(caller, reach);
            return plan.catalogue.about(reach, &sender).await;
        }
        let sender = sender.apart();
        let each = join_all(plan.reaches.iter().map(|reach| plan.catalogue.about(reach, &sender))).await;
        let said: Vec<_> = each
            .iter()
            .map(|said| match said {
                Ok(raw) => discover::Said { result: std::str::from_utf8(raw).ok(), unavailable: None },
                Err(failure) => discover::Said { result: None, unavailable: Some(unavailable(failure)) },
            })
            .collect();
        Ok(discover::merge(plan.naming.upstreams(), &said, &Version::MODERN, &server_info()).into())
    }

    /// Begins to listen for a client.
    pub(super) async fn listened(&self, caller: Caller, wanted: SubscriptionFilter) -> Result<Listened, Failure> {
        let plan = self.plan();
        if wanted.task_ids.is_some() && !tasks::is_declared(caller.capabilities.extensions.as_ref()) {
            return Err(tasks::not_declared().into());
        }
        let mut wanted = wanted;
        let fields = std::mem::take(&mut wanted.extra);
        let wanted = permitted(&plan, &caller, wanted)?;
        if caller.version.era() == Era::Modern {
            let method = Method::SubscriptionsListen.as_str();
            plan.rates.take(caller.principal.as_ref(), method, None)?;
        }
        let about = self.about(&plan, &caller).await?;
        let has_tasks = tasks::is_declared(about.capabilities.extensions.as_ref());
        let (tools, prompts, resources) = (
            about.capabilities.tools.as_ref(),
            about.capabilities.prompts.as_ref(),
            about.capabilities.resources.as_ref(),
        );
        let of = |has: Option<bool>, wanted: Option<bool>| wanted.filter(|wanted| *wanted && has == Some(true));
        let honoured = SubscriptionFilter {
            tools_list_changed: of(tools.and_then(|tools| tools.list_changed), wanted.tools_list_changed),
            prompts_list_changed: of(prompts.and_then(|prompts| prompts.list_changed), wanted.prompts_list_changed),
            resources_list_changed: of(
                resources.and_then(|resources| resources.list_changed),
                wanted.resources_list_changed,
            ),
            resource_subscriptions: wanted
                .resource_subscriptions
                .filter(|_| resources.and_then(|resources| resources.subscribe) == Some(true)),
            task_ids: wanted.task_ids.filter(|_| has_tasks),
            ..SubscriptionFilter::default()
        };
        let mut heeded = match caller.version.era() {
            Era::Modern if !fields.is_empty() => self.hub.heed(&plan, &fields, &sender(&caller)).await?,
            Era::Modern | Era::Legacy => None,
        };
        let extra = heeded.as_mut().map(|heeded| std::mem::take(&mut heeded.honoured)).unwrap_or_default();
        let aside = heeded.as_mut().and_then(|heeded| heeded.aside.take());
        if honoured == SubscriptionFilter::default() {
            let honoured = SubscriptionFilter { extra, ..honoured };
            return Ok(Listened { honoured, own: None, aside, keep: Box::new(heeded) });
        }
        let credentials = caller.extensions.get::<Credentials>().cloned().unwrap_or_default();
        let Heard { honoured, own, denied, wants } = self.hub.listen(&plan, honoured, &credentials).await;
        let honoured = SubscriptionFilter { extra, ..honoured };
        match denied {
            // Whoever has shown a credential, or none, is told which is wanted.
            Some(denied) if !plan.is_federated() && credentials.principal.is_none() => Err(denied),
            Some(_) | None => Ok(Listened { honoured, own, aside, keep: Box::new((wants, heeded)) }),
        }
    }

    fn open_cursor(&self, kind: ListKind, principal: Option<&Principal>, cursor: &str) -> Result<Position, Failure> {
        let context = cursor_context(kind);
        let opened = self.sealer.open(cursor_binding(principal, &context), cursor).map_err(|error| {
            tracing::info!(%error, "a cursor did not open");
            Rejection::UnknownCursor
        })?;
        Position::decode(kind, &opened).ok_or_else(|| Rejection::UnknownCursor.into())
    }

    fn seal_cursor(
        &self,
        kind: ListKind,
        principal: Option<&Principal>,
        position: &Position,
        plan: &Plan,
    ) -> Result<String, Failure> {
        let context = cursor_context(kind);
        let sealed = self.sealer.seal(cursor_binding(principal, &context), plan.cursor_ttl(), &position.encode());
        sealed.map_err(|error| {
            tracing::error!(%error, "a cursor cannot be sealed");
            Rejection::Internal.into()
        })
    }
}

/// The part of a filter that the rules of a route let through: nobody hears of what he may not read.
///
/// # Errors
/// If they let nobody listen. Legacy clients, who do not ask for that, hear nothing.
fn permitted(plan: &Plan, caller: &Caller, wanted: SubscriptionFilter) -> Result<SubscriptionFilter, Failure> {
    let principal = caller.principal.as_ref();
    let attempt = |method: &'static str, name: Option<&str>| {
        plan.policy.check(&Attempt {
            principal,
            method: Method::parse(method),
            method_name: method,
            name,
            message: None,
        })
    };
    match attempt(Method::SubscriptionsListen.as_str(), None) {
        Ok(()) => {}
        Err(_) if caller.version.era() == Era::Legacy => return Ok(SubscriptionFilter::default()),
        Err(refused) => return Err(refused.into()),
    }
    let readable = |uri: &String| plan.policy.shows(principal, Method::ResourcesRead, uri);
    let known = |id: &String| attempt(TaskMethod::Get.as_str(), Some(id.as_str())).is_ok();
    Ok(SubscriptionFilter {
        resource_subscriptions: wanted.resource_subscriptions.map(|uris| uris.into_iter().filter(readable).collect()),
        task_ids: wanted.task_ids.map(|ids| ids.into_iter().filter(known).collect()),
        ..wanted
    })
}

fn cursor_context(kind: ListKind) -> [&'static [u8]; 2] {
    // The server seals cursors of its own; neither is to open the other's.
    [b"gateway", kind.method().as_str().as_bytes()]
}

fn cursor_binding<'a>(principal: Option<&'a Principal>, context: &'a [&'a [u8]]) -> Binding<'a> {
    Binding { purpose: Purpose::Cursor, principal: principal.map(Principal::id), context }
}

/// The method that an item of a list is called with: what a rule about it names.
const fn item_method(kind: ListKind) -> Method {
    match kind {
        ListKind::Tools => Method::ToolsCall,
        ListKind::Prompts => Method::PromptsGet,
        ListKind::Resources | ListKind::ResourceTemplates => Method::ResourcesRead,
    }
}

fn server_info() -> Arc<str> {
    serde_json::to_string(&info()).unwrap_or_default().into()
}
