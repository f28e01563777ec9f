//! One session: what the handshake settled, and what is under way in it.
//!
//! Spec: 2025-11-25, basic/lifecycle.

use std::sync::Arc;

use anypod_proto::jsonrpc::ErrorObject;
use anypod_proto::legacy::InitializeResult;
use anypod_proto::logging::LoggingLevel;
use anypod_proto::method::LegacyMethod;
use anypod_proto::version::{Era, Version};
use bytes::Bytes;
use http::HeaderValue;

use super::Shared;
use super::calls::Calls;
use super::hub::Hub;
use super::link::{Inbox, Place, Reply, Told};
use super::questions::{self, Verdict};
use super::unasked::Reader;
use super::wording;
use crate::error::{Broken, Error, Result};
use crate::exchange::Answer;
use crate::message::Message;

/// The longest session id. It travels in a header of every request, of which common proxies take 4 to 8 KiB in all.
const LONGEST_ID: usize = 4096;

/// A session.
pub(super) struct Session {
    pub(super) place: Place,
    pub(super) version: Version,
    pub(super) server: InitializeResult,
    pub(super) calls: Arc<Calls>,
    pub(super) hub: Hub,
    pub(super) reader: Reader,
    /// The level that the server was told, and the right to tell it another.
    pub(super) level: tokio::sync::Mutex<Option<LoggingLevel>>,
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// As the link; [`Broken::NoCommonVersion`] and [`Broken::Handshake`].
    pub(super) async fn open(shared: &Arc<Shared>) -> Result<Arc<Self>> {
        let (server, id) = initialize(shared).await?;
        let version = negotiated(&server);
        let session = id.map(checked).transpose()?;
        let place = Place { session, version: version.as_ref().ok().copied() };
        let version = match version {
            Ok(version) => version,
            Err(error) => {
                // Spec: "Version Negotiation": the client should disconnect.
                if let Err(error) = shared.link.end(&place).await {
                    tracing::debug!(%error, "a session without a common version could not be ended");
                }
                return Err(error.into());
            }
        };
        match shared.link.tell(&place, wording::initialized()).await? {
            Told::Taken => {}
            Told::Gone => return Err(Broken::Handshake("the new session is unknown already".to_owned()).into()),
        }
        tracing::debug!(%version, server = %server.server_info.name.escape_debug(), "a legacy session is open");
        Ok(Arc::new(Self {
            place,
            version,
            server,
            calls: Arc::default(),
            hub: Hub::default(),
            reader: Reader::default(),
            level: tokio::sync::Mutex::default(),
        }))
    }

    /// Whether the server's log messages can be asked for.
    pub(super) const fn logs(&self) -> bool {
        self.server.capabilities.logging.is_some()
    }

    /// Nothing more will come of it.
    pub(super) fn end(&self) {
        self.reader.stop();
        self.hub.lose_all();
    }
}

/// `initialize`, and the session id that came with its result.
async fn initialize(shared: &Shared) -> Result<(InitializeResult, Option<HeaderValue>)> {
    let nowhere = Place::default();
    let id = shared.next_id();
    let text = wording::request(id, LegacyMethod::Initialize, wording::initialize(&shared.identity, &shared.declared));
    let (mut inbox, session) = match shared.link.request(&nowhere, id, text).await? {
        Reply::Taken { inbox, session } => (inbox, session),
        Reply::Gone => return Err(Broken::Handshake("a session is gone before there is one".to_owned()).into()),
    };
    match answer(shared, &nowhere, id, inbox.as_mut()).await? {
        Answer::Result(result) => {
            let read = result.read().map_err(|error| Broken::Handshake(error.to_string()));
            Ok((read?, session))
        }
        Answer::Error(error) => Err(refused(error)),
    }
}

/// The answer to a request of this layer. What comes before it is of no interest, but for what has to be answered.
pub(super) async fn answer(shared: &Shared, place: &Place, id: u64, inbox: &mut dyn Inbox) -> Result<Answer> {
    for _ in 0..=shared.limits.notifications {
        match inbox.next().await? {
            None => return Err(Error::lost(Broken::NoAnswer)),
            Some(Message::Answer(found, answer)) => {
                crate::http::modern::check_id(id, found.as_ref(), &answer)?;
                return Ok(answer);
            }
            Some(Message::Notice(_)) => {}
            Some(Message::Request { id, method, params }) => {
                let verdict = questions::judge(&shared.declared, &id, &method, &params);
                shared.link.tell(place, unattended(&id, verdict)).await?;
            }
        }
    }
    Err(Broken::TooMuch { what: "notifications for one request", limit: shared.limits.notifications }.into())
}

/// What answers a request of the server where no call is there to ask the caller.
pub(super) fn unattended(id: &anypod_proto::jsonrpc::RequestId, verdict: Verdict) -> Bytes {
    match verdict {
        Verdict::Reply(text) | Verdict::Refuse(text, _) => text,
        Verdict::Ask(_) => wording::error(id, &questions::nobody()),
    }
}

fn negotiated(server: &InitializeResult) -> Result<Version, Broken> {
    let text = &server.protocol_version;
    Version::parse(text)
        .filter(|version| version.era() == Era::Legacy)
        .ok_or_else(|| Broken::NoCommonVersion(vec![shown(text)]))
}

/// An error that answers `initialize`. Some servers name the versions they speak.
fn refused(error: ErrorObject) -> Error {
    #[derive(serde::Deserialize)]
    struct Supported {
        supported: Vec<String>,
    }
    match error.data_as::<Supported>() {
        Ok(Supported { supported }) if !speaks(&supported) => {
            let named = supported.iter().take(16).map(|version| shown(version)).collect();
            Broken::NoCommonVersion(named).into()
        }
        Ok(_) | Err(_) => Error::Answered(error),
    }
}

fn speaks(versions: &[String]) -> bool {
    Version::LEGACY.iter().any(|ours| versions.iter().any(|theirs| theirs == ours.as_str()))
}

/// A version as it may be shown.
fn shown(text: &str) -> String {
    text.escape_debug().take(32).collect()
}

/// Spec: 2025-11-25, basic/transports, "Session Management": visible ASCII.
fn checked(mut id: HeaderValue) -> Result<HeaderValue, Broken> {
    let wrong = |why: &str| Err(Broken::Handshake(format!("the session id {why}")));
    match id.as_bytes() {
        [] => wrong("is empty"),
        text if text.len() > LONGEST_ID => wrong(&format!("is longer than {LONGEST_ID} bytes")),
        text if !text.iter().all(u8::is_ascii_graphic) => wrong("has characters other than visible ASCII"),
        _ => {
            id.set_sensitive(true);
            Ok(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_session_ids_of_visible_ascii_only() {
        let check = |id: &[u8]| checked(HeaderValue::from_bytes(id).unwrap());
        assert!(check(b"!~7f-abc").is_ok());
        assert!(check(&[b'a'; LONGEST_ID]).is_ok());
        for wrong in [&b""[..], b"a b", b"\xe9", b"a\tb", &[b'a'; LONGEST_ID + 1]] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }
}
