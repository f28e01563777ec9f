//! What legacy clients can be asked.

use serde::{Deserialize, Serialize};

use crate::{
    elicitation::{self, ElicitRequestParams, EnumSchema, PrimitiveSchemaDefinition, RequestedSchema, UrlMode},
    rounds::InputRequest,
    sampling::{CreateMessageRequestParams, SamplingContent},
    version::Version,
};

/// Whether a client of this revision understands the question at all. Whether it has declared the
/// capability is another matter: [`crate::capabilities::ClientCapabilities::missing`].
pub fn supports(version: Version, request: &InputRequest) -> bool {
    match request {
        InputRequest::ListRoots(_) => true,
        InputRequest::Elicit(ElicitRequestParams::Url(_)) => version >= Version::V2025_11_25,
        InputRequest::Elicit(ElicitRequestParams::Form(form)) => version >= form_since(&form.requested_schema),
        InputRequest::CreateMessage(params) => version >= sampling_since(params),
    }
}

/// Choices of several came with 2025-11-25. Titled choices did too, but an older client still has a text
/// field to show for them.
fn form_since(schema: &RequestedSchema) -> Version {
    let later = schema.properties.0.iter().any(|(_, field)| match field {
        PrimitiveSchemaDefinition::Enum(EnumSchema::Multi(_)) => true,
        PrimitiveSchemaDefinition::Enum(EnumSchema::Single(_) | EnumSchema::Legacy(_))
        | PrimitiveSchemaDefinition::String(_)
        | PrimitiveSchemaDefinition::Number(_)
        | PrimitiveSchemaDefinition::Boolean(_) => false,
    });
    if later { Version::V2025_11_25 } else { Version::V2025_06_18 }
}

/// Tools, and messages of several blocks, came with 2025-11-25.
fn sampling_since(params: &CreateMessageRequestParams) -> Version {
    let lists = params.messages.iter().any(|message| match &message.content {
        SamplingContent::One(_) => false,
        SamplingContent::Many(_) => true,
    });
    if params.needs_tools() || lists { Version::V2025_11_25 } else { Version::V2025_03_26 }
}

/// A page to visit, as 2025-11-25 asks for it: with an id for
/// [`super::ElicitationCompleteNotificationParams`], which modern questions do not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElicitRequestUrlParams {
    /// Always URL.
    pub mode: UrlMode,
    /// Why the person is to go there.
    pub message: String,
    /// Told apart from the server's other elicitations by this id.
    pub elicitation_id: String,
    /// Where.
    pub url: String,
}

impl ElicitRequestUrlParams {
    /// The modern question under this id.
    pub fn new(modern: elicitation::ElicitRequestUrlParams, elicitation_id: impl Into<String>) -> Self {
        let elicitation::ElicitRequestUrlParams { mode, message, url } = modern;
        Self { mode, message, elicitation_id: elicitation_id.into(), url }
    }

    /// The id, and the modern question.
    pub fn split(self) -> (String, elicitation::ElicitRequestUrlParams) {
        let Self { mode, message, elicitation_id, url } = self;
        (elicitation_id, elicitation::ElicitRequestUrlParams { mode, message, url })
    }
}
