//! `notifications/progress`: how far a request has come, told to those who ask.
//!
//! Spec: basic/patterns/progress.

use serde::{Deserialize, Serialize};

use crate::{
    jsonrpc::{NotificationKind, TypedNotification, number, optional_setters, string_or_integer},
    meta::NotificationMeta,
    method::Notification,
};

string_or_integer! {
    /// Chosen by the client, to tell the progress of its requests apart.
    ///
    /// Null, fractions and integers outside of 64 bits are refused.
    ProgressToken, "progressToken"
}

/// The kind of a [`ProgressNotification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {}

impl NotificationKind for Progress {
    const METHOD: Notification = Notification::Progress;
    type Params = ProgressNotificationParams;
}

/// A request has come this far.
pub type ProgressNotification = TypedNotification<Progress>;

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressNotificationParams {
    /// The token that the request asked with.
    pub progress_token: ProgressToken,
    /// How far: larger each time, even where the total is unknown.
    #[serde(with = "number")]
    pub progress: f64,
    /// How far it will go, if known.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "number::option")]
    pub total: Option<f64>,
    /// What is being done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What travels beside it.
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    pub meta: Option<NotificationMeta>,
}

impl ProgressNotificationParams {
    /// The request that asked with `progress_token` has come this far.
    pub fn new(progress_token: impl Into<ProgressToken>, progress: f64) -> Self {
        Self { progress_token: progress_token.into(), progress, total: None, message: None, meta: None }
    }
}

optional_setters! { ProgressNotificationParams {
    /// Says how far it will go.
    with_total(total: f64);
    /// Says what is being done.
    with_message(message: impl Into<String>);
} }
