//! Answers to what tasks ask, held against the questions.

use anypod_proto::elicitation::{ElicitAction, ElicitRequestParams, ElicitResult};
use anypod_proto::roots::ListRootsResult;
use anypod_proto::rounds::InputRequest;
use anypod_proto::sampling::CreateMessageResult;
use anypod_proto::schema::{self, Role, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is wrong with an answer, for the client to read.
///
/// # Errors
/// If something is.
pub(super) fn check(question: &InputRequest, answer: &Value) -> Result<(), String> {
    match question {
        InputRequest::Elicit(ElicitRequestParams::Form(form)) => {
            let answer: ElicitResult = read(answer)?;
            match answer.action {
                ElicitAction::Accept => {
                    let schema = serde_json::to_value(&form.requested_schema).map_err(|error| error.to_string())?;
                    let schema = Schema::compile(&schema, Role::Form, &schema::Limits::default());
                    let content = Value::Object(answer.content.unwrap_or_default());
                    let schema = schema.map_err(|error| error.to_string())?;
                    schema.validate_value(&content).map_err(|violations| violations.to_string())
                }
                ElicitAction::Decline | ElicitAction::Cancel => Ok(()),
            }
        }
        InputRequest::Elicit(ElicitRequestParams::Url(_)) => read::<ElicitResult>(answer).map(drop),
        InputRequest::CreateMessage(_) => read::<CreateMessageResult>(answer).map(drop),
        InputRequest::ListRoots(_) => read::<ListRootsResult>(answer).map(drop),
    }
}

fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, String> {
    T::deserialize(answer).map_err(|error| error.to_string())
}
