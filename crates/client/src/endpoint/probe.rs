//! Finding out whether a server is there, and of which era.

use std::sync::Arc;

use anypod_proto::method::Method;
use anypod_proto::version::Era;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::time::timeout;

use super::{Endpoint, Sent, Transport};
use crate::call::Call;
use crate::credentials::Challenge;
use crate::era::{self, Verdict};
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Exchange, Incoming};
use crate::identity::Identity;
use crate::stdio;

/// What a server showed when it was asked what it is.
#[derive(Debug)]
pub enum Probed {
    /// It is there, and speaks this era.
    Speaks(Era),
    /// It is there, or a balancer in front of it is, and takes no requests now, of whatever era.
    NotNow(Error),
    /// It is there, and wants (other) credentials before it shows its era.
    Unauthorized(Box<Challenge>),
    /// Something answers that is no server of either era, or of no version that is known here.
    Neither(Error),
    /// Nobody answers: there is no connection, or it breaks, or nothing comes in time.
    Unreachable(Error),
}

impl Probed {
    /// What a failure says.
    fn failed(error: Error) -> Self {
        match error {
            Error::Unauthorized(challenge) => Self::Unauthorized(challenge),
            Error::Refused { status, .. } if era::is_busy(status) => Self::NotNow(error),
            Error::Answered(_) | Error::Refused { .. } | Error::Broken(_) => Self::Neither(error),
            Error::Unreachable { .. }
            | Error::OutcomeUnknown { .. }
            | Error::Lost { .. }
            | Error::TimedOut(_)
            | Error::Cancelled
            | Error::TooManyRounds(_)
            | Error::NoAnswerer(_)
            | Error::Answerer(_)
            | Error::Task { .. }
            | Error::Tool(_)
            | Error::Busy(_)
            | Error::Misuse(_) => Self::Unreachable(error),
        }
    }
}

/// What `server/discover` came to.
enum Discovered {
    /// That is all there is to know.
    Enough(Probed),
    /// The legacy handshake tells; if that fails too, this error stands.
    Doubt(Error),
}

impl Discovered {
    fn judged(verdict: Verdict, error: Error) -> Self {
        match verdict {
            Verdict::Modern => Self::Enough(Probed::Speaks(Era::Modern)),
            Verdict::NotNow => Self::Enough(Probed::NotNow(error)),
            Verdict::Speaks(versions) if era::newest_common(&versions).is_none() => {
                Self::Enough(Probed::Neither(Broken::NoCommonVersion(versions).into()))
            }
            Verdict::Speaks(_) | Verdict::Legacy | Verdict::Unclear => Self::Doubt(error),
        }
    }
}

impl Endpoint {
    /// Asks the server what it is: by `server/discover`, and by the legacy handshake where that leaves doubt, or before it,
    /// where the server is `known` to be legacy. A session that came of it is closed again.
    ///
    /// Over pipes, the session is the process's only one, and stays open: see [`Endpoint::legacy`]. While there is one, the
    /// server is asked by `ping`. Each step may take [`Limits::probe_deadline`](crate::Limits::probe_deadline).
    pub async fn probe(&self, identity: &Arc<Identity>, headers: &HeaderMap, known: Option<Era>) -> Probed {
        if known == Some(Era::Legacy) {
            match self.shake_hands(identity, headers).await.map_err(Probed::failed) {
                Ok(()) => return Probed::Speaks(Era::Legacy),
                // It may have become a modern one.
                Err(Probed::Neither(_)) => {}
                Err(probed) => return probed,
            }
        }
        let first = match self.discover(identity, headers).await {
            Discovered::Enough(probed) => return probed,
            Discovered::Doubt(error) => error,
        };
        match self.shake_hands(identity, headers).await {
            Ok(()) => Probed::Speaks(Era::Legacy),
            Err(Error::Broken(Broken::NoCommonVersion(versions))) => match era::newest_common(&versions) {
                Some(version) => Probed::Speaks(version.era()),
                None => Probed::Neither(Broken::NoCommonVersion(versions).into()),
            },
            Err(error) => match Probed::failed(error) {
                Probed::Neither(_) => Probed::Neither(first),
                probed => probed,
            },
        }
    }

    async fn discover(&self, identity: &Identity, headers: &HeaderMap) -> Discovered {
        let discovered = match self.transport() {
            Transport::Http(modern) => {
                let credentials = modern.wire().has_credentials() || headers.contains_key(AUTHORIZATION);
                self.in_time(self.discover_by_http(identity, headers, credentials)).await
            }
            Transport::Stdio(wire) => self.discover_by_pipe(wire, identity).await,
        };
        match discovered {
            Ok((verdict, error)) => Discovered::judged(verdict, error),
            // What breaks the rules of this era may keep those of the other.
            Err(error @ Error::Broken(_)) => Discovered::Doubt(error),
            Err(error) => Discovered::Enough(Probed::failed(error)),
        }
    }

    /// What the answer says, and the error that it is, if it is none of a modern server.
    async fn discover_by_http(
        &self,
        identity: &Identity,
        headers: &HeaderMap,
        has_credentials: bool,
    ) -> Result<(Verdict, Error)> {
        let discover = Call::new(Method::Discover);
        match self.modern().send(&discover, identity, headers).await? {
            Sent::Exchange(exchange) => answer(exchange).await.map(judged),
            // Some legacy servers refuse whatever has no session, whoever sends it.
            Sent::Refused(refusal) if refusal.challenge.is_some() => match has_credentials {
                true => Ok((Verdict::Legacy, refusal.into_error())),
                false => Err(refusal.into_error()),
            },
            Sent::Refused(refusal) => Ok((refusal.verdict(), refusal.into_error())),
        }
    }

    async fn discover_by_pipe(&self, wire: &stdio::Wire, identity: &Identity) -> Result<(Verdict, Error)> {
        // A word of the other era could end a legacy server in the middle of its session.
        if self.open_session().is_some() {
            return Ok((Verdict::Legacy, Broken::NoAnswer.into()));
        }
        Ok(match wire.probe(identity).await? {
            stdio::Probe::Answered(answer) => (era::judge_probe(&answer), judged(answer).1),
            stdio::Probe::Silent => (Verdict::Legacy, Error::TimedOut(self.limits().probe_deadline)),
            stdio::Probe::Failed(error) => (Verdict::Legacy, error),
        })
    }

    /// Opens a session, and closes it again where that leaves others alone.
    async fn shake_hands(&self, identity: &Arc<Identity>, headers: &HeaderMap) -> Result<()> {
        match self.transport() {
            Transport::Http(_) => {
                let session = self.legacy(Arc::clone(identity), headers);
                self.in_time(session.open()).await?;
                if let Err(error) = session.close().await {
                    tracing::debug!(%error, "the session of a probe could not be closed");
                }
                Ok(())
            }
            Transport::Stdio(_) => match self.open_session() {
                Some(session) => self.in_time(session.ping()).await,
                None => self.in_time(self.legacy(Arc::clone(identity), headers).open()).await,
            },
        }
    }

    async fn in_time<T>(&self, step: impl Future<Output = Result<T>>) -> Result<T> {
        let deadline = self.limits().probe_deadline;
        timeout(deadline, Box::pin(step)).await.unwrap_or(Err(Error::TimedOut(deadline)))
    }
}

/// The answer. What comes before it is of no interest.
async fn answer(mut exchange: Exchange) -> Result<Answer> {
    loop {
        if let Incoming::Answer(answer) = exchange.next().await? {
            return Ok(answer);
        }
    }
}

fn judged(answer: Answer) -> (Verdict, Error) {
    let verdict = era::judge_answer(&answer);
    let error = match answer {
        Answer::Error(error) => Error::Answered(error),
        Answer::Result(_) => Broken::Result("of no known era".to_owned()).into(),
    };
    (verdict, error)
}
