//! Error codes, each written once.
//!
//! Spec: basic/index, "Error Codes".

/// A JSON-RPC error code that this implementation emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// -32700: the body is not JSON.
    ParseError,
    /// -32600: the JSON is not a JSON-RPC message of the kind that belongs here.
    InvalidRequest,
    /// -32601: the server has no such method.
    MethodNotFound,
    /// -32602: the parameters are missing, malformed, or name something unknown.
    InvalidParams,
    /// -32603: our side failed.
    InternalError,
    /// -32020: a header is missing, malformed, or says something else than the body.
    HeaderMismatch,
    /// -32021: the request needs a capability that the client did not declare.
    MissingRequiredClientCapability,
    /// -32022: the server does not speak the version that the request declares.
    UnsupportedProtocolVersion,
    /// -32002: resource not found, in legacy revisions only; modern ones say [`Code::InvalidParams`].
    LegacyResourceNotFound,
    /// -32042: the person has to visit pages first, in 2025-11-25 only; modern servers ask in a round.
    LegacyUrlElicitationRequired,
}

impl Code {
    /// The number on the wire.
    pub const fn number(self) -> i32 {
        match self {
            Self::ParseError => -32700,
            Self::InvalidRequest => -32600,
            Self::MethodNotFound => -32601,
            Self::InvalidParams => -32602,
            Self::InternalError => -32603,
            Self::HeaderMismatch => -32020,
            Self::MissingRequiredClientCapability => -32021,
            Self::UnsupportedProtocolVersion => -32022,
            Self::LegacyResourceNotFound => -32002,
            Self::LegacyUrlElicitationRequired => -32042,
        }
    }

    /// The number to send where a handler chose this one: the same, unless it is of an earlier revision, or
    /// of the range that the specification keeps for itself, where each code stands for something that is
    /// decided before a handler runs. For modern revisions only.
    pub const fn permitted(chosen: i32) -> i32 {
        match chosen {
            -32002 => Self::InvalidParams.number(),
            -32099..=-32020 => Self::InternalError.number(),
            _ => chosen,
        }
    }
}
