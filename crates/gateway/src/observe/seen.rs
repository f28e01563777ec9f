//! One request, as far as it was understood: what everything that is written down is made of. No payload, no argument, no
//! token and no URI of a resource gets in here.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use anypod_proto::method::{LegacyMethod, Method, Notification, TaskMethod};
use anypod_proto::version::{Era, Version};
use anypod_server::Principal;

use super::label::{HTTP_METHOD_BYTES, NAME_BYTES, clean};
use super::series::{Client, Pod, Route, Upstream};
use super::trace::Trace;

/// One request, when its answer is through.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The HTTP method.
    pub(crate) http_method: http::Method,
    /// The route; none if the path leads nowhere.
    pub(crate) route: Option<Arc<Route>>,
    /// What was asked.
    pub(crate) called: Called,
    /// The name of the tool or prompt, as the caller wrote it. Anything else that a name header may hold is passed over.
    pub(crate) name: Option<Arc<str>>,
    /// The era of the client.
    pub(crate) era: Option<Era>,
    /// The revision that it speaks.
    pub(crate) version: Option<Version>,
    /// The client, as it calls itself; see [`super::Observer::client`].
    pub(crate) client: Option<Arc<Client>>,
    /// Who that is, where it was authenticated.
    pub(crate) principal: Option<Arc<Principal>>,
    /// The upstream; none for what the gateway answers itself, or merges from several.
    pub(crate) upstream: Option<Arc<Upstream>>,
    /// The era of the upstream.
    pub(crate) upstream_era: Option<Era>,
    /// What was sent to a pod; none if nothing was.
    pub(crate) leg: Option<Leg>,
    /// The HTTP status of the answer.
    pub(crate) status: u16,
    /// The JSON-RPC code, of an error.
    pub(crate) code: Option<i32>,
    /// What came of it.
    pub(crate) outcome: Outcome,
    /// From the head of the request to the end of the answer.
    pub(crate) took: Duration,
    /// The length of the request's body.
    pub(crate) bytes_in: u64,
    /// The length of the answer's.
    pub(crate) bytes_out: u64,
    /// The answer came from memory.
    pub(crate) cached: bool,
    /// Another replica answered, which held what the request belongs to.
    pub(crate) hopped: bool,
    /// A plain balancer in place of the gateway would have had to be sticky: a request within a legacy session, or the
    /// answer to a question.
    pub(crate) affinity: bool,
    /// The trace that it belongs to.
    pub(crate) trace: Option<Box<Trace>>,
}

/// What was sent to a pod: of several attempts the last.
#[derive(Debug)]
pub(crate) struct Leg {
    /// The pod.
    pub(crate) pod: Arc<Pod>,
    /// How long after the head of the request it was sent.
    pub(crate) after: Duration,
    /// From then to the head of the answer; none if there was no answer.
    pub(crate) head: Option<Duration>,
    /// How many pods were tried before.
    pub(crate) retries: u8,
}

/// What was asked: one of a closed list, whatever the caller wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    /// A request.
    Request(Method),
    /// A request that only legacy clients send.
    Legacy(LegacyMethod),
    /// A request of the tasks extension.
    Task(TaskMethod),
    /// A notification.
    Notice(Notification),
    /// A legacy client's answer to a question.
    Answer,
    /// GET: the stream of a legacy session.
    Stream,
    /// DELETE: the end of one.
    End,
    /// A method that we do not know, such as one of an extension.
    Other,
    /// It was refused before its method was known.
    Unread,
}

impl Called {
    /// What a method of that name asks.
    pub(crate) fn parse(method: &str) -> Self {
        let request = Method::parse(method).map(Self::Request);
        let legacy = || LegacyMethod::parse(method).map(Self::Legacy);
        let task = || TaskMethod::parse(method).map(Self::Task);
        let notice = || Notification::parse(method).map(Self::Notice);
        request.or_else(legacy).or_else(task).or_else(notice).unwrap_or(Self::Other)
    }

    /// As it is written down.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Request(method) => method.as_str(),
            Self::Legacy(method) => method.as_str(),
            Self::Task(method) => method.as_str(),
            Self::Notice(method) => method.as_str(),
            Self::Answer => "answer",
            Self::Stream => "session_stream",
            Self::End => "session_end",
            Self::Other => "other",
            Self::Unread => "unread",
        }
    }

    /// Whether a name may be written down. What others have there are URIs and ids of tasks.
    const fn has_name(self) -> bool {
        match self {
            Self::Request(Method::ToolsCall | Method::PromptsGet) => true,
            Self::Request(_)
            | Self::Legacy(_)
            | Self::Task(_)
            | Self::Notice(_)
            | Self::Answer
            | Self::Stream
            | Self::End
            | Self::Other
            | Self::Unread => false,
        }
    }
}

/// What came of a request. Reasons are words of the gateway, such as `rate` or `connect_timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A result.
    Ok,
    /// Questions, in place of a result.
    Asked,
    /// A tool's result that says that it failed.
    ToolError,
    /// An error that the upstream answered.
    Error,
    /// The gateway refused it.
    Refused(&'static str),
    /// The upstream could not be reached, was too slow, or broke off.
    Failed(&'static str),
    /// The client went away, or took it back.
    Cancelled,
}

impl Outcome {
    /// As they are written down, in the order of [`Outcome::index`].
    pub(super) const NAMES: [&'static str; 7] =
        ["ok", "asked", "tool_error", "error", "refused", "failed", "cancelled"];

    /// Which of [`Outcome::NAMES`] it is.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Ok => 0,
            Self::Asked => 1,
            Self::ToolError => 2,
            Self::Error => 3,
            Self::Refused(_) => 4,
            Self::Failed(_) => 5,
            Self::Cancelled => 6,
        }
    }

    /// As it is written down.
    pub(super) const fn as_str(self) -> &'static str {
        Self::NAMES[self.index()]
    }

    /// Why, where the gateway knows.
    pub(super) const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Refused(reason) | Self::Failed(reason) => Some(reason),
            Self::Ok | Self::Asked | Self::ToolError | Self::Error | Self::Cancelled => None,
        }
    }

    /// Whether it counts as an error. A client that changes its mind is none.
    pub(super) const fn is_error(self) -> bool {
        match self {
            Self::ToolError | Self::Error | Self::Refused(_) | Self::Failed(_) => true,
            Self::Ok | Self::Asked | Self::Cancelled => false,
        }
    }

    /// Whether it is settled whatever becomes of the answer on its way to the client.
    pub(crate) const fn is_over(self) -> bool {
        match self {
            Self::Refused(_) | Self::Failed(_) => true,
            Self::Ok | Self::Asked | Self::ToolError | Self::Error | Self::Cancelled => false,
        }
    }

    /// Whether the request got past the gateway's own checks.
    pub(super) const fn is_served(self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Ok | Self::Asked | Self::ToolError | Self::Error | Self::Failed(_) | Self::Cancelled => true,
        }
    }
}

impl Seen {
    /// The name, where one may be written down.
    pub(super) fn shown_name(&self) -> Option<Cow<'_, str>> {
        self.name.as_deref().filter(|_| self.called.has_name()).map(|name| clean(name, NAME_BYTES))
    }

    /// The HTTP method, cut.
    pub(super) fn shown_http_method(&self) -> Cow<'_, str> {
        clean(self.http_method.as_str(), HTTP_METHOD_BYTES)
    }
}

/// An era as it is written down.
pub(super) const fn era_name(era: Option<Era>) -> &'static str {
    match era {
        Some(Era::Modern) => "modern",
        Some(Era::Legacy) => "legacy",
        None => "unknown",
    }
}

/// Where an era stands in an array of both.
pub(super) const fn era_index(era: Era) -> usize {
    match era {
        Era::Modern => 0,
        Era::Legacy => 1,
    }
}

/// Both, in the order of [`era_index`].
pub(super) const ERAS: [Era; 2] = [Era::Modern, Era::Legacy];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_a_caller_made_up_is_other() {
        for method in Method::ALL {
            assert_eq!(Called::parse(method.as_str()), Called::Request(*method));
        }
        for (text, name) in [
            ("initialize", "initialize"),
            ("tasks/get", "tasks/get"),
            ("notifications/cancelled", "notifications/cancelled"),
            ("TOOLS/CALL", "other"),
            ("x\n\"", "other"),
        ] {
            assert_eq!(Called::parse(text).as_str(), name);
        }
    }

    #[test]
    fn every_outcome_has_a_name_of_its_own() {
        let all = [
            Outcome::Ok,
            Outcome::Asked,
            Outcome::ToolError,
            Outcome::Error,
            Outcome::Refused("x"),
            Outcome::Failed("x"),
            Outcome::Cancelled,
        ];
        for (index, outcome) in all.into_iter().enumerate() {
            assert_eq!(outcome.index(), index);
        }
        assert_eq!(all.len(), Outcome::NAMES.len());
    }
}
