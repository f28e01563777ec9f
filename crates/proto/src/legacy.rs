//! What revisions up to 2025-11-25 said otherwise: the handshake, session-wide settings, and results
//! without what came later.
//!
//! Spec: 2025-11-25, basic/lifecycle; the schemas of 2025-03-26, 2025-06-18 and 2025-11-25.

mod downgrade;
mod initialize;
mod input;
pub mod tasks;
pub mod upgrade;

use serde::{Deserialize, Serialize};

pub use downgrade::{downgrade, downgrade_any, downgraded_text};
pub use initialize::{
    ClientCapabilities, InitializeRequestParams, InitializeResult, RootsCapability, ServerCapabilities,
};
pub use input::{ElicitRequestUrlParams, supports};

use crate::logging::LoggingLevel;

/// What `logging/setLevel` carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLevelRequestParams {
    /// The least severe level to be sent.
    pub level: LoggingLevel,
}

/// What `resources/subscribe` carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeRequestParams {
    /// The resource to be told about.
    pub uri: String,
}

/// What `resources/unsubscribe` carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsubscribeRequestParams {
    /// The resource to be told about no more.
    pub uri: String,
}

/// What `notifications/elicitation/complete` carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElicitationCompleteNotificationParams {
    /// The elicitation that is over.
    pub elicitation_id: String,
}
