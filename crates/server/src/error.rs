//! What a handler can fail with, and what the caller sees of it.

use std::fmt;
use std::time::Duration;

use anypod_proto::code::Code;
use anypod_proto::reject::Rejection;
use anypod_proto::tools::CallToolResult;
use serde_json::Value;

use crate::completed::{Completed, Failure};
use crate::extension::declares;
use crate::run::failure;

/// Why a handler failed.
///
/// `?` on any standard error makes one whose text the model sees as a tool error (`isError: true`), so that
/// it can correct itself; in prompts and resources, which have no such place, the text goes to the log and
/// the caller sees an internal error. The other constructors say exactly what the caller sees, and make an
/// `Error` of what is no standard error, such as a text or an `anyhow::Error`:
///
/// ```
/// use anypod_server::{Error, Result};
///
/// fn first_even(numbers: &str) -> Result<i64> {
///     for number in numbers.split(',') {
///         let number: i64 = number.trim().parse()?;
///         if number % 2 == 0 {
///             return Ok(number);
///         }
///     }
///     Err(Error::tool("all of the numbers are odd"))
/// }
///
/// async fn shelf(name: &str) -> Result<u32> {
///     let number = name.strip_prefix('S').ok_or_else(|| Error::tool("shelves begin with S"))?;
///     // For the log, not for the model.
///     number.parse().map_err(Error::internal)
/// }
/// # assert_eq!(first_even("1, 4").unwrap(), 4);
/// # assert!(first_even("1, x").is_err());
/// # let _ = shelf("S1");
/// ```
pub struct Error {
    kind: Kind,
}

/// The short form that handlers return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) enum Kind {
    /// For the model to read.
    Tool(String),
    /// A JSON-RPC error of the handler's own choice.
    Protocol { code: i32, message: String, data: Option<Value> },
    /// A refusal that the protocol defines.
    Rejected(Rejection),
    /// For the log only.
    Internal(String),
}

impl Error {
    /// A tool error: the call ran, failed, and `message` tells the model why.
    pub fn tool(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Tool(message.to_string()) }
    }

    /// A JSON-RPC error -32602: the caller asked for something that makes no sense here.
    pub fn invalid_params(message: impl fmt::Display) -> Self {
        Self::protocol(Code::InvalidParams.number(), message)
    }

    /// A JSON-RPC error with a code of your own. Codes from -32768 to -32000 are reserved; modern clients
    /// get -32602 for -32002, and -32603 for -32099 to -32020. See the specification,
    /// basic/index, "Error Codes".
    pub fn protocol(code: i32, message: impl fmt::Display) -> Self {
        Self { kind: Kind::Protocol { code, message: message.to_string(), data: None } }
    }

    /// The caller sees "internal error"; `message` goes to the log.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self { kind: Kind::Internal(message.to_string()) }
    }

    /// There is no resource of that URI.
    pub fn unknown_resource(uri: impl Into<String>) -> Self {
        Self::rejected(Rejection::Unknown { what: "resource", key: "uri", name: uri.into() })
    }

    /// There is no room for this now: 503 with `Retry-After`, in seconds rounded up.
    pub fn busy(retry_after: Duration) -> Self {
        let secs = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self::rejected(Rejection::Busy { retry_after_secs: u32::try_from(secs.max(1)).unwrap_or(u32::MAX) })
    }

    /// How long to wait until it makes sense to try again, where the error says so.
    pub(crate) fn passes_after(&self) -> Option<Duration> {
        match &self.kind {
            Kind::Rejected(Rejection::Busy { retry_after_secs }) => {
                Some(Duration::from_secs((*retry_after_secs).into()))
            }
            Kind::Rejected(_) | Kind::Tool(_) | Kind::Protocol { .. } | Kind::Internal(_) => None,
        }
    }

    /// The client has not declared an extension that this needs (-32021).
    pub fn missing_extension(id: &str) -> Self {
        Self::rejected(Rejection::MissingCapability(Box::new(declares(id))))
    }

    /// Adds `data` to a JSON-RPC error; other kinds have no place for it.
    #[must_use]
    pub fn with_data(mut self, value: Value) -> Self {
        if let Kind::Protocol { data, .. } = &mut self.kind {
            *data = Some(value);
        }
        self
    }

    /// A refusal that the protocol defines.
    pub(crate) const fn rejected(rejection: Rejection) -> Self {
        Self { kind: Kind::Rejected(rejection) }
    }

    /// Why there is no answer, for a handler to pass on.
    pub(crate) fn of(failure: Failure) -> Self {
        match failure {
            Failure::Rejected(rejection) => Self::rejected(rejection),
            Failure::Protocol { code, message, data } | Failure::Passed { code, message, data, status: _ } => {
                Self { kind: Kind::Protocol { code, message, data } }
            }
            Failure::Unauthorized { .. } => Self::internal("somebody behind wants credentials"),
        }
    }

    /// As the end of a call of a tool: a tool error is a result.
    pub(crate) fn into_tool_failure(self) -> std::result::Result<Option<Completed>, Failure> {
        match self.kind {
            Kind::Tool(message) => Ok(Some(Completed::Tool(CallToolResult::error(message)))),
            Kind::Protocol { .. } | Kind::Rejected(_) | Kind::Internal(_) => Err(failure(self)),
        }
    }

    pub(crate) fn into_kind(self) -> Kind {
        self.kind
    }
}

// `Error` itself is no `std::error::Error`, as otherwise this conversion would overlap with the identity.
impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self::tool(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Tool(message) | Kind::Protocol { message, .. } | Kind::Internal(message) => f.write_str(message),
            Kind::Rejected(rejection) => rejection.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Tool(message) => f.debug_tuple("Tool").field(message).finish(),
            Kind::Protocol { code, message, .. } => f.debug_tuple("Protocol").field(code).field(message).finish(),
            Kind::Rejected(rejection) => rejection.fmt(f),
            Kind::Internal(message) => f.debug_tuple("Internal").field(message).finish(),
        }
    }
}
