//! Questions over HTTP, and the way of their answers back to the call that asked.
//!
//! A question's request id is a sealed token that names the pod whose memory holds the waiting call, and
//! only opens for the session and the caller that were asked. So the client's answer may reach any pod.

use anypod_proto::code::Code;
use anypod_proto::reject::error_response;
use anypod_proto::request::Answer;
use anypod_proto::seal::Purpose;
use http::{Response, StatusCode};
use serde_json::value::RawValue;

use super::Caller;
use super::asked::{Asker, CannotAsk, Expected};
use super::hop::{self, Holder};
use super::questions::{CannotOpen, read_outcome};
use crate::completed;
use crate::http::{Accepts, Body, json};
use crate::principal::Principal;
use crate::tokens::Binding;

/// Which question an answer is for: what the sealed request id says.
#[derive(Debug, Clone, PartialEq)]
struct QuestionId {
    /// The process that asked.
    pod: u64,
    /// Tells the question from others of that process.
    number: u64,
    /// Where the process is reached, if that was configured.
    holder: Option<Holder>,
}

impl QuestionId {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.pod.to_be_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(self.holder.as_ref().map_or("", Holder::as_str).as_bytes());
        bytes
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let (pod, rest) = payload.split_first_chunk()?;
        let (number, url) = rest.split_first_chunk()?;
        let holder = match std::str::from_utf8(url).ok()? {
            "" => None,
            url => Some(Holder::parse(url)?),
        };
        Some(Self { pod: u64::from_be_bytes(*pod), number: u64::from_be_bytes(*number), holder })
    }
}

/// Why an answer did not reach the call that waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undelivered {
    /// The id does not open: made up, of another session or caller, or too late.
    #[error("this answers no question that this session was asked")]
    Unknown,
    /// It is no response.
    #[error("the answer has neither a `result` nor an `error`")]
    Malformed,
    /// The call has ended, or has its answer already.
    #[error("the call that asked is gone; call again")]
    Gone,
    /// The pod of the call is not reached.
    #[error("the call that asked is gone, as its pod is not reached; call again")]
    Unreachable,
    /// Another pod asked, and nobody knows where it is.
    #[error("another pod asked and cannot be reached: give each pod its URL with `ServerBuilder::advertise`")]
    Elsewhere,
    /// Too many answers are on their way to other pods.
    #[error("too many answers are being passed on; try again")]
    Busy,
}

impl Undelivered {
    /// Never 404: to a legacy client that means that its session is gone.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Unknown | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Gone => StatusCode::GONE,
            Self::Unreachable => StatusCode::BAD_GATEWAY,
            Self::Elsewhere => StatusCode::MISDIRECTED_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn code(self) -> Code {
        match self {
            Self::Unknown | Self::Malformed | Self::Gone => Code::InvalidRequest,
            Self::Unreachable | Self::Elsewhere | Self::Busy => Code::InternalError,
        }
    }

    /// The HTTP answer, with a JSON-RPC error that has no id: a response has no response.
    pub(crate) fn respond(self) -> Response<Body> {
        let body = error_response(None, self.code().number(), &self.to_string(), None);
        json(completed::Response {
            retry_after_secs: (self == Self::Busy).then_some(1),
            ..completed::Response::new(self.status(), body)
        })
    }
}

impl Caller {
    /// Passes an answer to the call that waits for it, on whichever pod.
    pub(crate) async fn deliver(&self, answer: &Answer) -> Result<(), Undelivered> {
        let question = self.open_question(answer.id()).ok_or(Undelivered::Unknown)?;
        let text = match answer.outcome() {
            Ok(result) => format!(r#"{{"result":{result}}}"#),
            Err(error) => format!(r#"{{"error":{error}}}"#),
        };
        let front = &self.server.inner.front;
        if question.pod == front.pod {
            let outcome = read_outcome(&text).map_err(|_| Undelivered::Malformed)?;
            return match front.questions.answer(self.session.number, question.number, outcome) {
                true => Ok(()),
                false => Err(Undelivered::Gone),
            };
        }
        let holder = question.holder.ok_or(Undelivered::Elsewhere)?;
        let target = hop::Target { pod: question.pod, session: self.session.number, number: question.number };
        hop::send(&self.server, &holder, target, text).await
    }

    fn open_question(&self, id: &str) -> Option<QuestionId> {
        let token: String = serde_json::from_str(id).ok()?;
        let session = self.session.number.to_be_bytes();
        let opened = self.server.inner.tokens.open(&self.server.inner.outside, self.question(&[&session]), &token);
        match opened {
            Ok(payload) => QuestionId::decode(&payload),
            Err(error) => {
                tracing::info!(%error, "the id of an answer did not open");
                None
            }
        }
    }

    fn question<'a>(&'a self, session: &'a [&'a [u8]]) -> Binding<'a> {
        let principal = self.principal.as_ref().map(Principal::id);
        Binding { purpose: Purpose::ServerRequest, principal, context: session }
    }
}

impl Asker for Caller {
    fn expect(&self) -> Result<Expected, CannotAsk> {
        if self.accepts == Accepts::Json {
            return Err(CannotAsk("the client does not accept event streams"));
        }
        let (inner, session) = (&self.server.inner, self.session.number.to_be_bytes());
        let number = u64::from_be_bytes(inner.outside.random());
        let answer = inner.front.questions.open(self.session.number, number).map_err(|error| match error {
            CannotOpen::Closed => CannotAsk("this pod is shutting down; call again"),
            CannotOpen::TooMany => CannotAsk("too many questions are open"),
        })?;
        let question = QuestionId { pod: inner.front.pod, number, holder: inner.front.holder().cloned() };
        let ttl = inner.limits().answer_deadline.as_secs().max(1);
        let id = inner
            .tokens
            .seal(&inner.outside, self.question(&[&session]), ttl, &question.encode())
            .map_err(|_| CannotAsk("the URL of this pod is too long"))?;
        let id = RawValue::from_string(format!("\"{id}\"")).map_err(|_| CannotAsk("its id is not JSON"))?;
        Ok(Expected { id, answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undelivered_answer_never_tells_the_client_that_its_session_is_gone() {
        use Undelivered::{Busy, Elsewhere, Gone, Malformed, Unknown, Unreachable};
        for undelivered in [Unknown, Malformed, Gone, Unreachable, Elsewhere, Busy] {
            let status = undelivered.status();
            assert!(status.as_u16() >= 400 && status != StatusCode::NOT_FOUND, "{undelivered}");
        }
    }

    #[test]
    fn a_question_id_is_what_it_was() {
        for url in ["", "http://10.0.0.5:8080/mcp"] {
            let id = QuestionId { pod: 1, number: u64::MAX, holder: Holder::parse(url) };
            assert_eq!(QuestionId::decode(&id.encode()), Some(id));
        }
        assert_eq!(QuestionId::decode(&[0; 15]), None);
        assert_eq!(QuestionId::decode(&[0xff; 20]), None);
    }
}
