//! A call made of an admitted request, as gateways pass one on: its parts are copied as they stand, not read and written
//! again.

use std::borrow::Cow;

use anypod_proto::escape;
use anypod_proto::logging::LoggingLevel;
use anypod_proto::meta;
use anypod_proto::name_param::NameParam;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::scan::{ScanError, Scanner, Str};
use anypod_proto::trace::{self, TraceContext};
use bytes::Bytes;

use super::{Answers, Call, separate};
use crate::error::{Error, Result};
use crate::exchange::Raw;
use crate::telemetry::Trace;

/// Members of `params` that admission knows, and lets stand once only.
const KNOWN: [&str; 7] = ["_meta", "name", "arguments", "uri", "cursor", "inputResponses", "requestState"];

/// Members of `_meta` that the protocol gives a meaning, and that a call says by other means.
const SAID_OTHERWISE: [&str; 8] = [
    meta::PROTOCOL_VERSION,
    meta::CLIENT_INFO,
    meta::CLIENT_CAPABILITIES,
    meta::LOG_LEVEL,
    meta::PROGRESS_TOKEN,
    meta::TRACEPARENT,
    meta::TRACESTATE,
    meta::BAGGAGE,
];

impl Call {
    /// What `request` asks, of whatever method, to be sent in the name of whoever sends it.
    ///
    /// It wants progress if the request has a token, which becomes another one: see
    /// [`Notice::with_token`](crate::Notice::with_token). Who asks is not part of it, nor is what answers a header.
    ///
    /// # Errors
    /// [`Rejection::DuplicateMember`] if a member of `params` stands twice, so that two readers could see two requests.
    pub fn of_request(request: &Request) -> Result<Self, Rejection> {
        let mut call = Self::named(&request.method_name());
        call.copy_params(request.params())?;
        let responses = request.input_responses();
        let answers = Answers {
            responses: responses.map(|text| Raw::checked(Bytes::copy_from_slice(text.as_bytes()))),
            state: request.request_state().map(Cow::into_owned),
        };
        call.answers = Some(answers).filter(|answers| *answers != Answers::default());
        call.progress = request.progress_token().is_some();
        call.log_level = request.log_level().and_then(|level| LoggingLevel::parse(&level));
        call.trace = traced(request).map(Box::new);
        Ok(call)
    }

    /// Calls what it is about by another name, such as the one that an upstream has for it: in `params` and in `name`. Does
    /// nothing to a method that has no such name.
    ///
    /// # Errors
    /// As [`Call::set_param`].
    pub fn rename(&mut self, name: &str) -> Result<()> {
        let Some(key) = NameParam::of(&self.method) else { return Ok(()) };
        let mut json = Vec::with_capacity(name.len() + 2);
        escape::push_string(&mut json, name);
        self.set_param(key.as_str(), Some(&json))?;
        self.name = Some(name.to_owned());
        Ok(())
    }

    /// Sets a member of `params` to what is JSON already, or takes it out. The other members stay as they stand.
    ///
    /// # Errors
    /// [`Error::Misuse`] if `params` are not what they should be.
    pub fn set_param(&mut self, key: &str, json: Option<&[u8]>) -> Result<()> {
        let misuse = |error: &dyn std::fmt::Display| Error::Misuse(format!("`params` of the call: {error}"));
        let old = [b"{", self.params.as_slice(), b"}"].concat();
        let old = std::str::from_utf8(&old).map_err(|error| misuse(&error))?;
        let mut params = Vec::with_capacity(self.params.len() + key.len() + json.map_or(0, <[u8]>::len) + 4);
        let mut json = json;
        each_member(old, |name, value| match name.is(key) {
            true => json.take().into_iter().for_each(|json| push(&mut params, name, json)),
            false => push(&mut params, name, value.as_bytes()),
        })
        .map_err(|error| misuse(&error))?;
        if let Some(json) = json {
            separate(&mut params);
            escape::push_string(&mut params, key);
            params.push(b':');
            params.extend_from_slice(json);
        }
        self.params = params;
        self.arguments_at = None;
        Ok(())
    }

    fn copy_params(&mut self, params: &str) -> Result<(), Rejection> {
        let named = NameParam::of(&self.method);
        let mut others = Vec::new();
        let mut copied = Vec::with_capacity(params.len());
        let mut meta = None;
        each_member(params, |key, value| {
            if key.is("_meta") {
                meta = Some(value);
                return;
            }
            if key.is("inputResponses") || key.is("requestState") {
                return;
            }
            if named.is_some_and(|named| key.is(named.as_str())) {
                self.name = Str::parse(value).ok().map(|name| name.decode().into_owned());
            }
            if !KNOWN.iter().any(|known| key.is(known)) {
                others.push(key.decode());
            }
            push(&mut copied, key, value.as_bytes());
        })
        .map_err(Rejection::NotJson)?;
        others.sort_unstable();
        if others.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Rejection::DuplicateMember("params.*"));
        }
        self.params = copied;
        let Some(meta) = meta else { return Ok(()) };
        each_member(meta, |key, value| {
            if !SAID_OTHERWISE.iter().any(|known| key.is(known)) {
                push(&mut self.meta, key, value.as_bytes());
            }
        })
        .map_err(Rejection::NotJson)
    }
}

/// Shows every member of an object: its key and the text of its value.
pub(crate) fn each_member<'a>(object: &'a str, mut see: impl FnMut(Str<'a>, &'a str)) -> Result<(), ScanError> {
    let mut scanner = Scanner::new(object);
    let mut walk = scanner.object()?;
    while let Some(key) = scanner.member(&mut walk)? {
        let value = scanner.value()?;
        see(key, value);
    }
    scanner.end()
}

/// Writes a member as it stood.
fn push(text: &mut Vec<u8>, key: Str<'_>, value: &[u8]) {
    separate(text);
    text.push(b'"');
    text.extend_from_slice(key.raw().as_bytes());
    text.extend_from_slice(b"\":");
    text.extend_from_slice(value);
}

/// What the request says of its trace. What is not valid is left out.
fn traced(request: &Request) -> Option<Trace> {
    let [parent, state, baggage] = request.trace_fields();
    let context = parent.as_deref().and_then(|parent| TraceContext::parse(parent, state.as_deref(), None));
    let baggage = baggage.as_deref().and_then(trace::baggage).map(str::to_owned);
    if context.is_none() && baggage.is_none() {
        return None;
    }
    Some(Trace {
        parent: context.map(|context| context.traceparent),
        state: context.and_then(|context| context.tracestate).map(str::to_owned),
        baggage,
    })
}
