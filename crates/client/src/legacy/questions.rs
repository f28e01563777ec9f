//! What a legacy server asks of its client: answered at once, refused, or made a question of a modern round.
//!
//! Spec: 2025-11-25, client/elicitation, client/sampling, client/roots, basic/utilities/ping.

use anypod_proto::capabilities;
use anypod_proto::code::Code;
use anypod_proto::elicitation::ElicitResult;
use anypod_proto::jsonrpc::{ErrorObject, JsonObject, RequestId};
use anypod_proto::legacy::ClientCapabilities;
use anypod_proto::legacy::upgrade::{self, QuestionError};
use anypod_proto::method::{ClientMethod, LegacyMethod};
use anypod_proto::rounds::{InputRequest, InputResponse};
use anypod_proto::version::Version;
use bytes::Bytes;

use super::wording;
use crate::exchange::Raw;

/// A question that waits for its answer.
pub(super) struct Question {
    /// Under which key the caller is asked.
    pub(super) key: String,
    /// The server's request.
    pub(super) id: RequestId,
    /// What is asked.
    pub(super) request: InputRequest,
}

/// What is to be done about a request of the server.
pub(super) enum Verdict {
    /// The caller is asked.
    Ask(InputRequest),
    /// The server is sent this.
    Reply(Bytes),
    /// The server is sent this, because the client has not declared enough to be asked.
    Refuse(Bytes, Box<Lacking>),
}

/// What a client has not declared, and a legacy server has asked for all the same.
pub(super) struct Lacking {
    /// The code of the answer to the server.
    code: Code,
    /// What the client would have to declare.
    required: capabilities::ClientCapabilities,
}

impl Lacking {
    /// The error of a call in a modern server's words, if the server has ended the call with the error that it was told.
    /// Servers that make do without the answer are none of the kind.
    pub(super) fn explains(&self, error: &ErrorObject) -> Option<ErrorObject> {
        (error.code == self.code.number()).then(|| ErrorObject::missing_capability(&self.required))
    }
}

/// Judges a request of the server.
pub(super) fn judge(declared: &ClientCapabilities, id: &RequestId, method: &str, params: &Raw) -> Verdict {
    if LegacyMethod::parse(method) == Some(LegacyMethod::Ping) {
        return Verdict::Reply(wording::result(id, JsonObject::new()));
    }
    let Some(method) = ClientMethod::parse(method) else {
        return Verdict::Reply(wording::error(id, &ErrorObject::new(Code::MethodNotFound, "Method not found")));
    };
    match upgrade::question(declared, method, params.as_str()) {
        Ok(upgrade::Question { request, elicitation_id: _ }) => Verdict::Ask(request),
        Err(error) => {
            let lacking = lacking(&error, method, params);
            let text = wording::error(id, &error.into());
            match lacking {
                Some(lacking) => Verdict::Refuse(text, Box::new(lacking)),
                None => Verdict::Reply(text),
            }
        }
    }
}

/// What the client would have to declare, if that is what was wrong.
fn lacking(error: &QuestionError, method: ClientMethod, params: &Raw) -> Option<Lacking> {
    match error {
        QuestionError::NotDeclared(_) | QuestionError::FormNotDeclared(_) => {}
        QuestionError::Malformed { .. } => return None,
    }
    let request = match method {
        ClientMethod::Elicit => InputRequest::Elicit(params.read().ok()?),
        ClientMethod::CreateMessage => InputRequest::CreateMessage(params.read().ok()?),
        ClientMethod::ListRoots => InputRequest::list_roots(),
    };
    Some(Lacking { code: error.code(), required: request.requires() })
}

/// The error for a question that no call can be asked.
pub(super) fn nobody() -> ErrorObject {
    ErrorObject::new(Code::InternalError, "No request is under way that this could be about")
}

/// Whether the client answers questions at all.
pub(super) const fn are_declared(declared: &ClientCapabilities) -> bool {
    declared.elicitation.is_some() || declared.sampling.is_some() || declared.roots.is_some()
}

impl Question {
    /// The message that answers it in `version`.
    ///
    /// # Errors
    /// What the caller is told if it is no answer to this question.
    pub(super) fn answered(&self, response: &InputResponse, version: Version) -> Result<Bytes, ErrorObject> {
        match upgrade::answer(version, &self.request, response) {
            Ok(result) => Ok(wording::result(&self.id, result)),
            Err(error) => Err(ErrorObject::new(Code::InvalidParams, error.to_string())),
        }
    }

    /// The message that answers it when nobody will.
    pub(super) fn given_up(&self) -> Bytes {
        match self.request.method() {
            ClientMethod::Elicit => wording::result(&self.id, ElicitResult::cancel()),
            ClientMethod::CreateMessage | ClientMethod::ListRoots => {
                wording::error(&self.id, &ErrorObject::new(Code::InternalError, "Nobody has answered"))
            }
        }
    }
}
