//! A request that one upstream answers: sent there, in its era, and seen through to its answer or its round.

use std::sync::{Arc, LazyLock};

use anypod_client::{Answer, Answers, Call, Notice, Raw, Repeat};
use anypod_proto::header::PARAM_PREFIX;
use anypod_proto::method::Method;
use anypod_proto::reject::Rejection;
use anypod_proto::rounds::InputRequiredResult;
use anypod_proto::version::Era;
use anypod_server::{Answered, Asked};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Desk, Notes, sender, subject};
use crate::cache::{NoResult, Subject, is_plain};
use crate::failure::Failure;
use crate::head::Fields;
use crate::observe::Outcome;
use crate::owner::Owner;
use crate::plan::Plan;
use crate::reach::{Reach, Sender, Under};
use crate::relay::came_to;
use crate::rounds::{Held, Of, State};
use crate::sessions::Session;
use crate::upstream::Tried;

/// In the extensions of a modern request that calls a tool: the arguments that it mirrors into headers.
#[derive(Debug, Clone)]
pub(crate) struct Mirrored(Vec<(HeaderName, HeaderValue)>);

impl Mirrored {
    pub(crate) fn of(fields: &Fields) -> Self {
        Self(fields.beginning_with(PARAM_PREFIX).collect())
    }
}

/// The `resultType` of questions.
const INPUT_REQUIRED: &str = "input_required";
// To prepare a search costs more than to search a short text.
static MENTIONED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(INPUT_REQUIRED));

/// A request on its way to the upstream that it is for.
struct Way<'a> {
    plan: &'a Plan,
    owner: &'a Owner,
    asked: &'a Asked,
    from: &'a Sender,
    of: Of<'a>,
}

impl Desk {
    /// Sends the request to the upstream that it is for.
    pub(super) async fn forward(&self, plan: &Plan, asked: Asked) -> Result<Answered, Failure> {
        let request = Arc::clone(&asked.request);
        let (method, name) = (request.method_name(), subject(&request).unwrap_or_default());
        let principal = asked.caller.principal.as_ref().map(|principal| principal.id());
        let of = Of { principal, method: &method, name: &name };
        let state = match &asked.state {
            Some(token) => Some(of.open(&self.sealer, token)?),
            None => None,
        };
        if let Some(held) = state.as_ref().and_then(|state| state.held.as_ref())
            && held.replica != self.replica.number
        {
            return Box::pin(self.hop(held, &asked)).await;
        }
        let from = sender(&asked.caller);
        let owner = match &*plan.reaches {
            [reach] => Owner::only(reach),
            _ => Box::pin(plan.catalogue.owner(plan, &request, &from)).await?,
        };
        if state.as_ref().is_some_and(|state| *state.upstream != **owner.reach.name()) {
            return Err(Rejection::UnknownState.into());
        }
        Notes::answered_by(&asked.caller, &owner.reach);
        let mut call = call(&asked, &owner, state.as_ref())?;
        // A call that is held was sent with its first round.
        if state.as_ref().is_none_or(|state| state.held.is_none()) {
            mirror(plan, &owner, &asked, &from, &mut call).await?;
        }
        let way = Way { plan, owner: &owner, asked: &asked, from: &from, of };
        let keeps = request.method() == Some(Method::ResourcesRead) && state.is_none() && is_plain(&request);
        match keeps {
            true => Box::pin(self.read(&way, &call)).await,
            false => self.exchange(&way, &call, state.as_ref()).await,
        }
    }

    /// The same for a resource, which may be kept, and be asked for already.
    async fn read(&self, way: &Way<'_>, call: &Call) -> Result<Answered, Failure> {
        let (reach, caller) = (&way.owner.reach, &way.asked.caller);
        let apart = way.from.credentials.kept_apart_by();
        let subject = Subject { upstream: reach.name(), method: way.of.method, detail: way.of.name, apart };
        let ask = || async {
            match self.exchange(way, call, None).await? {
                Answered::Result(result) => Ok(result),
                other @ (Answered::Asks(_) | Answered::Refused(_)) => Err(NoResult::Other(Box::new(other))),
            }
        };
        match way.plan.catalogue.cache.fetch(subject, ask).await {
            Ok(found) => {
                if found.cached {
                    Notes::answered_by(caller, reach);
                    Notes::cached(caller, found.is_fresh());
                }
                Ok(Answered::Result(found.result()))
            }
            Err(NoResult::Failed(failure)) => Err(failure),
            Err(NoResult::Other(other)) => Ok(*other),
        }
    }

    /// Sends a call and waits for its answer; again to another pod, if the answer breaks off and that does no harm.
    async fn exchange(&self, way: &Way<'_>, call: &Call, state: Option<&State>) -> Result<Answered, Failure> {
        let (reach, asked) = (&way.owner.reach, way.asked);
        let mut tried = Tried::default();
        loop {
            let mut under = self.send(reach, call, way.from, state, &mut tried).await?;
            match under.answer(|notice| pass_on(way.owner.notice(notice), asked)).await {
                Ok(answer) => return self.answered_with(way, under.session.as_deref(), answer),
                Err(error) if reach.goes_on(call, &under, &error, &mut tried) => {}
                Err(error) => return Err(Failure::of(reach.name(), error)),
            }
        }
    }

    async fn send(
        &self,
        reach: &Arc<Reach>,
        call: &Call,
        from: &Sender,
        state: Option<&State>,
        tried: &mut Tried,
    ) -> Result<Under, Failure> {
        let Some(held) = state.and_then(|state| state.held.as_ref()) else {
            return reach.send(call, from, tried).await;
        };
        let session = reach.sessions.find(held.session).ok_or(Failure::HolderGone)?;
        let exchange = session.upstream.send(call).await.map_err(|error| Failure::of(reach.name(), error))?;
        let patience = reach.patience();
        Ok(Under { exchange, patience, session: Some(session), picked: None })
    }

    fn answered_with(&self, way: &Way<'_>, session: Option<&Session>, answer: Answer) -> Result<Answered, Failure> {
        let caller = &way.asked.caller;
        let raw = match answer {
            Answer::Error(error) => return Err(error.into()),
            Answer::Result(raw) => raw,
        };
        if let Some(questions) = questions(raw.as_bytes()) {
            Notes::came_to(caller, Outcome::Asked);
            return self.asks(way, session, questions);
        }
        if let Some(outcome) = came_to(raw.as_bytes()) {
            Notes::came_to(caller, outcome);
        }
        Ok(Answered::Result(way.owner.result(way.of.method, raw.as_bytes().clone())))
    }

    /// The end of a round, with its state sealed.
    fn asks(
        &self,
        way: &Way<'_>,
        session: Option<&Session>,
        mut questions: InputRequiredResult,
    ) -> Result<Answered, Failure> {
        let held = session.map(|session| Held {
            replica: self.replica.number,
            address: self.replica.address().to_owned(),
            session: session.number,
        });
        let inner = questions.request_state.take();
        let state = State { upstream: way.owner.reach.name().to_string(), held, inner };
        questions.request_state = Some(way.of.seal(&self.sealer, way.plan.round_ttl(), &state)?);
        Ok(Answered::Asks(questions))
    }
}

/// The request as a call of the upstream.
fn call(asked: &Asked, owner: &Owner, state: Option<&State>) -> Result<Call, Failure> {
    let mut call = Call::of_request(&asked.request)?;
    owner.rename(&mut call)?;
    call.log_level = asked.caller.log_level;
    call.answers = match state {
        None if asked.responses.is_empty() => None,
        _ => Some(Answers { responses: responses(asked)?, state: state.and_then(|state| state.inner.clone()) }),
    };
    if call.known() == Some(Method::ToolsCall) && call.name.as_ref().is_some_and(|name| owner.reach.is_idempotent(name))
    {
        call.repeat = Repeat::Safe;
    }
    Ok(call)
}

/// The answers to the questions of the round before, as they came.
pub(super) fn responses(asked: &Asked) -> Result<Option<Raw>, Failure> {
    if asked.responses.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_vec(&asked.responses).map_err(|_| Rejection::Internal)?;
    Raw::parse(Bytes::from(text)).map(Some).map_err(|_| Rejection::Internal.into())
}

/// Mirrors arguments into headers, where a modern upstream wants that: a legacy client does not know how, and a modern one
/// has done so already. A legacy upstream cannot hold one against the other, so that is done here.
async fn mirror(plan: &Plan, owner: &Owner, asked: &Asked, from: &Sender, call: &mut Call) -> Result<(), Failure> {
    if call.known() != Some(Method::ToolsCall) {
        return Ok(());
    }
    let Some(tool) = call.name.as_deref() else { return Ok(()) };
    let arguments = asked.request.arguments();
    let mirrored = asked.caller.extensions.get::<Mirrored>();
    match (mirrored.filter(|_| asked.caller.version.era() == Era::Modern), owner.reach.era(from).await?) {
        (Some(Mirrored(headers)), Era::Modern) => call.param_headers.clone_from(headers),
        (Some(Mirrored(headers)), Era::Legacy) => {
            // What is not known is not checked.
            let Ok(Some(wanted)) = plan.catalogue.mirrored(&owner.reach, tool, from).await else { return Ok(()) };
            let mut found = HeaderMap::new();
            found.extend(headers.iter().cloned());
            wanted.check(&found, arguments).map_err(Rejection::ParamHeader)?;
        }
        (None, Era::Legacy) => {}
        (None, Era::Modern) => {
            let Some(wanted) = plan.catalogue.mirrored(&owner.reach, tool, from).await? else { return Ok(()) };
            let arguments: Value = serde_json::from_str(arguments.unwrap_or("{}")).unwrap_or_default();
            call.param_headers = wanted.encode(&arguments).map_err(|error| {
                let (field, expected) = ("params.arguments", "numbers that a header can carry");
                Rejection::ParamMalformed { field, expected, found: error.to_string() }
            })?;
        }
    }
    Ok(())
}

/// Passes on what is said about a request. Progress bears the token of the gateway's own request; the client knows another.
pub(super) fn pass_on(notice: Notice, asked: &Asked) {
    let notice = match asked.request.progress_token() {
        Some(token) => notice.with_token(token),
        None => notice,
    };
    if let Ok(params) = serde_json::from_slice::<&RawValue>(notice.params.as_bytes()) {
        asked.notices.send(&notice.method, params);
    }
}

/// The questions, if the result is some.
pub(super) fn questions(result: &[u8]) -> Option<InputRequiredResult> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind<'a> {
        #[serde(borrow)]
        result_type: Option<std::borrow::Cow<'a, str>>,
    }
    MENTIONED.find(result)?;
    let kind: Kind<'_> = serde_json::from_slice(result).ok()?;
    kind.result_type.filter(|kind| kind == INPUT_REQUIRED)?;
    serde_json::from_slice(result).ok()
}
