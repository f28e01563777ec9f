//! `notifications/message`: log messages for the client.
//!
//! Deprecated since 2026-07-28: log to the standard error stream or OpenTelemetry instead.
//! Spec: server/utilities/logging.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    jsonrpc::{NotificationKind, TypedNotification, optional_setters},
    meta::NotificationMeta,
    method::Notification,
};

/// How severe a message is.
///
/// Deprecated since 2026-07-28: log to the standard error stream or OpenTelemetry instead.
///
/// Ordered by severity, as RFC 5424 names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoggingLevel {
    /// For whoever looks for a fault.
    Debug,
    /// All is well.
    Info,
    /// Normal, but worth to know.
    Notice,
    /// Something may go wrong.
    Warning,
    /// Something went wrong.
    Error,
    /// A part has failed.
    Critical,
    /// Someone must act at once.
    Alert,
    /// Nothing works.
    Emergency,
}

impl LoggingLevel {
    /// Every level, least severe first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// The level of that name, if there is one. Names are case-sensitive.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

impl std::fmt::Display for LoggingLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of a [`LoggingMessageNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoggingMessage {}

impl NotificationKind for LoggingMessage {
    const METHOD: Notification = Notification::Message;
    type Params = LoggingMessageNotificationParams;
}

/// A log message.
///
/// Deprecated since 2026-07-28: log to the standard error stream or OpenTelemetry instead.
pub type LoggingMessageNotification = TypedNotification<LoggingMessage>;

/// What a log message says.
///
/// Deprecated since 2026-07-28: log to the standard error stream or OpenTelemetry instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggingMessageNotificationParams {
    /// How severe it is.
    pub level: LoggingLevel,
    /// Who logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logger: Option<String>,
    /// What is logged: a text, or any JSON value.
    pub data: Value,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<NotificationMeta>,
}

impl LoggingMessageNotificationParams {
    /// Logs `data`.
    pub fn new(level: LoggingLevel, data: impl Into<Value>) -> Self {
        Self { level, logger: None, data: data.into(), meta: None }
    }
}

optional_setters! { LoggingMessageNotificationParams {
    /// Says who logs.
    with_logger(logger: impl Into<String>);
} }
