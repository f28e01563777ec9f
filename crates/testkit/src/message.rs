//! One request and what was said to it, as a transcript keeps them.

use std::fmt;

use anypod_server::Principal;
use anypod_server::proto::header;
use anypod_server::proto::method::Method;
use anypod_server::proto::version::Version;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::replica::Served;

/// What stands in a report for a token, which is random by nature.
pub(crate) const MASK: &str = "(sealed)";

/// How much of a request's parameters a report shows, in characters.
const SHOWN: usize = 160;

/// Where a request stands in a scenario. Calls are counted in the order in which they begin, and the
/// requests of one call (its rounds, or the pages of a list) within it, so that calls that run at the same
/// time are counted alike in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// Which call of the scenario, from 1.
    pub call: usize,
    /// Which request of the call, from 1.
    pub part: usize,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.call, self.part)
    }
}

/// Whether a request may be sent to all replicas, and how closely their answers must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It may have effects.
    No,
    /// It may, and the answers must be the same JSON.
    SameJson,
    /// It may, and the answers must be the same bytes, apart from tokens.
    SameBytes,
}

/// What kind of message is sent, and what belongs to that kind.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A modern request.
    Modern,
    /// A request of a legacy client; `initialize` has no session yet.
    Legacy(Option<Session>),
    /// A notification of a legacy client.
    Notice(Session),
    /// A legacy client's answer to the question of that id.
    Answer(Session, Value),
    /// GET: opens the stream of a legacy session.
    Get(Session),
    /// DELETE: ends a legacy session.
    Delete(Session),
}

/// A legacy session, as its client knows it.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: HeaderValue,
    pub(crate) version: Version,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) kind: Kind,
    pub(crate) step: Step,
    pub(crate) method: String,
    /// What `Mcp-Name` mirrors.
    pub(crate) name: Option<String>,
    pub(crate) params: Value,
    /// `Mcp-Param-*`.
    pub(crate) mirrored: Vec<(HeaderName, HeaderValue)>,
    pub(crate) principal: Option<Principal>,
    pub(crate) repeat: Repeat,
}

impl Sent {
    /// The request as it goes over HTTP.
    pub(crate) fn to_http(&self) -> http::Request<Full<Bytes>> {
        let body = self.message().map_or_else(String::new, |message| message.to_string());
        let mut request = http::Request::new(Full::from(body));
        *request.method_mut() = match self.kind {
            Kind::Modern | Kind::Legacy(_) | Kind::Notice(_) | Kind::Answer(..) => http::Method::POST,
            Kind::Get(_) => http::Method::GET,
            Kind::Delete(_) => http::Method::DELETE,
        };
        *request.uri_mut() = http::Uri::from_static("/mcp");
        *request.headers_mut() = self.headers();
        if let Some(principal) = &self.principal {
            request.extensions_mut().insert(principal.clone());
        }
        request
    }

    fn message(&self) -> Option<Value> {
        let Self { kind, step, method, params, .. } = self;
        Some(match kind {
            Kind::Modern | Kind::Legacy(_) => {
                json!({ "jsonrpc": "2.0", "id": step.to_string(), "method": method, "params": params })
            }
            Kind::Notice(_) => json!({ "jsonrpc": "2.0", "method": method, "params": params }),
            Kind::Answer(_, id) => json!({ "jsonrpc": "2.0", "id": id, "result": params }),
            Kind::Get(_) | Kind::Delete(_) => return None,
        })
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        match &self.kind {
            Kind::Modern => {
                headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(Version::LATEST.as_str()));
                headers.insert(header::METHOD, encoded(&self.method));
                if let Some(name) = &self.name {
                    headers.insert(header::NAME, encoded(name));
                }
                headers.extend(self.mirrored.iter().cloned());
            }
            Kind::Legacy(None) => {}
            Kind::Legacy(Some(session))
            | Kind::Notice(session)
            | Kind::Answer(session, _)
            | Kind::Get(session)
            | Kind::Delete(session) => {
                headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(session.version.as_str()));
                headers.insert(header::SESSION_ID, session.id.clone());
            }
        }
        headers
    }

    /// Whether it carries a `requestState` or a cursor.
    pub(crate) fn has_token(&self) -> bool {
        ["requestState", "cursor"].iter().any(|key| self.params.get(key).is_some())
    }

    /// Whether it belongs to a legacy session.
    pub(crate) const fn has_session(&self) -> bool {
        match self.kind {
            Kind::Modern | Kind::Legacy(None) => false,
            Kind::Legacy(Some(_)) | Kind::Notice(_) | Kind::Answer(..) | Kind::Get(_) | Kind::Delete(_) => true,
        }
    }

    /// The parameters without what is random by nature and what every request says.
    pub(crate) fn masked_params(&self) -> Value {
        let mut params = self.params.clone();
        if let Value::Object(members) = &mut params {
            members.remove("_meta");
            for key in ["requestState", "cursor"] {
                if let Some(token) = members.get_mut(key) {
                    *token = Value::from(MASK);
                }
            }
        }
        params
    }
}

impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params = self.masked_params().to_string();
        f.write_str(&self.method)?;
        match params.char_indices().nth(SHOWN) {
            None if params == "{}" => Ok(()),
            None => write!(f, " {params}"),
            Some((end, _)) => write!(f, " {}…", &params[..end]),
        }
    }
}

fn encoded(value: &str) -> HeaderValue {
    HeaderValue::from_str(&header::encode_value(value)).expect("an encoded value is visible ASCII")
}

/// What `Mcp-Name` mirrors in a request of that method.
pub(crate) fn mirrored_name(method: &str, params: &Value) -> Option<String> {
    let member = match Method::parse(method)? {
        Method::ToolsCall | Method::PromptsGet => "name",
        Method::ResourcesRead => "uri",
        Method::Discover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::Complete
        | Method::SubscriptionsListen => return None,
    };
    params[member].as_str().map(str::to_owned)
}

/// What was said to a request.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// What came before the answer: notifications, and questions to a legacy client.
    pub(crate) notifications: Vec<Value>,
    /// The answer as it came.
    pub(crate) text: String,
    /// The answer; a string if it is not JSON, and null if there is none.
    pub(crate) answer: Value,
    /// The legacy session that it opens.
    pub(crate) session: Option<HeaderValue>,
}

impl Reply {
    /// From all messages of a response, the last of which is the answer.
    pub(crate) fn new(status: u16, mut messages: Vec<String>) -> Self {
        let text = messages.pop().unwrap_or_default();
        let answer = match text.is_empty() {
            true => Value::Null,
            false => parsed(&text),
        };
        let notifications = messages.iter().map(|message| parsed(message)).collect();
        Self { status, notifications, text, answer, session: None }
    }

    /// The answer's text with its tokens masked.
    pub(crate) fn masked_text(&self) -> String {
        let tokens = TOKENS.iter().filter_map(|pointer| self.answer.pointer(pointer)?.as_str());
        tokens.fold(self.text.clone(), |text, token| text.replace(token, MASK))
    }

    /// The whole reply, with its tokens masked.
    pub(crate) fn masked(&self) -> Value {
        let mut answer = self.answer.clone();
        for pointer in TOKENS {
            if let Some(token) = answer.pointer_mut(pointer) {
                *token = Value::from(MASK);
            }
        }
        let mut notifications = self.notifications.clone();
        // Among them are the questions to legacy clients, whose ids are sealed.
        for id in notifications.iter_mut().filter_map(|message| message.get_mut("id")) {
            *id = Value::from(MASK);
        }
        let mut reply = json!({ "status": self.status, "notifications": notifications, "answer": answer });
        if self.session.is_some() {
            reply["session"] = Value::from(MASK);
        }
        reply
    }
}

/// The tokens of a result.
const TOKENS: [&str; 2] = ["/result/requestState", "/result/nextCursor"];

pub(crate) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// A request, who answered it, and how.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) sent: Sent,
    pub(crate) served: Served,
    /// The reply, or why there is none.
    pub(crate) reply: Result<Reply, Broken>,
}

impl Exchange {
    /// The same request, to which nothing was said.
    pub(crate) fn silent(&self) -> Self {
        Self { reply: Err(Broken::Silent), ..self.clone() }
    }
}

/// Why a response ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The replica was killed.
    #[error("the replica died")]
    Died,
    /// Nothing was said, or nothing more.
    #[error("nothing came")]
    Silent,
    /// The stream of events cannot be read.
    #[error("the stream of events is malformed: {0}")]
    Malformed(anypod_server::proto::sse::SseError),
}
