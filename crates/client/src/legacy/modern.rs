//! What legacy servers answer, as modern servers would.

use anypod_proto::code::Code;
use anypod_proto::elicitation::ElicitAction;
use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::legacy::ClientCapabilities;
use anypod_proto::legacy::upgrade::{self, Failure};
use anypod_proto::method::Method;
use anypod_proto::rounds::{InputRequiredResult, InputResponses};
use bytes::Bytes;
use serde::Serialize;

use super::session::Session;
use crate::era::{self, Verdict};
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Raw};

/// The state of a round after which the call is sent anew, with nothing held for it: a server of 2025-11-25 has said
/// which pages are to be visited first. It allows nothing that a caller may not do without it.
const ANEW: &str = "anew";

/// The answer to a call. `name` is what it is about.
///
/// # Errors
/// If a result is no object; [`Error::Answered`] with what only a modern server says, which this one must have become.
pub(super) fn answer(
    session: &Session,
    declared: &ClientCapabilities,
    (method, name): (Method, Option<&str>),
    answer: Answer,
) -> Result<Answer> {
    let is_of_a_modern_server = era::judge_answer(&answer) == Verdict::Modern;
    let error = match answer {
        Answer::Result(result) => {
            let text = upgrade::result(method, result.as_str()).map_err(|error| Broken::Result(error.to_string()))?;
            return Ok(Answer::Result(Raw::checked(Bytes::from(text))));
        }
        Answer::Error(error) if is_of_a_modern_server => return Err(Error::Answered(error)),
        Answer::Error(error) => error,
    };
    let opens_pages = declared.elicitation.as_ref().is_some_and(|elicitation| elicitation.offers_url());
    Ok(match upgrade::error(session.version, method, name, error.clone()) {
        Failure::InputRequired(pages) if opens_pages => {
            asked(&InputRequiredResult::new(pages.requests).with_request_state(ANEW))
        }
        Failure::InputRequired(_) => Answer::Error(ErrorObject { code: Code::permitted(error.code), ..error }),
        Failure::Error(error) => Answer::Error(error),
    })
}

/// Whether a state is one after which the call is sent anew.
pub(super) fn is_anew(state: Option<&str>) -> bool {
    state == Some(ANEW)
}

/// Whether all the pages were visited.
///
/// # Errors
/// What the caller is told if not.
pub(super) fn visited(responses: &InputResponses) -> Result<(), ErrorObject> {
    let all = responses.values().all(|response| {
        response.as_elicit().is_ok_and(|result| match result.action {
            ElicitAction::Accept => true,
            ElicitAction::Decline | ElicitAction::Cancel => false,
        })
    });
    match all && !responses.is_empty() {
        true => Ok(()),
        false => Err(ErrorObject::new(Code::InvalidParams, "The request needs pages that were not visited")),
    }
}

/// What `server/discover` would say.
pub(super) fn discover(session: &Session) -> Answer {
    Answer::Result(raw(&upgrade::discover(session.server.clone())))
}

/// The end of a round.
pub(super) fn asked(round: &InputRequiredResult) -> Answer {
    Answer::Result(raw(round))
}

fn raw(value: &impl Serialize) -> Raw {
    Raw::checked(Bytes::from(serde_json::to_vec(value).expect("the protocol's own types are JSON")))
}
