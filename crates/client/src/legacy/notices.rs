//! What a legacy server's notification is about, and so whom it is for.

use anypod_proto::method::Notification;
use anypod_proto::progress::{ProgressNotificationParams, ProgressToken};

use crate::exchange::Raw;

/// What a notification is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// How far one call has come.
    Progress,
    /// A log message.
    Log,
    /// A change: for those who listen.
    Change,
    /// Nothing that a modern caller knows of.
    Nothing,
    /// Nothing of the protocol. On the stream of a call, it is for its caller.
    Other,
}

impl About {
    pub(super) fn of(method: &str) -> Self {
        match Notification::parse(method) {
            Some(Notification::Progress) => Self::Progress,
            Some(Notification::Message) => Self::Log,
            Some(
                Notification::ToolsListChanged
                | Notification::PromptsListChanged
                | Notification::ResourcesListChanged
                | Notification::ResourceUpdated,
            ) => Self::Change,
            // The notifications of tasks belong to an extension, which legacy servers do not have.
            Some(
                Notification::Cancelled
                | Notification::SubscriptionsAcknowledged
                | Notification::Initialized
                | Notification::RootsListChanged
                | Notification::ElicitationComplete
                | Notification::TaskStatus,
            ) => Self::Nothing,
            None => Self::Other,
        }
    }
}

/// The request that a progress notification is about: its token is the request's id.
pub(super) fn progressing(params: &Raw) -> Option<u64> {
    match params.read::<ProgressNotificationParams>().ok()?.progress_token {
        ProgressToken::Integer(id) => u64::try_from(id).ok(),
        ProgressToken::String(_) => None,
    }
}
