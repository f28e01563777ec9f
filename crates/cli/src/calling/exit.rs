//! With which code the calling subcommands end.

use std::process::ExitCode;

use anypod_client::Error;

use crate::output::{self, Unprinted};
use crate::usage::Usage;

/// How a call ended, as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// With a result.
    Done = 0,
    /// The tool failed, or the task did.
    Tool = 1,
    /// The command line, or something it names, is wrong.
    Usage = 2,
    /// The server broke the protocol, refused the request, or could not be reached; or the result could not be written.
    Failed = 3,
    /// The server wants (other) credentials.
    Unauthorized = 4,
    /// Ctrl-C. The number is what shells say of SIGINT.
    Interrupted = 130,
}

/// The end of a help page: examples, and what the codes mean.
pub(crate) fn help(examples: &str) -> String {
    format!(
        "{examples}\n\nExit codes: 0 result, 1 the tool failed, 2 wrong usage, 3 protocol or transport error, \
         4 authorization needed."
    )
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The code for an error of the client.
pub(crate) fn of(error: &Error) -> Exit {
    match error {
        Error::Unauthorized(_) => Exit::Unauthorized,
        Error::Tool(_) | Error::Task { .. } => Exit::Tool,
        Error::Misuse(_) => Exit::Usage,
        Error::Answerer(source) if source.is::<Usage>() => Exit::Usage,
        Error::Answered(_)
        | Error::Refused { .. }
        | Error::Broken(_)
        | Error::Unreachable { .. }
        | Error::OutcomeUnknown { .. }
        | Error::Lost { .. }
        | Error::TimedOut(_)
        | Error::Cancelled
        | Error::TooManyRounds(_)
        | Error::NoAnswerer(_)
        | Error::Answerer(_)
        | Error::Busy(_) => Exit::Failed,
        // The enum may grow; what is new is no result.
        _ => Exit::Failed,
    }
}

/// Prints why there is no result, and says with which code to end.
pub(crate) fn fail(error: &anyhow::Error) -> Exit {
    if matches!(error.downcast_ref(), Some(Unprinted::ReaderGone)) {
        return Exit::Done;
    }
    let ours = error.downcast_ref::<Error>();
    output::error(&match ours {
        // Its text has its source in it.
        Some(error) => error.to_string(),
        None => format!("{error:#}"),
    });
    if error.is::<Usage>() {
        return Exit::Usage;
    }
    let exit = ours.map_or(Exit::Failed, of);
    if exit == Exit::Unauthorized {
        let token = crate::real::TOKEN;
        output::note("help", &format!("put a bearer token into {token} or into a file for --bearer-file"));
    }
    exit
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anypod_client::proto::code::Code;
    use anypod_client::proto::jsonrpc::ErrorObject;
    use anypod_client::{Broken, Challenge};
    use http::StatusCode;

    use super::*;

    #[test]
    fn every_error_has_its_code() {
        let challenge = Challenge::new(StatusCode::UNAUTHORIZED, Vec::new(), "https://x".to_owned());
        let refused = Error::Refused { status: StatusCode::BAD_GATEWAY, excerpt: String::new(), retry_after: None };
        let table = [
            (Error::Answered(ErrorObject::new(Code::InvalidParams, "no")), Exit::Failed),
            (Error::Unauthorized(Box::new(challenge)), Exit::Unauthorized),
            (refused, Exit::Failed),
            (Error::Broken(Broken::NoAnswer), Exit::Failed),
            (Error::Unreachable { origin: "x".to_owned(), source: "y".into() }, Exit::Failed),
            (Error::OutcomeUnknown { source: "y".into() }, Exit::Failed),
            (Error::Lost { source: "y".into() }, Exit::Failed),
            (Error::TimedOut(Duration::from_secs(1)), Exit::Failed),
            (Error::Cancelled, Exit::Failed),
            (Error::TooManyRounds(10), Exit::Failed),
            (Error::NoAnswerer("sampling"), Exit::Failed),
            (Error::Answerer("broken".into()), Exit::Failed),
            (Error::Answerer(Box::new(Usage::new("--answer a=b"))), Exit::Usage),
            (Error::Task { id: "t".to_owned(), state: "was cancelled" }, Exit::Tool),
            (Error::Tool("no".to_owned()), Exit::Tool),
            (Error::Busy("requests"), Exit::Failed),
            (Error::Misuse("no".to_owned()), Exit::Usage),
        ];
        for (error, expected) in table {
            assert_eq!(of(&error), expected, "{error}");
        }
    }
}
