//! What a legacy server asks of its client: answered at once, refused, or made a question of a modern round.
//!
//! Spec: 2025-11-25, client/elicitation, client/sampling, client/roots, basic/utilities/ping.

use anypod_proto::code::Code;
use anypod_proto::elicitation::{ElicitRequestParams, ElicitResult};
use anypod_proto::jsonrpc::{ErrorObject, JsonObject, RequestId};
use anypod_proto::method::{ClientMethod, LegacyMethod};
use anypod_proto::rounds::{InputRequest, InputResponse};
use anypod_proto::version::Version;
use bytes::Bytes;
use serde_json::Value;

use super::wording;
use crate::error::Result;
use crate::exchange::Raw;
use crate::identity::Identity;

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
}

/// Judges a request of the server.
pub(super) fn judge(identity: &Identity, id: &RequestId, method: &str, params: &Raw) -> Verdict {
    if LegacyMethod::parse(method) == Some(LegacyMethod::Ping) {
        return Verdict::Reply(wording::result(id, JsonObject::new()));
    }
    match ClientMethod::parse(method).filter(|method| is_declared(identity, *method)) {
        None => Verdict::Reply(wording::error(id, &ErrorObject::new(Code::MethodNotFound, "Method not found"))),
        Some(method) => match read(identity, method, params) {
            Ok(request) => Verdict::Ask(request),
            Err(why) => Verdict::Reply(wording::error(id, &ErrorObject::new(Code::InvalidParams, why))),
        },
    }
}

/// The error for a question that no call can be asked.
pub(super) fn nobody() -> ErrorObject {
    ErrorObject::new(Code::InternalError, "No request is under way that this could be about")
}

const fn is_declared(identity: &Identity, method: ClientMethod) -> bool {
    let capabilities = identity.capabilities();
    match method {
        ClientMethod::Elicit => capabilities.elicitation.is_some(),
        ClientMethod::CreateMessage => capabilities.sampling.is_some(),
        ClientMethod::ListRoots => capabilities.roots.is_some(),
    }
}

/// Whether the client answers questions at all.
pub(super) fn are_declared(identity: &Identity) -> bool {
    [ClientMethod::Elicit, ClientMethod::CreateMessage, ClientMethod::ListRoots]
        .into_iter()
        .any(|method| is_declared(identity, method))
}

fn read(identity: &Identity, method: ClientMethod, params: &Raw) -> Result<InputRequest, String> {
    let text = |error: serde_json::Error| error.to_string();
    let capabilities = identity.capabilities();
    match method {
        ClientMethod::ListRoots => Ok(InputRequest::list_roots()),
        ClientMethod::Elicit => {
            let params: ElicitRequestParams = serde_json::from_slice(params.as_bytes()).map_err(text)?;
            let offered = capabilities.elicitation.as_ref().is_some_and(|elicitation| match &params {
                ElicitRequestParams::Form(_) => elicitation.offers_form(),
                ElicitRequestParams::Url(_) => elicitation.offers_url(),
            });
            match offered {
                true => Ok(InputRequest::Elicit(params)),
                false => Err("The client has not declared this mode of elicitation".to_owned()),
            }
        }
        ClientMethod::CreateMessage => {
            let params: anypod_proto::sampling::CreateMessageRequestParams =
                serde_json::from_slice(params.as_bytes()).map_err(text)?;
            let tools = capabilities.sampling.as_ref().is_some_and(|sampling| sampling.tools.is_some());
            match params.needs_tools() && !tools {
                true => Err("The client has not declared sampling with tools".to_owned()),
                false => Ok(InputRequest::CreateMessage(Box::new(params))),
            }
        }
    }
}

impl Question {
    /// The message that answers it in `version`.
    pub(super) fn answered(&self, response: InputResponse, version: Version) -> Bytes {
        let InputResponse(mut value) = response;
        match self.request.method() {
            ClientMethod::CreateMessage if version < Version::V2025_11_25 => unlist(&mut value),
            ClientMethod::Elicit | ClientMethod::CreateMessage | ClientMethod::ListRoots => {}
        }
        wording::result(&self.id, value)
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

/// Messages of several blocks came with 2025-11-25; before, there was one.
fn unlist(result: &mut Value) {
    if let Some(Value::Array(blocks)) = result.get_mut("content")
        && blocks.len() == 1
        && let Some(block) = blocks.pop()
    {
        result["content"] = block;
    }
}
