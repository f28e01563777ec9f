//! From an admitted request to whatever answers it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anypod_proto::completion::{CompleteResult, CompletionReference};
use anypod_proto::method::Method;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::rounds::InputRequiredResult;
use anypod_proto::seal::{Purpose, digest};
use anypod_proto::tools::CallToolResult;
use anypod_proto::version::Version;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::completed::{Completed, Failure};
use crate::completion::Params;
use crate::cx::{CallState, Client, Cx};
use crate::extension::{ToolCall, Verdict};
use crate::front::asked::Line;
use crate::journal::{Journal, Pending, Record, Volunteers};
use crate::listing::Listing;
use crate::outbox::Outbox;
use crate::principal::Principal;
use crate::registry::{TemplateEntry, ToolEntry};
use crate::run::{BackendRun, Described, First, HandlerRun, Last, Run, Work, failure};
use crate::server::Server;
use crate::tokens::{Binding, SameCall};
use crate::tool::Uses;

/// One call to the server, whoever makes it: a modern client, or the front on behalf of a legacy one.
pub(crate) struct Call {
    pub(crate) request: Arc<Request>,
    pub(crate) client: Client,
    pub(crate) principal: Option<Principal>,
    pub(crate) outbox: Arc<Outbox>,
    /// What the caller brings back from the round before.
    pub(crate) resume: Resume,
    /// The way to the client, where it can be asked while the call works.
    pub(crate) line: Option<Line>,
    /// What came with the HTTP request, for a backend; none where there is no backend to see it.
    pub(crate) extensions: Option<Arc<http::Extensions>>,
}

impl Call {
    /// The revision that its client speaks.
    fn revision(&self) -> Version {
        self.client.revision(&self.request)
    }

    /// Whether this is a further round of a call that was let in. Only the front can say so, which keeps the
    /// state to itself: a modern client could send one state for ever.
    fn goes_on(&self) -> bool {
        matches!(self.client, Client::Legacy(_)) && self.resume.state.is_some()
    }
}

/// What a caller brings back from the round before.
#[derive(Debug, Default)]
pub(crate) struct Resume {
    pub(crate) state: Option<String>,
    /// As they came: read, a response can take a hundred times the memory, and it may be asked for never.
    pub(crate) responses: BTreeMap<String, Box<RawValue>>,
    pub(crate) volunteers: Volunteers,
    /// The progress that this request has reported, if it is still the same request.
    pub(crate) reported: Option<f64>,
}

impl Resume {
    /// The same, without answers to questions that the state does not say were asked: a token that works
    /// once would be worth nothing if a client could do without it.
    fn only_vouched_for(self) -> Self {
        Self { volunteers: Volunteers::Ignored, ..self }
    }

    /// What a modern request brings.
    pub(crate) fn of(request: &Request) -> Result<Self, Rejection> {
        let responses = match request.input_responses() {
            None => BTreeMap::new(),
            Some(raw) => serde_json::from_str(raw).map_err(|error| Rejection::ParamMalformed {
                field: "params.inputResponses",
                expected: "an object of responses",
                found: error.to_string(),
            })?,
        };
        let state = request.request_state().map(std::borrow::Cow::into_owned);
        Ok(Self { state, responses, volunteers: Volunteers::Taken, reported: None })
    }

    /// Whether this is the first round.
    fn is_first(&self) -> bool {
        self.state.is_none() && self.responses.is_empty()
    }
}

/// A call that has been started.
pub(crate) enum Started {
    /// It is through already.
    Done(Completed),
    /// A handler or the backend is at work.
    Running(Run),
}

impl Server {
    /// Starts a call. Everything up to the handler's first step happens here, without waiting.
    pub(crate) fn start(&self, call: Call) -> Result<Started, Failure> {
        let request = Arc::clone(&call.request);
        if let Some(backend) = &self.inner.backend {
            self.limit(request.method().is_none_or(starts_work), &call)?;
            return Ok(Started::Running(Run::Backend(BackendRun::start(backend, call))));
        }
        let Some(method) = request.method().filter(|method| self.offers(*method)) else {
            return self.call_extension(call);
        };
        self.limit(starts_work(method), &call)?;
        match method {
            Method::Discover => Ok(Started::Done(Completed::Ready(Arc::clone(&self.inner.discover)))),
            Method::ToolsList => self.list(&call, method, self.inner.registry.lists.tools(call.revision())),
            Method::PromptsList => self.list(&call, method, &self.inner.registry.lists.prompts),
            Method::ResourcesList => self.list(&call, method, &self.inner.registry.lists.resources),
            Method::ResourceTemplatesList => self.list(&call, method, &self.inner.registry.lists.templates),
            Method::ToolsCall => self.call_tool(call),
            Method::PromptsGet => self.get_prompt(call),
            Method::ResourcesRead => self.read_resource(call),
            Method::Complete => self.complete(call),
            // Listening is a stream of its own; transports see to it before they come here.
            Method::SubscriptionsListen => Err(unknown_method(&request)),
        }
    }

    /// Counts a call that starts work.
    fn limit(&self, starts_work: bool, call: &Call) -> Result<(), Rejection> {
        match &self.inner.limiter {
            Some(limiter) if starts_work && !call.goes_on() => limiter.take(),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the server has what `method` is about; a server without prompts does not know `prompts/list`.
    fn offers(&self, method: Method) -> bool {
        let capabilities = &self.inner.capabilities;
        match method {
            Method::ToolsList | Method::ToolsCall => capabilities.tools.is_some(),
            Method::PromptsList | Method::PromptsGet => capabilities.prompts.is_some(),
            Method::ResourcesList | Method::ResourceTemplatesList | Method::ResourcesRead => {
                capabilities.resources.is_some()
            }
            Method::Complete => capabilities.completions.is_some(),
            Method::Discover | Method::SubscriptionsListen => true,
        }
    }

    fn list(&self, call: &Call, method: Method, listing: &Listing) -> Result<Started, Failure> {
        let (identity, size) = (&self.inner.identity, self.inner.limits().page_items);
        if call.request.cursor().is_none()
            && let Some(whole) = listing.whole(identity, size)
        {
            return Ok(Started::Done(Completed::Ready(whole)));
        }
        let principal = call.principal.as_ref().map(Principal::id);
        let context = [method.as_str().as_bytes()];
        let binding = Binding { purpose: Purpose::Cursor, principal, context: &context };
        let after = match call.request.cursor() {
            None => None,
            Some(cursor) => Some(self.open_cursor(binding, &cursor)?),
        };
        let page = listing.page(after.as_deref(), size)?;
        let cursor = match page.next_after {
            None => None,
            Some(name) => {
                let ttl = self.inner.limits().cursor_ttl_secs;
                let sealed = self.inner.tokens.seal(&self.inner.outside, binding, ttl, name.as_bytes());
                Some(sealed.map_err(|error| {
                    tracing::error!(%error, "a cursor cannot be sealed");
                    Rejection::Internal
                })?)
            }
        };
        Ok(Started::Done(Completed::Ready(listing.result(identity, &page, cursor.as_deref()).into())))
    }

    fn open_cursor(&self, binding: Binding<'_>, cursor: &str) -> Result<String, Rejection> {
        let name = self.inner.tokens.open(&self.inner.outside, binding, cursor).map_err(|error| {
            tracing::info!(%error, "a cursor did not open");
            Rejection::UnknownCursor
        })?;
        String::from_utf8(name).map_err(|_| Rejection::UnknownCursor)
    }

    fn call_tool(&self, call: Call) -> Result<Started, Failure> {
        let name = call.request.name().ok_or(Rejection::ParamMissing("params.name"))?;
        let tool = self.inner.registry.tools.get(&*name).ok_or_else(|| unknown("tool", &name))?;
        if let Err(violations) = tool.input.validate_raw(call.request.arguments().unwrap_or("{}")) {
            // For the model to read and to correct itself. Spec: server/tools, "Error Handling".
            let text = format!("invalid arguments:\n{violations}");
            drop(name);
            self.unfit(call, &tool.marks, &text)?;
            return Ok(Started::Done(Completed::Tool(CallToolResult::error(text))));
        }
        drop(name);
        let claim = self.claim(tool, &call);
        let call = match tool.uses {
            Uses::Many => call,
            Uses::Single => Call { resume: call.resume.only_vouched_for(), ..call },
        };
        let state = self.call_state(call)?;
        let running = (tool.handler)(Cx::new(Arc::clone(&state)));
        let (intercepted, last) = self.intercept(&state, &tool.marks);
        let first = match (claim, intercepted) {
            (first, None) | (None, first) => first,
            (Some(claim), Some(intercepted)) => Some(Box::pin(async move {
                match claim.await? {
                    None => intercepted.await,
                    done => Ok(done),
                }
            }) as First),
        };
        let run = HandlerRun::new(state, Work::Tool(running)).after(first).before(last);
        Ok(Started::Running(Run::Handler(run)))
    }

    /// What extensions do before a tool runs, and with its result.
    pub(crate) fn intercept(&self, state: &Arc<CallState>, marks: &http::Extensions) -> (Option<First>, Option<Last>) {
        if self.inner.registry.extensions.intercepts.is_empty() {
            return (None, None);
        }
        let name = state.request.name().unwrap_or_default().into_owned();
        let call = ToolCall::new(Cx::new(Arc::clone(state)), name, marks.clone());
        let (server, later) = (self.clone(), (self.clone(), call.clone()));
        let first = Box::pin(async move {
            for intercept in &server.inner.registry.extensions.intercepts {
                match intercept.before(&call).await {
                    Ok(Verdict::GoOn) => {}
                    Ok(Verdict::Answer(result)) => return Ok(Some(Completed::Method(result))),
                    Err(error) => return error.into_tool_failure(),
                }
            }
            Ok(None)
        });
        let last = Box::new(move |result: &mut CallToolResult| {
            let (server, call) = later;
            server.inner.registry.extensions.intercepts.iter().for_each(|intercept| intercept.after(&call, result));
        });
        (Some(first), Some(last))
    }

    /// Lets extensions refuse a call whose arguments are not in order.
    fn unfit(&self, call: Call, marks: &http::Extensions, problem: &str) -> Result<(), Failure> {
        let intercepts = &self.inner.registry.extensions.intercepts;
        if intercepts.is_empty() {
            return Ok(());
        }
        let name = call.request.name().unwrap_or_default().into_owned();
        let call = ToolCall::new(Cx::new(self.call_state(call)?), name, marks.clone());
        intercepts.iter().try_for_each(|intercept| intercept.unfit(&call, problem)).map_err(failure)
    }

    /// Calls a method of an extension.
    fn call_extension(&self, call: Call) -> Result<Started, Failure> {
        let (extensions, name) = (&self.inner.registry.extensions, call.request.method_name());
        // Legacy clients cannot declare extensions, and know the methods only that are there for them.
        let method = match &call.client {
            Client::Modern => extensions.methods.get(&*name),
            Client::Legacy(client) => extensions.sessions.method(&name, client.version),
        };
        let method = method.ok_or_else(|| unknown_method(&call.request))?;
        drop(name);
        if matches!(call.client, Client::Modern) {
            method.check(&call.client.capabilities(&call.request))?;
        }
        self.limit(true, &call)?;
        let state = self.call_state(call)?;
        let running = (method.handler)(Cx::new(Arc::clone(&state)));
        Ok(Started::Running(Run::Handler(HandlerRun::new(state, Work::Method(running)))))
    }

    fn get_prompt(&self, call: Call) -> Result<Started, Failure> {
        let name = call.request.name().ok_or(Rejection::ParamMissing("params.name"))?;
        let prompt = self.inner.registry.prompts.get(&*name).ok_or_else(|| unknown("prompt", &name))?;
        let given = call.request.arguments().unwrap_or("{}");
        let given: BTreeMap<String, Value> =
            serde_json::from_str(given).map_err(|error| Rejection::ParamMalformed {
                field: "params.arguments",
                expected: "an object of strings",
                found: error.to_string(),
            })?;
        for argument in prompt.definition.arguments.iter().flatten() {
            match given.get(&argument.name) {
                Some(Value::String(_)) => {}
                None if argument.required != Some(true) => {}
                None => return Err(bad_argument(&argument.name, "is required")),
                Some(_) => return Err(bad_argument(&argument.name, "must be a string")),
            }
        }
        let state = self.call_state(call)?;
        let running = (prompt.handler)(Cx::new(Arc::clone(&state)));
        Ok(Started::Running(handler(state, Work::Prompt(running))))
    }

    fn read_resource(&self, call: Call) -> Result<Started, Failure> {
        let uri = call.request.uri().ok_or(Rejection::ParamMissing("params.uri"))?.into_owned();
        // Spec: server/utilities/caching, "Cache Key".
        let cache = |hint| call.resume.is_first().then_some(hint);
        if let Some(resource) = self.inner.registry.resources.get(&uri) {
            let cache = cache(resource.reader.cache);
            let described = Described { uri, mime_type: resource.definition.mime_type.clone(), cache };
            let state = self.call_state(call)?;
            let running = (resource.reader.handler)(Cx::new(Arc::clone(&state)));
            return Ok(Started::Running(handler(state, Work::Read(running, described))));
        }
        let Some((entry, variables)) = self.match_template(&uri) else {
            return Err(Rejection::Unknown { what: "resource", key: "uri", name: uri }.into());
        };
        let definition = &entry.resource.definition;
        let cache = cache(entry.resource.reader.cache);
        let described = Described { uri, mime_type: definition.mime_type.clone(), cache };
        let state = self.call_state_with(call, variables)?;
        let running = (entry.resource.reader.handler)(Cx::new(Arc::clone(&state)));
        Ok(Started::Running(handler(state, Work::Read(running, described))))
    }

    fn match_template(&self, uri: &str) -> Option<(&TemplateEntry, BTreeMap<String, String>)> {
        self.inner.registry.templates.iter().find_map(|entry| {
            let variables = entry.template.match_uri(uri)?;
            if is_file(uri) && variables.iter().any(|(_, value)| climbs(value)) {
                return None;
            }
            Some((entry, variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
        })
    }

    fn complete(&self, call: Call) -> Result<Started, Failure> {
        let params: Params = serde_json::from_str(call.request.params()).map_err(|error| {
            Rejection::ParamMalformed { field: "params", expected: "`ref` and `argument`", found: error.to_string() }
        })?;
        let argument = params.argument.name.as_str();
        let registry = &self.inner.registry;
        let (known, completer) = match &params.reference {
            CompletionReference::Prompt(prompt) => {
                let prompt = registry.prompts.get(&prompt.name).ok_or_else(|| unknown("prompt", &prompt.name))?;
                let known = prompt.definition.arguments.iter().flatten().any(|known| known.name == argument);
                (known, prompt.completers.get(argument))
            }
            CompletionReference::Resource(resource) => {
                let entry = registry.templates.iter().find(|entry| {
                    entry.resource.definition.uri_template == resource.uri
                        || entry.template.match_uri(&resource.uri).is_some()
                });
                let entry = entry.ok_or_else(|| Rejection::Unknown {
                    what: "resource template",
                    key: "uri",
                    name: resource.uri.chars().take(256).collect(),
                })?;
                let known = entry.template.variables().any(|known| known == argument);
                (known, entry.resource.completers.get(argument))
            }
        };
        if !known {
            return Err(unknown("argument", argument).into());
        }
        // An argument without suggestions is no error: the list is empty.
        let Some(completer) = completer else {
            return Ok(Started::Done(Completed::Completion(CompleteResult::default())));
        };
        let state = self.call_state(call)?;
        let running = (completer.handler)(Cx::new(Arc::clone(&state)));
        Ok(Started::Running(handler(state, Work::Complete(running))))
    }

    fn call_state(&self, call: Call) -> Result<Arc<CallState>, Failure> {
        self.call_state_with(call, BTreeMap::new())
    }

    fn call_state_with(&self, call: Call, variables: BTreeMap<String, String>) -> Result<Arc<CallState>, Failure> {
        let Call { request, client, principal, outbox, resume, line, extensions: _ } = call;
        let reported = resume.reported;
        let journal = match resume.state {
            None if resume.responses.is_empty() => Journal::default(),
            None => Journal::resume(Record::default(), resume.responses, resume.volunteers)?,
            Some(state) => {
                let id = principal.as_ref().map(Principal::id);
                let record = SameCall::of(&request).open(&self.inner.tokens, &self.inner.outside, id, &state)?;
                Journal::resume(record, resume.responses, resume.volunteers)?
            }
        };
        let mut state = CallState::new(self.clone(), request, client, principal, outbox, journal, reported);
        state.variables = variables;
        state.line = line;
        Ok(Arc::new(state))
    }

    /// Marks the state of a single-use tool as used.
    fn claim(&self, tool: &ToolEntry, call: &Call) -> Option<First> {
        let (Uses::Single, Some(state), Some(once)) = (tool.uses, &call.resume.state, &self.inner.once) else {
            return None;
        };
        let (once, token) = (Arc::clone(once), digest(&[state.as_bytes()]));
        let now = self.inner.outside.now();
        let until = anypod_proto::seal::UnixSeconds(now.0.saturating_add(self.inner.limits().round_ttl_secs));
        Some(Box::pin(async move {
            match once.claim(token, now, until).await {
                Ok(true) => Ok(None),
                Ok(false) => Err(Rejection::UnknownState.into()),
                Err(error) => {
                    tracing::error!(%error, "cannot tell whether a requestState was used");
                    Err(Rejection::Busy { retry_after_secs: 1 }.into())
                }
            }
        }))
    }

    /// What goes to the client at the end of a round.
    pub(crate) fn seal_round(
        &self,
        call: &CallState,
        pending: Vec<Pending>,
        record: &Record,
    ) -> Result<InputRequiredResult, Failure> {
        let principal = call.principal.as_ref().map(Principal::id);
        let ttl = self.inner.limits().round_ttl_secs;
        let state = SameCall::of(&call.request)
            .seal(&self.inner.tokens, &self.inner.outside, principal, ttl, record)
            .map_err(failure)?;
        let questions = pending.into_iter().map(|pending| (pending.key, pending.request)).collect();
        Ok(InputRequiredResult::new(questions).with_request_state(state))
    }
}

fn handler(state: Arc<CallState>, work: Work) -> Run {
    Run::Handler(HandlerRun::new(state, work))
}

fn is_file(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("file"))
}

/// Whether a path, with its variable in it, may lead out of the directory that the template stands for.
/// Spec: server/resources, "Security Considerations".
fn climbs(value: &str) -> bool {
    value.split(['/', '\\']).any(|segment| segment == "..")
}

/// Whether a handler runs.
const fn starts_work(method: Method) -> bool {
    match method {
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::Complete => true,
        Method::Discover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::SubscriptionsListen => false,
    }
}

fn unknown(what: &'static str, name: &str) -> Rejection {
    Rejection::Unknown { what, key: "name", name: name.chars().take(256).collect() }
}

pub(crate) fn unknown_method(request: &Request) -> Failure {
    Rejection::UnknownMethod(request.method_name().chars().take(256).collect()).into()
}

fn bad_argument(name: &str, problem: &'static str) -> Failure {
    Rejection::Argument { name: name.to_owned(), problem }.into()
}
