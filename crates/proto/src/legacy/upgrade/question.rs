//! What a legacy server asks of its client in a request of its own, and the answer it is sent.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    code::Code,
    content::TextContent,
    elicitation::{ElicitAction, ElicitRequestParams, ElicitResult},
    jsonrpc::ErrorObject,
    legacy::ClientCapabilities,
    method::ClientMethod,
    roots::{ListRootsRequestParams, ListRootsResult},
    rounds::{InputRequest, InputResponse},
    sampling::{CreateMessageRequestParams, CreateMessageResult, SamplingContent, SamplingMessageContentBlock},
    version::Version,
};

/// A legacy server's request as a modern question.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What is asked.
    pub request: InputRequest,
    /// Of a page to visit, the id that [`crate::legacy::ElicitationCompleteNotificationParams`] will name.
    pub elicitation_id: Option<String>,
}

/// Why a legacy server's question is refused. The fault is the server's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// The client has not declared that it answers such questions.
    #[error("the client has not declared that it answers {0}")]
    NotDeclared(ClientMethod),
    /// The client answers such questions, but not in this form.
    #[error("the client has not declared {0}")]
    FormNotDeclared(&'static str),
    /// The parameters cannot be read.
    #[error("{method}: {reason}")]
    Malformed {
        /// What was asked.
        method: ClientMethod,
        /// What is wrong with it.
        reason: String,
    },
}

impl QuestionError {
    /// The code of the answer to the server.
    pub const fn code(&self) -> Code {
        match self {
            Self::NotDeclared(_) => Code::MethodNotFound,
            Self::FormNotDeclared(_) | Self::Malformed { .. } => Code::InvalidParams,
        }
    }
}

impl From<QuestionError> for ErrorObject {
    fn from(error: QuestionError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// Reads a question. `declared` is what the session was opened with, and `params` is JSON.
///
/// # Errors
/// If nothing of the kind was declared, or the parameters do not fit.
pub fn question(declared: &ClientCapabilities, method: ClientMethod, params: &str) -> Result<Question, QuestionError> {
    let (request, elicitation_id) = match method {
        ClientMethod::Elicit => elicit(declared, params)?,
        ClientMethod::CreateMessage => (create_message(declared, params)?, None),
        ClientMethod::ListRoots => {
            declared.roots.as_ref().ok_or(QuestionError::NotDeclared(method))?;
            (InputRequest::ListRoots(ListRootsRequestParams::default()), None)
        }
    };
    Ok(Question { request, elicitation_id })
}

fn read<'a, T: Deserialize<'a>>(method: ClientMethod, params: &'a str) -> Result<T, QuestionError> {
    serde_json::from_str(params).map_err(|error| QuestionError::Malformed { method, reason: error.to_string() })
}

fn elicit(declared: &ClientCapabilities, params: &str) -> Result<(InputRequest, Option<String>), QuestionError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Identified {
        elicitation_id: Option<String>,
    }
    let method = ClientMethod::Elicit;
    let elicitation = declared.elicitation.as_ref().ok_or(QuestionError::NotDeclared(method))?;
    let request: ElicitRequestParams = read(method, params)?;
    match &request {
        ElicitRequestParams::Form(_) if elicitation.offers_form() => Ok((InputRequest::Elicit(request), None)),
        ElicitRequestParams::Url(_) if elicitation.offers_url() => {
            let Identified { elicitation_id } = read(method, params)?;
            Ok((InputRequest::Elicit(request), elicitation_id))
        }
        ElicitRequestParams::Form(_) => Err(QuestionError::FormNotDeclared("elicitation by form")),
        ElicitRequestParams::Url(_) => Err(QuestionError::FormNotDeclared("elicitation by URL")),
    }
}

fn create_message(declared: &ClientCapabilities, params: &str) -> Result<InputRequest, QuestionError> {
    let method = ClientMethod::CreateMessage;
    let sampling = declared.sampling.as_ref().ok_or(QuestionError::NotDeclared(method))?;
    let request: CreateMessageRequestParams = read(method, params)?;
    match request.needs_tools() && sampling.tools.is_none() {
        true => Err(QuestionError::FormNotDeclared("sampling with tools")),
        false => Ok(request.into()),
    }
}

/// Why an answer cannot be given to a legacy server. The fault is with whoever answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is no answer to this kind of question.
    #[error("the answer does not fit {method}: {reason}")]
    Malformed {
        /// What was asked.
        method: ClientMethod,
        /// Why the answer does not fit.
        reason: String,
    },
    /// What the model said is a list with something else than text in it, and `version` has one block.
    #[error("the model's answer has several blocks that are not all text, and revision {0} knows one block only")]
    SeveralBlocks(Version),
}

/// The result to send a server of `version` that has asked `request`.
///
/// # Errors
/// If the answer has the form of another, or cannot be said in that revision.
pub fn answer(version: Version, request: &InputRequest, response: &InputResponse) -> Result<Value, AnswerError> {
    let malformed =
        |error: serde_json::Error| AnswerError::Malformed { method: request.method(), reason: error.to_string() };
    match request {
        InputRequest::Elicit(asked) => {
            encode(&elicited(asked, response.as_elicit().map_err(malformed)?)).map_err(malformed)
        }
        InputRequest::CreateMessage(_) => {
            let said = sampled(version, response.as_create_message().map_err(malformed)?)?;
            encode(&said).map_err(malformed)
        }
        InputRequest::ListRoots(_) => {
            encode(&rooted(version, response.as_list_roots().map_err(malformed)?)).map_err(malformed)
        }
    }
}

fn encode(result: &impl Serialize) -> Result<Value, serde_json::Error> {
    serde_json::to_value(result)
}

/// Content belongs to accepted forms only, and always to them.
fn elicited(asked: &ElicitRequestParams, result: ElicitResult) -> ElicitResult {
    let content = match (asked, result.action) {
        (ElicitRequestParams::Form(_), ElicitAction::Accept) => Some(result.content.unwrap_or_default()),
        (ElicitRequestParams::Url(_), ElicitAction::Accept)
        | (ElicitRequestParams::Form(_) | ElicitRequestParams::Url(_), ElicitAction::Decline | ElicitAction::Cancel) => {
            None
        }
    };
    ElicitResult { action: result.action, content }
}

/// Several blocks came with 2025-11-25. Before, several texts are one of several paragraphs.
fn sampled(version: Version, mut result: CreateMessageResult) -> Result<CreateMessageResult, AnswerError> {
    let SamplingContent::Many(blocks) = &mut result.content else { return Ok(result) };
    if version >= Version::V2025_11_25 {
        return Ok(result);
    }
    let texts: Vec<&str> = blocks.iter().filter_map(SamplingMessageContentBlock::as_text).collect();
    let all_text = texts.len() == blocks.len();
    let text = texts.join("\n\n");
    result.content = match blocks.pop() {
        Some(only) if blocks.is_empty() && !only.is_of_tools() => only.into(),
        Some(_) | None if all_text => SamplingMessageContentBlock::Text(TextContent::new(text)).into(),
        Some(_) | None => return Err(AnswerError::SeveralBlocks(version)),
    };
    Ok(result)
}

/// `_meta` of a root came with 2025-06-18.
fn rooted(version: Version, mut result: ListRootsResult) -> ListRootsResult {
    if version < Version::V2025_06_18 {
        result.roots.iter_mut().for_each(|root| root.meta = None);
    }
    result
}
