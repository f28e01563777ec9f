//! A modern request before it has an id: what is asked, of what, with which parameters.
//!
//! A call is a value that any upstream can send, once or again: [`crate::http`] and [`crate::stdio`] as it is,
//! [`crate::legacy::LegacyUpstream`] as the revision of its server has it.

mod admitted;

use std::borrow::Cow;
use std::io::Write;

use anypod_proto::code::Code;
use anypod_proto::escape;
use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::logging::LoggingLevel;
use anypod_proto::meta;
use anypod_proto::method::{Method, TaskMethod};
use anypod_proto::rounds::InputResponses;
use http::{HeaderName, HeaderValue};

pub(crate) use admitted::each_member;

use crate::exchange::Raw;
use crate::identity::Identity;
use crate::telemetry::Trace;

/// Whether a request may be sent again when nobody knows whether it ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Repeat {
    /// Running it twice may do more than running it once.
    #[default]
    Never,
    /// It changes nothing, or nothing more the second time.
    Safe,
}

/// What goes back to the server after a round of questions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    /// The answers, by the keys of the questions: an object, as it came.
    pub responses: Option<Raw>,
    /// The server's `requestState`, byte by byte as it came.
    pub state: Option<String>,
}

impl Answers {
    /// These answers.
    pub fn new(responses: &InputResponses, state: Option<String>) -> Self {
        let text = || Raw::checked(serde_json::to_vec(responses).expect("answers are JSON").into());
        Self { responses: (!responses.is_empty()).then(text), state }
    }

    /// The answers, read.
    ///
    /// # Errors
    /// What the caller is told if they are no object.
    pub(crate) fn read(&self) -> Result<InputResponses, ErrorObject> {
        let Some(responses) = &self.responses else { return Ok(InputResponses::default()) };
        serde_json::from_slice(responses.as_bytes())
            .map_err(|error| ErrorObject::new(Code::InvalidParams, format!("`inputResponses`: {error}")))
    }
}

/// A request: its method, its parameters, and what travels beside them.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The method, of the protocol or of an extension.
    pub method: Cow<'static, str>,
    /// What it is about, for `Mcp-Name`: a tool, a prompt, a URI, a task.
    pub name: Option<String>,
    /// The members of `params` as JSON in UTF-8 without the braces, such as `"name":"add","arguments":{"a":1}`. None of
    /// `_meta`, `inputResponses` and `requestState`, which have fields of their own.
    pub params: Vec<u8>,
    /// Where in `params` the arguments of a tool begin, if it has any; they end where `params` does.
    pub(crate) arguments_at: Option<usize>,
    /// What the last round asked for.
    pub answers: Option<Answers>,
    /// Mirrored arguments, for servers of the modern era over HTTP.
    pub param_headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether progress is wanted.
    pub progress: bool,
    /// The least level of log messages that are wanted.
    pub log_level: Option<LoggingLevel>,
    /// Further members of `_meta`, as JSON without the braces: what the caller adds.
    pub meta: Vec<u8>,
    /// The trace that it belongs to.
    pub trace: Option<Box<Trace>>,
    /// Whether it may be sent again.
    pub repeat: Repeat,
}

impl Call {
    /// A call of a method of the protocol.
    pub fn new(method: Method) -> Self {
        let repeat = match method {
            Method::ToolsCall => Repeat::Never,
            Method::Discover
            | Method::ToolsList
            | Method::PromptsList
            | Method::PromptsGet
            | Method::ResourcesList
            | Method::ResourceTemplatesList
            | Method::ResourcesRead
            | Method::Complete
            | Method::SubscriptionsListen => Repeat::Safe,
        };
        Self { method: Cow::Borrowed(method.as_str()), repeat, ..Self::default() }
    }

    /// A call of the method of that name, of the protocol or of an extension. What is not known to be harmless is not
    /// repeated.
    pub fn named(method: &str) -> Self {
        match (Method::parse(method), TaskMethod::parse(method)) {
            (Some(method), _) => Self::new(method),
            // The extension makes each of them harmless to repeat: answers and cancellations count once.
            (None, Some(method)) => {
                Self { method: Cow::Borrowed(method.as_str()), repeat: Repeat::Safe, ..Self::default() }
            }
            (None, None) => Self { method: Cow::Owned(method.to_owned()), ..Self::default() },
        }
    }

    /// The method, if the protocol defines it.
    pub fn known(&self) -> Option<Method> {
        Method::parse(&self.method)
    }

    /// The arguments of a tool, as JSON.
    pub(crate) fn arguments(&self) -> &[u8] {
        self.arguments_at.and_then(|at| self.params.get(at..)).unwrap_or(b"{}")
    }

    /// Adds a member to `params`: a key of the protocol and a value that is JSON already.
    pub(crate) fn push_param(&mut self, key: &'static str, json: &[u8]) {
        push_member(&mut self.params, key, json);
    }

    /// Adds a text to `params`.
    pub(crate) fn push_text(&mut self, key: &'static str, text: &str) {
        push_key(&mut self.params, key);
        escape::push_string(&mut self.params, text);
    }

    /// The whole message as a modern server reads it. The progress token is the request's id.
    pub(crate) fn modern(&self, id: u64, identity: &Identity) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.params.len() + self.meta.len() + identity.meta().len() + 192);
        self.open(&mut text, id);
        separate(&mut text);
        text.extend_from_slice(br#""_meta":{"#);
        text.extend_from_slice(identity.meta().as_bytes());
        if let Some(level) = self.log_level {
            push_key(&mut text, meta::LOG_LEVEL);
            escape::push_string(&mut text, level.as_str());
        }
        self.close(&mut text, id);
        text
    }

    /// The whole message as a legacy server reads it: no questions were answered in it, and no `_meta` says who calls.
    pub(crate) fn legacy(&self, id: u64, method: &str) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.params.len() + self.meta.len() + 128);
        let _ = write!(text, r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"#);
        text.extend_from_slice(&self.params);
        if !self.progress && self.meta.is_empty() && self.trace.is_none() {
            text.extend_from_slice(b"}}");
            return text;
        }
        separate(&mut text);
        text.extend_from_slice(br#""_meta":{"#);
        self.close(&mut text, id);
        text
    }

    fn open(&self, text: &mut Vec<u8>, id: u64) {
        text.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        push_number(text, id);
        text.extend_from_slice(br#","method":"#);
        escape::push_string(text, &self.method);
        text.extend_from_slice(br#","params":{"#);
        text.extend_from_slice(&self.params);
        let Some(answers) = &self.answers else { return };
        if let Some(responses) = &answers.responses {
            push_member(text, "inputResponses", responses.as_bytes());
        }
        if let Some(state) = &answers.state {
            push_key(text, "requestState");
            escape::push_string(text, state);
        }
    }

    fn close(&self, text: &mut Vec<u8>, id: u64) {
        if self.progress {
            separate(text);
            let _ = write!(text, r#""{}":{id}"#, meta::PROGRESS_TOKEN);
        }
        if !self.meta.is_empty() {
            separate(text);
            text.extend_from_slice(&self.meta);
        }
        if let Some(trace) = &self.trace {
            trace.push(text, &self.meta);
        }
        text.extend_from_slice(b"}}}");
    }
}

fn separate(text: &mut Vec<u8>) {
    if !matches!(text.last(), None | Some(b'{' | b',')) {
        text.push(b',');
    }
}

/// Writes a number, for which the formatter takes longer than for all the rest of a message.
fn push_number(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // A digit fits.
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

fn push_key(text: &mut Vec<u8>, key: &str) {
    separate(text);
    text.push(b'"');
    text.extend_from_slice(key.as_bytes());
    text.extend_from_slice(b"\":");
}

/// Adds a member to an object that is being written.
pub(crate) fn push_member(text: &mut Vec<u8>, key: &str, json: &[u8]) {
    push_key(text, key);
    text.extend_from_slice(json);
}
