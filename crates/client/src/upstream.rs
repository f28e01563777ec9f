//! Where calls go: a server of either era, over HTTP, stdio or in this process, told apart as they come.
//!
//! A call is sent as a modern one first, and the answer tells. What must not run twice is never what tells: the server
//! is asked about itself before. Spec: basic/versioning, "Backward Compatibility with Initialization-Based Versions".

use std::sync::{Arc, PoisonError, RwLock};

use anypod_proto::code::Code;
use anypod_proto::method::Method;
use anypod_proto::version::Era;
use http::HeaderMap;

use crate::call::{Call, Repeat};
use crate::endpoint::{Endpoint, Sent, Transport};
use crate::era::{self, EraStore, ServerName, Verdict};
use crate::error::{Broken, Error, Result};
use crate::exchange::{Answer, Exchange, Incoming};
use crate::identity::Identity;
use crate::legacy::LegacyUpstream;
use crate::tools::Mirroring;

/// One server.
pub(crate) struct Upstream {
    endpoint: Endpoint,
    identity: Arc<Identity>,
    legacy: LegacyUpstream,
    pinned: Option<Era>,
    settled: RwLock<Option<Era>>,
    name: ServerName,
    eras: Arc<dyn EraStore>,
    asking: tokio::sync::Mutex<()>,
}

/// What a modern server, or one that may be, has answered.
enum Tried {
    /// It goes on.
    Exchange(Exchange),
    /// It said no, and this is what that says about its era.
    Refused { verdict: Verdict, error: Error, ran: Ran },
}

/// Whether a request that was refused may have had effects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ran {
    No,
    Perhaps,
}

impl Upstream {
    /// A server whose era shows, unless it is pinned.
    pub(crate) fn new(
        endpoint: Endpoint,
        identity: Arc<Identity>,
        pinned: Option<Era>,
        name: ServerName,
        eras: Arc<dyn EraStore>,
    ) -> Self {
        // Over pipes, only a silent server makes asking slow, and no answer would show that a modern one is none any more.
        let trusted = |era: &Era| matches!(endpoint.transport(), Transport::Http(_)) || *era == Era::Legacy;
        let settled = RwLock::new(pinned.or_else(|| eras.get(&name).filter(trusted)));
        let legacy = endpoint.legacy(Arc::clone(&identity), &HeaderMap::new());
        Self { endpoint, identity, legacy, pinned, settled, name, eras, asking: tokio::sync::Mutex::new(()) }
    }

    /// The era, as far as it is known.
    pub(crate) fn era(&self) -> Option<Era> {
        *self.settled.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether arguments are mirrored into headers.
    pub(crate) fn mirroring(&self) -> Mirroring {
        match (self.endpoint.transport(), self.era()) {
            (Transport::Http(_), Some(Era::Modern) | None) => Mirroring::Headers,
            (Transport::Http(_), Some(Era::Legacy)) | (Transport::Stdio(_), _) => Mirroring::None,
        }
    }

    /// Ends what is open towards the server.
    pub(crate) async fn close(&self) -> Result<()> {
        match self.endpoint.transport() {
            Transport::Http(_) => self.legacy.close().await,
            Transport::Stdio(wire) => {
                wire.close().await;
                Ok(())
            }
        }
    }

    /// Sends a call in the era of the server.
    ///
    /// # Errors
    /// As the transport has it. An answer that says no is an answer, unless it is plain HTTP.
    pub(crate) async fn send(&self, call: &Call) -> Result<Exchange> {
        if self.era().is_none() && self.must_ask_first(call) {
            Box::pin(self.ask()).await?;
        }
        match self.era() {
            Some(Era::Legacy) => Box::pin(self.send_legacy(call)).await,
            known @ (Some(Era::Modern) | None) => self.send_modern(call, known).await,
        }
    }

    /// Over pipes, no status tells a refusal; and what must not run twice is never sent to find out.
    fn must_ask_first(&self, call: &Call) -> bool {
        match self.endpoint.transport() {
            Transport::Http(_) => call.repeat == Repeat::Never,
            Transport::Stdio(_) => true,
        }
    }

    /// Asks the server about itself, to learn its era. One at a time: the others find it settled.
    async fn ask(&self) -> Result<()> {
        let _asking = self.asking.lock().await;
        if self.era().is_some() {
            return Ok(());
        }
        match self.endpoint.transport() {
            Transport::Http(_) => {
                let discover = Call::new(Method::Discover);
                match Box::pin(self.attempt(&discover, None)).await {
                    Ok(Tried::Exchange(_)) | Err(Error::Broken(_)) => {}
                    // It takes nothing now, which says nothing. What was to be sent has not run.
                    Ok(Tried::Refused { verdict: Verdict::NotNow, error, .. }) => return Err(error),
                    Ok(Tried::Refused { verdict, error, ran }) => {
                        match Box::pin(self.judge(&discover, None, verdict, error, ran)).await {
                            Err(error @ Error::Broken(Broken::NoCommonVersion(_))) => return Err(error),
                            Ok(_) | Err(Error::Refused { .. } | Error::Broken(_)) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    Err(error) => return Err(error),
                }
                // A result that says nothing of this era, as servers give that look at no version, is in doubt legacy.
                if self.era().is_none() && self.legacy.open().await.is_ok() {
                    self.settle(Era::Legacy);
                }
                Ok(())
            }
            Transport::Stdio(wire) => {
                let verdict = era::ask(wire, &self.identity).await?;
                self.believe(&verdict)
            }
        }
    }

    /// Settles what a probe says that leaves no doubt.
    fn believe(&self, verdict: &Verdict) -> Result<()> {
        match verdict {
            Verdict::Modern => self.settle(Era::Modern),
            Verdict::Speaks(versions) => match era::newest_common(versions) {
                Some(version) => self.settle(version.era()),
                None => return Err(Broken::NoCommonVersion(versions.clone()).into()),
            },
            Verdict::Legacy | Verdict::Unclear => self.settle(Era::Legacy),
            Verdict::NotNow => {}
        }
        Ok(())
    }

    async fn send_modern(&self, call: &Call, known: Option<Era>) -> Result<Exchange> {
        match self.attempt(call, known).await? {
            Tried::Exchange(exchange) => Ok(exchange),
            Tried::Refused { verdict, error, ran } => Box::pin(self.judge(call, known, verdict, error, ran)).await,
        }
    }

    /// What to do about a refusal.
    async fn judge(
        &self,
        call: &Call,
        known: Option<Era>,
        verdict: Verdict,
        error: Error,
        ran: Ran,
    ) -> Result<Exchange> {
        match verdict {
            Verdict::Modern => {
                self.settle(Era::Modern);
                match is_unsupported_version(&error) {
                    true => self.once_more(call).await,
                    false => refused(error),
                }
            }
            _ if self.pinned.is_some() => refused(error),
            Verdict::Speaks(versions) => match era::newest_common(&versions) {
                Some(_) => {
                    self.settle(Era::Legacy);
                    self.legacy.send(call).await
                }
                None => Err(Broken::NoCommonVersion(versions).into()),
            },
            Verdict::Unclear if known.is_some() => refused(error),
            Verdict::Legacy | Verdict::Unclear => {
                // What is known is not given up for the error page of a proxy.
                let in_doubt = verdict == Verdict::Unclear || known.is_some();
                let asked = call.known() == Some(Method::Discover);
                if in_doubt && !asked && self.is_modern_by_its_own_word().await {
                    return refused(error);
                }
                self.fall_back(call, error, ran).await
            }
            Verdict::NotNow => refused(error),
        }
    }

    /// A server that refuses the version and offers it may mean it the second time.
    async fn once_more(&self, call: &Call) -> Result<Exchange> {
        match self.attempt(call, Some(Era::Modern)).await? {
            Tried::Exchange(exchange) => Ok(exchange),
            Tried::Refused { error, .. } => refused(error),
        }
    }

    async fn is_modern_by_its_own_word(&self) -> bool {
        if let Transport::Stdio(wire) = self.endpoint.transport() {
            // Within the deadline of a probe: what is no server may not answer at all.
            let modern = matches!(era::ask(wire, &self.identity).await, Ok(Verdict::Modern));
            if modern {
                self.settle(Era::Modern);
            }
            return modern;
        }
        match self.attempt(&Call::new(Method::Discover), None).await {
            Ok(Tried::Exchange(_)) => self.era() == Some(Era::Modern),
            Ok(Tried::Refused { verdict: Verdict::Modern, .. }) => {
                self.settle(Era::Modern);
                true
            }
            Ok(Tried::Refused { .. }) | Err(_) => false,
        }
    }

    /// Tries the legacy handshake. If it fails, the first answer stands.
    async fn fall_back(&self, call: &Call, error: Error, ran: Ran) -> Result<Exchange> {
        if let Err(handshake) = self.legacy.open().await {
            if let Error::Broken(Broken::NoCommonVersion(versions)) = &handshake {
                match era::newest_common(versions) {
                    // The server has said what it speaks: there is no better answer.
                    None => return Err(handshake),
                    Some(version) => self.settle(version.era()),
                }
            }
            tracing::debug!(%handshake, "the server is not of the legacy era either");
            return refused(error);
        }
        self.settle(Era::Legacy);
        match (ran, call.repeat) {
            (Ran::No, _) | (Ran::Perhaps, Repeat::Safe) => self.legacy.send(call).await,
            (Ran::Perhaps, Repeat::Never) => Err(Error::OutcomeUnknown { source: error.into() }),
        }
    }

    /// Sends a call to a legacy server; one that is none any more is tried anew.
    async fn send_legacy(&self, call: &Call) -> Result<Exchange> {
        let error = match self.legacy.open().await {
            Err(error) => error,
            Ok(()) if self.pinned.is_some() => return self.legacy.send(call).await,
            Ok(()) => {
                let mut exchange = self.legacy.send(call).await?;
                match exchange.next().await {
                    Ok(first) => return Ok(exchange.preceded(first)),
                    // What only modern servers say: the request was refused, and did not run.
                    Err(error @ Error::Answered(_)) => error,
                    Err(error) => return Err(error),
                }
            }
        };
        let unfit = matches!(error, Error::Answered(_) | Error::Broken(_) | Error::Refused { .. });
        if !unfit || self.pinned.is_some() || !self.is_modern_by_its_own_word().await {
            return refused(error);
        }
        tracing::info!(server = %self.name, "the server has become a modern one");
        Box::pin(self.send_modern(call, Some(Era::Modern))).await
    }

    /// Nobody will answer the questions of a round: what a legacy server holds for them is cancelled.
    pub(crate) fn give_up(&self, state: &str) {
        self.legacy.give_up(state);
    }

    /// Sends a call as a modern one, and judges what shows the era.
    async fn attempt(&self, call: &Call, known: Option<Era>) -> Result<Tried> {
        let sent = self.endpoint.modern().send(call, &self.identity, &HeaderMap::new()).await;
        match sent? {
            Sent::Exchange(exchange) if known.is_some() => Ok(Tried::Exchange(exchange)),
            Sent::Exchange(exchange) => self.first(exchange).await,
            // Some legacy servers refuse whatever has no session, whoever sends it.
            Sent::Refused(refusal) if refusal.challenge.is_some() => match known.is_none() && self.has_credentials() {
                true => Ok(Tried::Refused { verdict: Verdict::Legacy, error: refusal.into_error(), ran: Ran::No }),
                false => Err(refusal.into_error()),
            },
            Sent::Refused(refusal) => {
                let verdict = refusal.verdict();
                let ran = if refusal.status.is_client_error() { Ran::No } else { Ran::Perhaps };
                Ok(Tried::Refused { verdict, error: refusal.into_error(), ran })
            }
        }
    }

    fn has_credentials(&self) -> bool {
        match self.endpoint.transport() {
            Transport::Http(modern) => modern.wire().has_credentials(),
            Transport::Stdio(_) => false,
        }
    }

    /// Looks at the first message of a server whose era is not known.
    async fn first(&self, mut exchange: Exchange) -> Result<Tried> {
        let first = match exchange.next().await {
            Ok(first) => first,
            // What breaks the rules of this era may keep those of the other.
            Err(Error::Broken(
                broken @ (Broken::WrongId { .. } | Broken::NotJsonRpc(_) | Broken::UnexpectedRequest(_)),
            )) => return Ok(Tried::Refused { verdict: Verdict::Legacy, error: broken.into(), ran: Ran::Perhaps }),
            Err(error) => return Err(error),
        };
        let Incoming::Answer(answer) = &first else { return Ok(Tried::Exchange(exchange.preceded(first))) };
        let verdict = era::judge_answer(answer);
        match answer {
            Answer::Result(_) => {
                if verdict == Verdict::Modern {
                    self.settle(Era::Modern);
                }
                Ok(Tried::Exchange(exchange.preceded(first)))
            }
            Answer::Error(error) => {
                Ok(Tried::Refused { verdict, error: Error::Answered(error.clone()), ran: Ran::Perhaps })
            }
        }
    }

    fn settle(&self, era: Era) {
        let mut settled = self.settled.write().unwrap_or_else(PoisonError::into_inner);
        if self.pinned.is_none() && *settled != Some(era) {
            *settled = Some(era);
            self.eras.put(&self.name, era);
        }
    }
}

fn is_unsupported_version(error: &Error) -> bool {
    matches!(error, Error::Answered(error) if error.code == Code::UnsupportedProtocolVersion.number())
}

/// An answer that stands.
fn refused(error: Error) -> Result<Exchange> {
    match error {
        Error::Answered(error) => Ok(Exchange::answered(Answer::Error(error))),
        error => Err(error),
    }
}
