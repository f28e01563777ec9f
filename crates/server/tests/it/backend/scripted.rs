//! A backend that does as a test says.

use std::collections::BTreeMap;
use std::sync::Arc;

use anypod_server::proto::discover::DiscoverResult;
use anypod_server::proto::param_header::ParamHeaders;
use anypod_server::proto::subscriptions::SubscriptionFilter;
use anypod_server::proto::version::Version;
use anypod_server::{Answered, Asked, Backend, BoxFuture, Caller, Listened, Refusal};
use bytes::Bytes;
use serde_json::{Value, json};

type Answers = Box<dyn Fn(Asked) -> BoxFuture<'static, Answered> + Send + Sync>;
type Discovers = Box<dyn Fn(Caller) -> BoxFuture<'static, Result<DiscoverResult, Refusal>> + Send + Sync>;
type Listens =
    Box<dyn Fn(Caller, SubscriptionFilter) -> BoxFuture<'static, Result<SubscriptionFilter, Refusal>> + Send + Sync>;

/// By default it answers `done`, has everything, and listens to everything.
pub(super) struct Scripted {
    answers: Answers,
    discovers: Discovers,
    listens: Listens,
    params: BTreeMap<String, Arc<ParamHeaders>>,
    /// One more than listeners for whom it listens.
    pub(super) held: Arc<()>,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            answers: Box::new(|_| Box::pin(async { done() })),
            discovers: Box::new(|_| Box::pin(async { Ok(everything()) })),
            listens: Box::new(|_, wanted| Box::pin(async { Ok(wanted) })),
            params: BTreeMap::new(),
            held: Arc::default(),
        }
    }
}

impl Scripted {
    pub(super) fn answering<F: Future<Output = Answered> + Send + 'static>(
        answers: impl Fn(Asked) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { answers: Box::new(move |asked| Box::pin(answers(asked))), ..Self::default() }
    }

    pub(super) fn discovering<F: Future<Output = Result<DiscoverResult, Refusal>> + Send + 'static>(
        self,
        discovers: impl Fn(Caller) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { discovers: Box::new(move |caller| Box::pin(discovers(caller))), ..self }
    }

    pub(super) fn listening<F: Future<Output = Result<SubscriptionFilter, Refusal>> + Send + 'static>(
        self,
        listens: impl Fn(Caller, SubscriptionFilter) -> F + Send + Sync + 'static,
    ) -> Self {
        Self { listens: Box::new(move |caller, wanted| Box::pin(listens(caller, wanted))), ..self }
    }

    pub(super) fn mirroring(mut self, tool: &str, input_schema: &Value) -> Self {
        let headers = ParamHeaders::from_schema(input_schema).expect("sound annotations");
        self.params.insert(tool.to_owned(), Arc::new(headers));
        self
    }
}

impl Backend for Scripted {
    fn discover(self: Arc<Self>, caller: Caller) -> BoxFuture<'static, Result<DiscoverResult, Refusal>> {
        (self.discovers)(caller)
    }

    fn answer(self: Arc<Self>, asked: Asked) -> BoxFuture<'static, Answered> {
        (self.answers)(asked)
    }

    fn listen(
        self: Arc<Self>,
        caller: Caller,
        wanted: SubscriptionFilter,
    ) -> BoxFuture<'static, Result<Listened, Refusal>> {
        let (honoured, held) = ((self.listens)(caller, wanted), Arc::clone(&self.held));
        Box::pin(
            async move { Ok(Listened { honoured: honoured.await?, own: None, aside: None, keep: Box::new(held) }) },
        )
    }

    fn param_headers(&self, tool: &str) -> Option<Arc<ParamHeaders>> {
        self.params.get(tool).cloned()
    }
}

/// Tools, prompts, resources and Logging.
pub(super) fn everything() -> DiscoverResult {
    let capabilities = json!({
        "tools": { "listChanged": true },
        "prompts": { "listChanged": true },
        "resources": { "subscribe": true },
        "logging": {},
    });
    DiscoverResult::new(&Version::MODERN, serde_json::from_value(capabilities).expect("capabilities"))
}

/// The result of a tool.
pub(super) fn text(text: &str) -> Answered {
    let result = json!({ "resultType": "complete", "content": [{ "type": "text", "text": text }] });
    Answered::Result(Bytes::from(result.to_string()))
}

pub(super) fn done() -> Answered {
    text("done")
}

/// A round that asks for a name.
pub(super) fn asks(state: &str) -> Answered {
    let round = json!({
        "resultType": "input_required",
        "requestState": state,
        "inputRequests": { "name": { "method": "elicitation/create", "params": {
            "mode": "form",
            "message": "Who?",
            "requestedSchema": { "type": "object", "properties": { "name": { "type": "string" } } },
        } } },
    });
    Answered::Asks(serde_json::from_value(round).expect("a round"))
}
