//! A legacy client: one session, whose requests may all go to different replicas.
//!
//! Spec: 2025-11-25, basic/lifecycle, basic/transports.

use std::fmt;

use anypod_server::Principal;
use anypod_server::proto::meta;
use anypod_server::proto::method::{LegacyMethod, Method, Notification};
use anypod_server::proto::version::Version;
use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::{Answer, Client, Listener, MAX_PAGES, answer, listed};
use crate::error::{CallError, Refusal};
use crate::fleet::{Fleet, Stream};
use crate::message::{Broken, Exchange, Kind, Repeat, Reply, Sent, Session, Step, parsed};

/// A client of a revision up to 2025-11-25, with an open session. See [`Client::legacy`].
///
/// Each request goes to the replica whose turn it is. Questions have no keys in these revisions, so only
/// [`Client::answer_every`] answers them; the answer goes straight to the replica that asked, as one hop
/// between the replicas would carry it, because replicas in one process have no address to hop to.
#[derive(Clone)]
pub struct LegacyClient {
    fleet: Fleet,
    session: Session,
    /// What `initialize` was answered.
    server: Value,
    answers: Answers,
    principal: Option<Principal>,
}

impl LegacyClient {
    pub(super) async fn open(client: &Client, version: Version) -> Result<Self, CallError> {
        let params = json!({
            "protocolVersion": version.as_str(),
            "capabilities": client.capabilities,
            "clientInfo": { "name": "anypod-testkit", "version": env!("CARGO_PKG_VERSION") },
        });
        let step = Step { call: client.fleet.begin_call(), part: 1 };
        let principal = client.principal.clone();
        let sent = sent(Kind::Legacy(None), step, LegacyMethod::Initialize.as_str(), params, principal.clone());
        let exchange = client.fleet.exchange(sent, None).await?;
        let id = exchange.reply.as_ref().ok().and_then(|reply| reply.session.clone());
        let server = answer(exchange)?.result;
        let version = server["protocolVersion"].as_str().and_then(Version::parse);
        let (Some(id), Some(version)) = (id, version) else { return Err(CallError::NoSession(server)) };
        let (fleet, answers) = (client.fleet.clone(), client.answers.clone());
        let legacy = Self { fleet, session: Session { id, version }, server, answers, principal };
        let notice = Kind::Notice(legacy.session.clone());
        legacy.send(notice, Step { part: 2, ..step }, Notification::Initialized.as_str(), json!({})).await?;
        Ok(legacy)
    }

    /// The revision that was negotiated.
    pub const fn version(&self) -> Version {
        self.session.version
    }

    /// What `initialize` was answered.
    pub const fn server(&self) -> &Value {
        &self.server
    }

    /// Calls a tool. A result that is an error for the model to read is a result.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_tool(&self, name: &str, arguments: Value) -> Result<Answer, CallError> {
        self.request(Method::ToolsCall.as_str(), json!({ "name": name, "arguments": arguments })).await
    }

    /// Renders a prompt.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn prompt(&self, name: &str, arguments: Value) -> Result<Answer, CallError> {
        self.request(Method::PromptsGet.as_str(), json!({ "name": name, "arguments": arguments })).await
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn read(&self, uri: &str) -> Result<Answer, CallError> {
        self.request(Method::ResourcesRead.as_str(), json!({ "uri": uri })).await
    }

    /// The items of a list, from all its pages. `method` is one of the four that list.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn list_all(&self, method: Method) -> Result<Vec<Value>, CallError> {
        let mut params = Map::new();
        let mut items = Vec::new();
        for _ in 0..MAX_PAGES {
            let page = self.request(method.as_str(), Value::Object(params.clone())).await?;
            items.extend(listed(method, &page.result).iter().flat_map(|items| items.iter().cloned()));
            let Some(cursor) = page.result.get("nextCursor") else { return Ok(items) };
            params.insert("cursor".to_owned(), cursor.clone());
        }
        Err(CallError::Endless(MAX_PAGES))
    }

    /// Sends any request, such as `ping` or `logging/setLevel`, and answers what it is asked meanwhile.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn request(&self, method: &str, mut params: Value) -> Result<Answer, CallError> {
        let step = Step { call: self.fleet.begin_call(), part: 1 };
        if let Some(params) = params.as_object_mut() {
            let meta = params.entry("_meta").or_insert_with(|| json!({}));
            meta[meta::PROGRESS_TOKEN] = step.to_string().into();
        }
        let kind = Kind::Legacy(Some(self.session.clone()));
        let sent = sent(kind, step, method, params, self.principal.clone());
        let (served, stream) = self.fleet.start(&sent).await?;
        let reply = match stream {
            Ok(stream) => self.converse(stream, step).await?,
            Err(broken) => Err(broken),
        };
        let exchange = Exchange { sent, served, reply };
        self.fleet.record(exchange.clone());
        answer(exchange)
    }

    /// Opens the session's stream of changes.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn listen(&self) -> Result<Listener, CallError> {
        let step = Step { call: self.fleet.begin_call(), part: 1 };
        let kind = Kind::Get(self.session.clone());
        Listener::open_legacy(&self.fleet, sent(kind, step, "GET", json!({}), self.principal.clone())).await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn end(&self) -> Result<(), CallError> {
        let step = Step { call: self.fleet.begin_call(), part: 1 };
        self.send(Kind::Delete(self.session.clone()), step, "DELETE", json!({})).await
    }

    /// Reads a response to its end and answers the questions in it.
    async fn converse(&self, mut stream: Stream, asked: Step) -> Result<Result<Reply, Broken>, CallError> {
        let mut messages = Vec::new();
        let mut step = asked;
        loop {
            let text = match stream.message().await {
                Ok(Some(text)) => text,
                Ok(None) => return Ok(Ok(stream.reply(messages))),
                Err(broken) => return Ok(Err(broken)),
            };
            let message = parsed(&text);
            if let (Some(id), Some(method)) = (message.get("id"), message["method"].as_str()) {
                step.part += 1;
                let kind = Kind::Answer(self.session.clone(), id.clone());
                let Some(reply) = self.answers.to("", &message) else {
                    return Err(CallError::Unanswered { key: method.to_owned(), question: message });
                };
                let sent = sent(kind, step, method, reply, self.principal.clone());
                accepted(self.fleet.send_to(stream.served().replica, sent).await)?;
            }
            messages.push(text);
        }
    }

    /// Sends something that has no answer but a status.
    async fn send(&self, kind: Kind, step: Step, method: &str, params: Value) -> Result<(), CallError> {
        accepted(self.fleet.exchange(sent(kind, step, method, params, self.principal.clone()), None).await?)
    }
}

impl fmt::Debug for LegacyClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyClient").field("version", &self.session.version).finish_non_exhaustive()
    }
}

fn sent(kind: Kind, step: Step, method: &str, params: Value, principal: Option<Principal>) -> Sent {
    let (method, mirrored) = (method.to_owned(), Vec::new());
    Sent { kind, step, method, name: None, params, mirrored, principal, repeat: Repeat::No }
}

fn accepted(Exchange { served, reply, .. }: Exchange) -> Result<(), CallError> {
    let reply = reply.map_err(|source| CallError::Broken { served, source })?;
    match reply.status {
        200..300 => Ok(()),
        _ => Err(CallError::Refused(Box::new(Refusal::new(served, &reply)))),
    }
}
