//! A client for tests: modern, in process, and answering questions from a script.

mod answers;
mod legacy;
mod listener;
mod tools;

use std::fmt;
use std::sync::Arc;

use anypod_server::Principal;
use anypod_server::proto::logging::LoggingLevel;
use anypod_server::proto::meta;
use anypod_server::proto::method::{ClientMethod, Method};
use anypod_server::proto::version::Version;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use self::answers::Answers;
use self::tools::Tools;
use crate::error::{CallError, Refusal};
use crate::fleet::Fleet;
use crate::message::{Exchange, Kind, Repeat, Sent, Step, mirrored_name};
use crate::replica::Served;

pub use self::answers::{accept, cancel, decline};
pub use self::legacy::LegacyClient;
pub use self::listener::Listener;

/// The most rounds that one call may take.
const MAX_ROUNDS: usize = 32;

/// The most pages that one list may have.
const MAX_PAGES: usize = 1000;

/// A modern client of a [`Fleet`]. Keeps nothing that a server would have to know; clone it at will.
///
/// It declares every capability, asks every request for progress, and lists the tools before the first
/// [`Client::call_tool`], because their schemas say which arguments are mirrored into headers.
///
/// A handler that asks is tested by saying what the person answers:
///
/// ```
/// use anypod_server::proto::{method::ClientMethod, version::Version};
/// use anypod_server::{BuildError, Cx, Result, Server, Tool, form};
/// use anypod_testkit::{Check, Client, Replica, accept, decline};
/// use serde_json::json;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Name { name: String }
///
/// async fn greet(cx: Cx) -> Result<String> {
///     match cx.ask("name", form::<Name>("Who are you?")).await?.into_accepted() {
///         Some(Name { name }) => Ok(format!("Hello, {name}!")),
///         None => Ok("Hello, stranger!".to_owned()),
///     }
/// }
///
/// fn greeter(replica: &Replica) -> Result<Server, BuildError> {
///     replica.configure(Server::new("greeter", "1.0.0").tool(Tool::new("greet", greet))).build()
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let scenario = async |client: Client| {
///     let ann = client.clone().answer("name", accept(json!({ "name": "Ann" })));
///     assert_eq!(ann.call_tool("greet", json!({})).await?.text(), "Hello, Ann!");
///     // The same handler, asked by way of a client of an earlier revision, which sees no keys.
///     let shy = client.answer_every(ClientMethod::Elicit, |_| decline()).legacy(Version::V2025_11_25).await?;
///     assert_eq!(shy.call_tool("greet", json!({})).await?.text(), "Hello, stranger!");
///     Ok(())
/// };
/// Check::new(greeter).run(scenario).await.unwrap();
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    fleet: Fleet,
    capabilities: Value,
    log_level: Option<LoggingLevel>,
    principal: Option<Principal>,
    answers: Answers,
    tools: Arc<OnceCell<Tools>>,
}

/// The answer to a call, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result.
    pub result: Value,
    /// The notifications of all rounds.
    pub notifications: Vec<Value>,
    /// Who served each round.
    pub served_by: Vec<Served>,
}

impl Answer {
    /// The text of the first block of content: of a tool's result, of a prompt's first message, or of a
    /// resource. Empty if there is none.
    pub fn text(&self) -> &str {
        let places = ["/content/0/text", "/messages/0/content/text", "/contents/0/text"];
        places.iter().find_map(|place| self.result.pointer(place)?.as_str()).unwrap_or_default()
    }

    /// The structured content of a tool's result; null if there is none.
    pub fn structured(&self) -> &Value {
        &self.result["structuredContent"]
    }

    /// Whether a tool's result is an error for the model to read.
    pub fn is_error(&self) -> bool {
        self.result["isError"] == true
    }
}

impl Client {
    pub(crate) fn new(fleet: Fleet) -> Self {
        let capabilities = json!({
            "elicitation": { "form": {}, "url": {} },
            "sampling": { "context": {}, "tools": {} },
            "roots": {},
        });
        let (answers, tools) = (Answers::default(), Arc::default());
        Self { fleet, capabilities, log_level: None, principal: None, answers, tools }
    }

    /// The fleet that it calls.
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Declares these capabilities and no others.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Value) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Calls as this principal, as if a layer in front of the server had authenticated it.
    #[must_use]
    pub fn principal(mut self, principal: Principal) -> Self {
        self.principal = Some(principal);
        // Another principal may see other tools.
        self.tools = Arc::default();
        self
    }

    /// Asks for log messages of this level and above.
    #[must_use]
    pub const fn log_level(mut self, level: LoggingLevel) -> Self {
        self.log_level = Some(level);
        self
    }

    /// Answers the question of that key; see [`accept`], [`decline`] and [`cancel`]. Legacy clients are not told
    /// the key: see [`Client::answer_every`].
    #[must_use]
    pub fn answer(self, key: impl Into<String>, answer: Value) -> Self {
        self.answer_with(key, move |_| answer.clone())
    }

    /// Answers the question of that key with what `answer` makes of it: of its `method` and `params`.
    #[must_use]
    pub fn answer_with(
        mut self,
        key: impl Into<String>,
        answer: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        self.answers.by_key(key.into(), answer);
        self
    }

    /// Answers every question of a kind that no [`Client::answer`] is for.
    #[must_use]
    pub fn answer_every(
        mut self,
        method: ClientMethod,
        answer: impl Fn(&Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        self.answers.by_method(method, answer);
        self
    }

    /// Calls a tool, through all its rounds. A result that is an error for the model to read is a result.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_tool(&self, name: &str, arguments: Value) -> Result<Answer, CallError> {
        self.follow(Method::ToolsCall, json!({ "name": name, "arguments": arguments })).await
    }

    /// Renders a prompt, through all its rounds.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn prompt(&self, name: &str, arguments: Value) -> Result<Answer, CallError> {
        self.follow(Method::PromptsGet, json!({ "name": name, "arguments": arguments })).await
    }

    /// Reads a resource, through all its rounds.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn read(&self, uri: &str) -> Result<Answer, CallError> {
        self.follow(Method::ResourcesRead, json!({ "uri": uri })).await
    }

    /// Asks for suggestions. `reference` says what for, as in `{"type": "ref/prompt", "name": "greet"}`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn complete(&self, reference: Value, argument: &str, value: &str) -> Result<Answer, CallError> {
        let params = json!({ "ref": reference, "argument": { "name": argument, "value": value } });
        self.follow(Method::Complete, params).await
    }

    /// Asks what the server is and can do.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn discover(&self) -> Result<Answer, CallError> {
        self.follow(Method::Discover, json!({})).await
    }

    /// The items of a list, from all its pages. `method` is one of the four that list.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn list_all(&self, method: Method) -> Result<Vec<Value>, CallError> {
        let call = self.fleet.begin_call();
        let mut params = Map::new();
        let mut items = Vec::new();
        let mut before = None;
        for part in 1..=MAX_PAGES {
            let sent = self.sent(Step { call, part }, method.as_str(), Value::Object(params.clone())).await;
            let page = exchange(&self.fleet, sent, before).await?;
            before = page.served_by.first().copied();
            items.extend(listed(method, &page.result).iter().flat_map(|items| items.iter().cloned()));
            let Some(cursor) = page.result.get("nextCursor") else { return Ok(items) };
            params.insert("cursor".to_owned(), cursor.clone());
        }
        Err(CallError::Endless(MAX_PAGES))
    }

    /// Sends one request with the headers that belong to it, and follows no rounds. What `params` has of
    /// `_meta` goes before what the client puts there.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn request(&self, method: &str, params: Value) -> Result<Answer, CallError> {
        let step = Step { call: self.fleet.begin_call(), part: 1 };
        exchange(&self.fleet, self.sent(step, method, params).await, None).await
    }

    /// Listens for changes. `filter` says for which, as in `{"toolsListChanged": true}`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn listen(&self, filter: Value) -> Result<Listener, CallError> {
        let step = Step { call: self.fleet.begin_call(), part: 1 };
        let params = json!({ "notifications": filter });
        Listener::open(&self.fleet, self.sent(step, Method::SubscriptionsListen.as_str(), params).await).await
    }

    /// A legacy client with the same capabilities, answers and principal, which opens a session at once. Of the
    /// answers it gives those of [`Client::answer_every`], because its questions have no keys.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn legacy(&self, version: Version) -> Result<LegacyClient, CallError> {
        LegacyClient::open(self, version).await
    }

    /// Calls, and answers until there is nothing more to answer.
    async fn follow(&self, method: Method, mut params: Value) -> Result<Answer, CallError> {
        // The tools are listed before the call begins, so that steps are counted in order.
        if method == Method::ToolsCall {
            self.tools().await;
        }
        let call = self.fleet.begin_call();
        let mut notifications = Vec::new();
        let mut served_by: Vec<Served> = Vec::new();
        for part in 1..=MAX_ROUNDS {
            let sent = self.sent(Step { call, part }, method.as_str(), params.clone()).await;
            let round = exchange(&self.fleet, sent, served_by.last().copied()).await?;
            notifications.extend(round.notifications);
            served_by.extend(round.served_by);
            if round.result["resultType"] != "input_required" {
                return Ok(Answer { result: round.result, notifications, served_by });
            }
            self.prepare_next(&mut params, &round.result)?;
        }
        Err(CallError::Endless(MAX_ROUNDS))
    }

    /// Puts the answers, and the state, into the parameters of the next round.
    fn prepare_next(&self, params: &mut Value, round: &Value) -> Result<(), CallError> {
        let questions = round["inputRequests"].as_object().cloned().unwrap_or_default();
        let responses: Result<Map<String, Value>, CallError> = questions
            .into_iter()
            .map(|(key, question)| match self.answers.to(&key, &question) {
                Some(answer) => Ok((key, answer)),
                None => Err(CallError::Unanswered { key, question }),
            })
            .collect();
        params["inputResponses"] = Value::Object(responses?);
        match round.get("requestState") {
            Some(state) => params["requestState"] = state.clone(),
            None => drop(params.as_object_mut().and_then(|params| params.remove("requestState"))),
        }
        Ok(())
    }

    /// A request with everything that belongs to it.
    async fn sent(&self, step: Step, method: &str, mut params: Value) -> Sent {
        let name = mirrored_name(method, &params);
        let (mut mirrored, mut repeat) = (Vec::new(), repeat(method));
        if let (Some(Method::ToolsCall), Some(name)) = (Method::parse(method), &name) {
            let tools = self.tools().await;
            mirrored = tools.mirrored(name, &params["arguments"]);
            repeat = tools.repeat(name);
        }
        let mut meta = self.meta(step);
        if let Some(Value::Object(own)) = params.get("_meta") {
            meta.extend(own.clone());
        }
        params["_meta"] = Value::Object(meta);
        let principal = self.principal.clone();
        Sent { kind: Kind::Modern, step, method: method.to_owned(), name, params, mirrored, principal, repeat }
    }

    fn meta(&self, step: Step) -> Map<String, Value> {
        let mut meta = Map::new();
        let info = json!({ "name": "anypod-testkit", "version": env!("CARGO_PKG_VERSION") });
        meta.insert(meta::PROTOCOL_VERSION.to_owned(), Version::LATEST.as_str().into());
        meta.insert(meta::CLIENT_INFO.to_owned(), info);
        meta.insert(meta::CLIENT_CAPABILITIES.to_owned(), self.capabilities.clone());
        meta.insert(meta::PROGRESS_TOKEN.to_owned(), step.to_string().into());
        if let Some(level) = self.log_level {
            meta.insert(meta::LOG_LEVEL.to_owned(), json!(level));
        }
        meta
    }

    /// The tools, listed once. A server that does not list them has none that need anything special.
    async fn tools(&self) -> &Tools {
        let list = async || Tools::new(Box::pin(self.list_all(Method::ToolsList)).await.unwrap_or_default());
        self.tools.get_or_init(list).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("fleet", &self.fleet).finish_non_exhaustive()
    }
}

/// One request and its answer.
async fn exchange(fleet: &Fleet, sent: Sent, before: Option<Served>) -> Result<Answer, CallError> {
    answer(fleet.exchange(sent, before).await?)
}

/// The answer that an exchange ended with.
fn answer(Exchange { served, reply, .. }: Exchange) -> Result<Answer, CallError> {
    let reply = reply.map_err(|source| CallError::Broken { served, source })?;
    match reply.answer.get("result") {
        Some(result) => {
            // What has an id is a question to a legacy client, which was answered.
            let notifications = reply.notifications.iter().filter(|message| message.get("id").is_none());
            let notifications = notifications.cloned().collect();
            Ok(Answer { result: result.clone(), notifications, served_by: vec![served] })
        }
        None => Err(CallError::Refused(Box::new(Refusal::new(served, &reply)))),
    }
}

/// What has no effect by its nature may be asked of every replica. Tools say for themselves.
fn repeat(method: &str) -> Repeat {
    match Method::parse(method) {
        Some(
            Method::Discover
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourceTemplatesList
            | Method::ResourcesRead,
        ) => Repeat::SameBytes,
        Some(Method::PromptsGet | Method::Complete) => Repeat::SameJson,
        Some(Method::ToolsCall | Method::SubscriptionsListen) | None => Repeat::No,
    }
}

fn listed(method: Method, result: &Value) -> Option<&Vec<Value>> {
    let member = match method {
        Method::ToolsList => "tools",
        Method::PromptsList => "prompts",
        Method::ResourcesList => "resources",
        Method::ResourceTemplatesList => "resourceTemplates",
        Method::Discover
        | Method::ToolsCall
        | Method::PromptsGet
        | Method::ResourcesRead
        | Method::Complete
        | Method::SubscriptionsListen => return None,
    };
    result[member].as_array()
}
