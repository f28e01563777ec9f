//! The members that admission knows, by where they stand.

use crate::meta::{self, path};
use crate::scan::Str;

/// A member that counts: it may stand once, and its value is of a certain kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Member {
    /// `jsonrpc`
    JsonRpc,
    /// `id`
    Id,
    /// `method`
    Method,
    /// `params`
    Params,
    /// `result`
    Result,
    /// `error`
    Error,
    /// `params._meta`
    Meta,
    /// `params.name`
    Name,
    /// `params.uri`
    Uri,
    /// `params.cursor`
    Cursor,
    /// `params.arguments`
    Arguments,
    /// `params.inputResponses`
    InputResponses,
    /// `params.requestState`
    RequestState,
    /// The revision that the request speaks, in `params._meta`.
    ProtocolVersion,
    /// What the client can do, in `params._meta`.
    ClientCapabilities,
    /// Who asks, in `params._meta`.
    ClientInfo,
    /// The least severe log level that the client wants, in `params._meta`.
    LogLevel,
    /// The progress token, in `params._meta`.
    ProgressToken,
    /// The parent span, in `params._meta`.
    Traceparent,
    /// What vendors add to it, in `params._meta`.
    Tracestate,
    /// W3C baggage, in `params._meta`.
    Baggage,
}

/// The objects whose members count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    Message,
    Params,
    Meta,
}

const MESSAGE: [(&str, Member); 6] = [
    ("jsonrpc", Member::JsonRpc),
    ("id", Member::Id),
    ("method", Member::Method),
    ("params", Member::Params),
    ("result", Member::Result),
    ("error", Member::Error),
];

const PARAMS: [(&str, Member); 7] = [
    ("_meta", Member::Meta),
    ("name", Member::Name),
    ("arguments", Member::Arguments),
    ("uri", Member::Uri),
    ("cursor", Member::Cursor),
    ("inputResponses", Member::InputResponses),
    ("requestState", Member::RequestState),
];

const META: [(&str, Member); 8] = [
    (meta::PROTOCOL_VERSION, Member::ProtocolVersion),
    (meta::CLIENT_CAPABILITIES, Member::ClientCapabilities),
    (meta::CLIENT_INFO, Member::ClientInfo),
    (meta::LOG_LEVEL, Member::LogLevel),
    (meta::PROGRESS_TOKEN, Member::ProgressToken),
    (meta::TRACEPARENT, Member::Traceparent),
    (meta::TRACESTATE, Member::Tracestate),
    (meta::BAGGAGE, Member::Baggage),
];

impl Within {
    /// The member that `key` names. Keys with escapes are compared by value, so that no spelling of a member goes
    /// unseen.
    pub(crate) fn member(self, key: Str<'_>) -> Option<Member> {
        let known = match self {
            Self::Message => &MESSAGE[..],
            Self::Params => &PARAMS,
            Self::Meta => &META,
        };
        // Hardly any key has escapes, and those without are told apart by their lengths.
        let found = match key.is_escaped() {
            false => known.iter().find(|(name, _)| *name == key.raw()),
            true => known.iter().find(|(name, _)| key.is(name)),
        };
        found.map(|(_, member)| *member)
    }
}

impl Member {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Baggage as usize + 1;

    /// What its own members are looked up in.
    pub(crate) const fn within(self) -> Option<Within> {
        match self {
            Self::Params => Some(Within::Params),
            Self::Meta => Some(Within::Meta),
            Self::JsonRpc
            | Self::Id
            | Self::Method
            | Self::Result
            | Self::Error
            | Self::Name
            | Self::Uri
            | Self::Cursor
            | Self::Arguments
            | Self::InputResponses
            | Self::RequestState
            | Self::ProtocolVersion
            | Self::ClientCapabilities
            | Self::ClientInfo
            | Self::LogLevel
            | Self::ProgressToken
            | Self::Traceparent
            | Self::Tracestate
            | Self::Baggage => None,
        }
    }

    /// Where it stands, for refusals.
    pub const fn path(self) -> &'static str {
        match self {
            Self::JsonRpc => "jsonrpc",
            Self::Id => "id",
            Self::Method => "method",
            Self::Params => "params",
            Self::Result => "result",
            Self::Error => "error",
            Self::Meta => "params._meta",
            Self::Name => "params.name",
            Self::Uri => "params.uri",
            Self::Cursor => "params.cursor",
            Self::Arguments => "params.arguments",
            Self::InputResponses => "params.inputResponses",
            Self::RequestState => "params.requestState",
            Self::ProtocolVersion => path::PROTOCOL_VERSION,
            Self::ClientCapabilities => path::CLIENT_CAPABILITIES,
            Self::ClientInfo => path::CLIENT_INFO,
            Self::LogLevel => path::LOG_LEVEL,
            Self::ProgressToken => path::PROGRESS_TOKEN,
            Self::Traceparent => path::TRACEPARENT,
            Self::Tracestate => path::TRACESTATE,
            Self::Baggage => path::BAGGAGE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_that_of_the_object_and_the_key() {
        let mut members = 0;
        for (within, known, prefix) in [
            (Within::Message, &MESSAGE[..], ""),
            (Within::Params, &PARAMS, "params."),
            (Within::Meta, &META, "params._meta."),
        ] {
            for (key, member) in known {
                assert_eq!(member.path(), format!("{prefix}{key}"));
                let literal = format!("\"{key}\"");
                assert_eq!(within.member(Str::parse(&literal).unwrap()), Some(*member));
                members += 1;
            }
        }
        assert_eq!(members, Member::COUNT);
    }
}
