//! Why the gateway has no result to give, and what that becomes on the wire: one total function for the crate.

use anypod_client::{Challenge, Error};
use anypod_proto::code::Code;
use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::reject::Rejection;
use anypod_server::Refusal;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::observe::Outcome;

/// When a caller may come again whose upstream has no pod for it.
pub(crate) const RETRY_AFTER_SECS: u32 = 1;

/// Why there is no result. Sorted by side: the caller's, the gateway's, the upstream's.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// The protocol, the policy or a bound of the gateway says so.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The caller has shown no token that is known.
    #[error("a bearer token is needed")]
    Unauthorized,

    /// The method of an extension may be for several upstreams, and nothing says for which.
    #[error("`{method}` may be for any of {}, and the gateway is not told for which: \
             methods = {{ \"{method}\" = \"{}\" }} in its [[route]] says so", upstreams.join(", "), upstreams.first().map_or("", String::as_str))]
    Ambiguous {
        /// The method.
        method: String,
        /// The upstreams.
        upstreams: Vec<String>,
    },

    /// The replica that holds the call is gone, or does not hold it any more.
    #[error("the call that asked is gone; start the request again, without `requestState`")]
    HolderGone,

    /// No pod takes requests.
    #[error("no pod of the upstream `{upstream}` takes requests; try again in {RETRY_AFTER_SECS} s")]
    NoPod {
        /// The upstream.
        upstream: String,
    },
    /// A pod broke off, and the request may have run.
    #[error("the upstream `{upstream}` broke off; nobody knows whether the request ran")]
    OutcomeUnknown {
        /// The upstream.
        upstream: String,
    },
    /// A pod broke off, and it does no harm to ask again.
    #[error("the upstream `{upstream}` broke off; try again")]
    Lost {
        /// The upstream.
        upstream: String,
    },
    /// A pod took too long.
    #[error("the upstream `{upstream}` took too long")]
    TimedOut {
        /// The upstream.
        upstream: String,
    },
    /// A pod answered something that is not of the protocol.
    #[error("the upstream `{upstream}` answered with something that is no MCP")]
    Broken {
        /// The upstream.
        upstream: String,
    },
    /// The upstream wants other credentials: of the caller, if there is a challenge to be passed on.
    #[error("the upstream wants authorization")]
    UpstreamUnauthorized(Option<Box<Challenge>>),
    /// The upstream's own error.
    #[error("{message}")]
    Answered {
        /// The status, where it gave one.
        status: Option<StatusCode>,
        /// The code.
        code: i32,
        /// The text.
        message: String,
        /// More.
        data: Option<Value>,
    },
}

impl Failure {
    /// The status of the HTTP answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Rejected(rejection) => rejection.status(),
            Self::UpstreamUnauthorized(Some(challenge)) => challenge.status,
            Self::Unauthorized | Self::UpstreamUnauthorized(None) => StatusCode::UNAUTHORIZED,
            Self::HolderGone => StatusCode::BAD_REQUEST,
            // As for a method that nobody has.
            Self::Ambiguous { .. } => StatusCode::NOT_FOUND,
            Self::NoPod { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::OutcomeUnknown { .. } | Self::Lost { .. } | Self::Broken { .. } => StatusCode::BAD_GATEWAY,
            Self::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Answered { status: Some(status), .. } => *status,
            Self::Answered { status: None, code, .. } => status_of(*code),
        }
    }

    /// The code of the JSON-RPC error.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Rejected(rejection) => rejection.code().number(),
            Self::Unauthorized | Self::UpstreamUnauthorized(_) => Code::InvalidRequest.number(),
            Self::Ambiguous { .. } => Code::MethodNotFound.number(),
            Self::HolderGone => Code::InvalidParams.number(),
            Self::NoPod { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Lost { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. } => Code::InternalError.number(),
            Self::Answered { code, .. } => *code,
        }
    }

    /// What the error says beyond its message.
    pub(crate) fn data(&self) -> Option<Value> {
        match self {
            Self::Rejected(rejection) => rejection.data(),
            Self::Ambiguous { upstreams, .. } => Some(json!({ "upstreams": upstreams })),
            Self::HolderGone => Some(json!({ "field": "params.requestState" })),
            Self::NoPod { .. } => Some(json!({ "retryAfterMs": u64::from(RETRY_AFTER_SECS) * 1000 })),
            Self::Answered { data, .. } => data.clone(),
            Self::Unauthorized
            | Self::UpstreamUnauthorized(_)
            | Self::OutcomeUnknown { .. }
            | Self::Lost { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. } => None,
        }
    }

    /// What stands in `WWW-Authenticate`.
    pub(crate) fn challenge(&self) -> Vec<HeaderValue> {
        match self {
            // Spec: basic/authorization, "Token Handling"; RFC 6750, section 3.
            Self::Unauthorized => vec![HeaderValue::from_static("Bearer")],
            Self::UpstreamUnauthorized(Some(challenge)) => {
                challenge.www_authenticate.iter().filter_map(|value| HeaderValue::try_from(value).ok()).collect()
            }
            Self::UpstreamUnauthorized(None)
            | Self::Rejected(_)
            | Self::Ambiguous { .. }
            | Self::HolderGone
            | Self::NoPod { .. }
            | Self::OutcomeUnknown { .. }
            | Self::Lost { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Answered { .. } => Vec::new(),
        }
    }

    /// When the caller may come again, in seconds.
    pub(crate) const fn retry_after_secs(&self) -> Option<u32> {
        match self {
            Self::Rejected(rejection) => rejection.retry_after_secs(),
            Self::NoPod { .. } => Some(RETRY_AFTER_SECS),
            Self::Unauthorized
            | Self::UpstreamUnauthorized(_)
            | Self::Ambiguous { .. }
            | Self::HolderGone
            | Self::OutcomeUnknown { .. }
            | Self::Lost { .. }
            | Self::Broken { .. }
            | Self::TimedOut { .. }
            | Self::Answered { .. } => None,
        }
    }

    /// Whether there was too much to do.
    pub(crate) const fn is_shed(&self) -> bool {
        matches!(self, Self::Rejected(Rejection::Busy { .. }))
    }

    /// Whether the upstream does not know the method.
    pub(crate) fn is_unknown_method(&self) -> bool {
        self.code() == Code::MethodNotFound.number()
    }

    /// Whether the upstream could not be asked, so that what it said before may stand in.
    pub(crate) const fn is_of_the_way(&self) -> bool {
        match self {
            Self::NoPod { .. } | Self::OutcomeUnknown { .. } | Self::Lost { .. } | Self::TimedOut { .. } => true,
            Self::Rejected(_)
            | Self::Unauthorized
            | Self::Ambiguous { .. }
            | Self::HolderGone
            | Self::Broken { .. }
            | Self::UpstreamUnauthorized(_)
            | Self::Answered { .. } => false,
        }
    }

    /// What is written down about it.
    pub(crate) const fn outcome(&self) -> Outcome {
        match self {
            Self::Rejected(rejection) => match rejection {
                Rejection::RateLimited { .. } => Outcome::Refused("rate"),
                Rejection::Busy { .. } => Outcome::Refused("busy"),
                Rejection::Unknown { .. } => Outcome::Refused("unknown"),
                Rejection::Forbidden { .. } => Outcome::Refused("origin"),
                Rejection::ForbiddenArguments => Outcome::Refused("arguments"),
                _ => Outcome::Refused("malformed"),
            },
            Self::Unauthorized => Outcome::Refused("unauthorized"),
            Self::Ambiguous { .. } => Outcome::Refused("ambiguous"),
            Self::HolderGone => Outcome::Refused("holder_gone"),
            Self::NoPod { .. } => Outcome::Failed("no_pod"),
            Self::OutcomeUnknown { .. } => Outcome::Failed("outcome_unknown"),
            Self::Lost { .. } => Outcome::Failed("lost"),
            Self::TimedOut { .. } => Outcome::Failed("timed_out"),
            Self::Broken { .. } => Outcome::Failed("broken"),
            Self::UpstreamUnauthorized(_) | Self::Answered { .. } => Outcome::Error,
        }
    }

    /// A failed call of `upstream`. What a peer said of itself goes to the log, not to the caller.
    pub(crate) fn of(upstream: &str, error: Error) -> Self {
        let upstream = upstream.to_owned();
        match error {
            Error::Answered(error) => error.into(),
            Error::Unauthorized(challenge) => Self::UpstreamUnauthorized(Some(challenge)),
            Error::Unreachable { .. } | Error::Busy(_) => Self::NoPod { upstream },
            Error::OutcomeUnknown { .. } => Self::OutcomeUnknown { upstream },
            Error::Lost { .. } | Error::Cancelled => Self::Lost { upstream },
            Error::TimedOut(_) => Self::TimedOut { upstream },
            other => {
                tracing::warn!(upstream, error = %other, "an upstream broke the protocol");
                Self::Broken { upstream }
            }
        }
    }
}

impl Failure {
    /// The upstream's own error, with the status that it came with.
    pub(crate) fn answered(status: Option<StatusCode>, error: ErrorObject) -> Self {
        Self::Answered { status, code: error.code, message: error.message, data: error.data }
    }
}

impl From<ErrorObject> for Failure {
    fn from(error: ErrorObject) -> Self {
        Self::answered(None, error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rejected(rejection) => Self::Rejected(rejection),
            // The server has a way to say when to come again.
            Failure::NoPod { .. } => {
                tracing::warn!(%failure, "no pod");
                Self::Rejected(Rejection::Busy { retry_after_secs: RETRY_AFTER_SECS })
            }
            Failure::UpstreamUnauthorized(Some(_)) => {
                Self::Unauthorized { status: failure.status(), challenge: failure.challenge() }
            }
            other => Self::Error {
                status: other.status(),
                code: other.code(),
                message: other.to_string(),
                data: other.data(),
            },
        }
    }
}

/// The status of an error that came without one, as a modern server would have it.
fn status_of(code: i32) -> StatusCode {
    let is = |known: Code| known.number() == code;
    if is(Code::MethodNotFound) {
        StatusCode::NOT_FOUND
    } else if is(Code::InvalidParams) || is(Code::InvalidRequest) || is(Code::MissingRequiredClientCapability) {
        StatusCode::BAD_REQUEST
    } else {
        StatusCode::OK
    }
}
