//! How one life of a connection ends, and what that means to the requests that wait.

use std::process::ExitStatus;

use crate::call::Repeat;
use crate::error::{Broken, Error};

/// Why nothing more comes.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// The server ended, or closed one of its pipes.
    Lost(Loss),
    /// The server broke the protocol in a way that concerns every request.
    Broken(Broken),
    /// We closed it.
    Closed,
}

/// What is known about the end of a server.
#[derive(Debug, Clone, Default, thiserror::Error)]
#[error("{how}{}{}", .status.map(|status| format!(" ({status})")).unwrap_or_default(), said(.stderr))]
pub(super) struct Loss {
    /// What was seen.
    pub(super) how: String,
    /// How the process ended, if it is one and has.
    pub(super) status: Option<ExitStatus>,
    /// The end of what it said on stderr.
    pub(super) stderr: String,
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; the last it said was:\n{stderr}") }
}

impl End {
    /// What a request fails with; `sent` is whether any of it was written.
    pub(super) fn error(&self, origin: &str, sent: bool, repeat: Repeat) -> Error {
        match (self, sent, repeat) {
            (Self::Broken(broken), true, _) => Error::Broken(broken.clone()),
            (_, false, _) => Error::unreachable(origin, self.loss()),
            (Self::Lost(_) | Self::Closed, true, Repeat::Safe) => Error::lost(self.loss()),
            (Self::Lost(_) | Self::Closed, true, Repeat::Never) => Error::OutcomeUnknown { source: self.loss().into() },
        }
    }

    fn loss(&self) -> Loss {
        match self {
            Self::Lost(loss) => loss.clone(),
            Self::Broken(broken) => Loss { how: broken.to_string(), ..Loss::default() },
            Self::Closed => Loss { how: "the connection was closed".to_owned(), ..Loss::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> End {
        End::Lost(Loss { how: "the server closed its output".to_owned(), status: None, stderr: "no disk".to_owned() })
    }

    #[test]
    fn what_was_not_sent_did_not_run() {
        for end in [lost(), End::Broken(Broken::NoAnswer), End::Closed] {
            assert!(end.error("server", false, Repeat::Never).did_not_run(), "{end:?}");
            assert!(!end.error("server", true, Repeat::Never).did_not_run(), "{end:?}");
        }
    }

    #[test]
    fn only_what_may_be_repeated_is_lost() {
        assert!(matches!(lost().error("server", true, Repeat::Safe), Error::Lost { .. }));
        assert!(matches!(lost().error("server", true, Repeat::Never), Error::OutcomeUnknown { .. }));
    }

    #[test]
    fn shows_what_the_server_said_last() {
        let error = lost().error("server", true, Repeat::Safe).to_string();
        assert_eq!(error, "the connection was lost: the server closed its output; the last it said was:\nno disk");
    }
}
