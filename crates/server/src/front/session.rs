//! Legacy sessions without a store: everything that `initialize` settled travels, sealed, in the session id.
//!
//! Spec: 2025-11-25, basic/transports, "Session Management".

use anypod_proto::capabilities::ClientCapabilities;
use anypod_proto::header::{self, Found, Headers, plain};
use anypod_proto::implementation::Implementation;
use anypod_proto::legacy;
use anypod_proto::logging::LoggingLevel;
use anypod_proto::reject::Rejection;
use anypod_proto::seal::{PayloadTooLong, PrincipalId, Purpose};
use anypod_proto::version::Version;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Deref;
use std::sync::Arc;

use super::hop::Holder;
use super::remembered::Brought;
use crate::backend::Kept;
use crate::cx::LegacyClient;
use crate::server::Server;
use crate::tokens::Binding;

/// How many bytes of the client's name a session keeps. With these, a session id has 128 characters, the
/// most that some gateways pass on.
const MAX_NAME_LEN: usize = 20;
/// How many bytes of its version.
const MAX_VERSION_LEN: usize = 10;
/// How often an id is sealed anew to avoid `_`, which the same gateways do not pass on. One in seven ids of
/// 128 characters has none, so that all of this many attempts fail once in a hundred million times.
const ATTEMPTS: usize = 128;

/// Stands for a pod that other pods cannot reach.
const NOWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// What a legacy client settled when it opened its session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Session {
    /// Tells it from other sessions. Never on the wire in the clear.
    pub(crate) number: u64,
    /// The revision that was negotiated.
    pub(crate) version: Version,
    /// What the client can do.
    pub(crate) offers: Offers,
    /// Where the pod that opened it is reached, if it says.
    pub(crate) home: Option<SocketAddrV4>,
    /// Who it says it is; long names are cut.
    pub(crate) info: Option<Implementation>,
}

/// What a legacy client can do, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Offers(u8);

impl Offers {
    const FORM: u8 = 1;
    const URL: u8 = 1 << 1;
    const SAMPLING: u8 = 1 << 2;
    const SAMPLING_TOOLS: u8 = 1 << 3;
    const SAMPLING_CONTEXT: u8 = 1 << 4;
    const ROOTS: u8 = 1 << 5;
    const ROOTS_LIST_CHANGED: u8 = 1 << 6;

    /// What `initialize` declared.
    pub(crate) fn of(declared: &legacy::ClientCapabilities) -> Self {
        let elicitation = declared.elicitation.as_ref();
        let sampling = declared.sampling.as_ref();
        let roots = declared.roots.as_ref();
        let bits = [
            (Self::FORM, elicitation.is_some_and(|elicitation| elicitation.offers_form())),
            (Self::URL, elicitation.is_some_and(|elicitation| elicitation.offers_url())),
            (Self::SAMPLING, sampling.is_some()),
            (Self::SAMPLING_TOOLS, sampling.is_some_and(|sampling| sampling.tools.is_some())),
            (Self::SAMPLING_CONTEXT, sampling.is_some_and(|sampling| sampling.context.is_some())),
            (Self::ROOTS, roots.is_some()),
            (Self::ROOTS_LIST_CHANGED, roots.is_some_and(|roots| roots.list_changed == Some(true))),
        ];
        Self(bits.into_iter().filter(|(_, has)| *has).fold(0, |all, (bit, _)| all | bit))
    }

    /// The same as a modern request would declare it.
    pub(crate) fn capabilities(self) -> ClientCapabilities {
        let mut declared = json!({});
        let mut declare = |bit: u8, parent: &str, child: Option<&str>| {
            if self.0 & bit == 0 {
                return;
            }
            let parent = &mut declared[parent];
            if parent.is_null() {
                *parent = json!({});
            }
            if let Some(child) = child {
                parent[child] = json!({});
            }
        };
        declare(Self::FORM, "elicitation", Some("form"));
        declare(Self::URL, "elicitation", Some("url"));
        declare(Self::SAMPLING, "sampling", None);
        declare(Self::SAMPLING_TOOLS, "sampling", Some("tools"));
        declare(Self::SAMPLING_CONTEXT, "sampling", Some("context"));
        declare(Self::ROOTS, "roots", None);
        if self.0 & Self::ROOTS_LIST_CHANGED != 0 {
            declared["roots"]["listChanged"] = Value::Bool(true);
        }
        serde_json::from_value(declared).unwrap_or_default()
    }
}

/// A session, with what follows from it for each of its requests.
#[derive(Debug)]
pub(crate) struct Known {
    session: Session,
    info: Option<Arc<Implementation>>,
    capabilities: Arc<ClientCapabilities>,
    kept: Kept,
}

impl Known {
    /// The client, as far as the session says what it is.
    pub(crate) fn client(&self, log_level: Option<LoggingLevel>) -> LegacyClient {
        LegacyClient {
            version: self.version,
            session: self.number,
            info: self.info.clone(),
            capabilities: Arc::clone(&self.capabilities),
            log_level,
            kept: self.kept.clone(),
        }
    }
}

impl Deref for Known {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Session {
    /// A session with a number of its own.
    pub(crate) fn new(server: &Server, version: Version, params: &legacy::InitializeRequestParams) -> Self {
        Self {
            number: u64::from_be_bytes(server.inner.outside.random()),
            version,
            offers: Offers::of(&params.capabilities.clone().in_revision(version)),
            home: server.inner.front.holder().and_then(Holder::address),
            info: Some(Implementation::new(
                cut(&params.client_info.name, MAX_NAME_LEN),
                cut(&params.client_info.version, MAX_VERSION_LEN),
            )),
        }
    }

    /// The session id: valid on every pod that has the ring, for POST, GET and DELETE.
    pub(crate) fn seal(&self, server: &Server, principal: Option<&PrincipalId>) -> Result<String, PayloadTooLong> {
        let (tokens, outside) = (&server.inner.tokens, &server.inner.outside);
        let ttl = server.inner.limits().session_ttl_secs;
        let payload = self.encode();
        let mut id = tokens.seal(outside, binding(principal), ttl, &payload)?;
        for _ in 1..ATTEMPTS {
            if !id.contains('_') {
                break;
            }
            id = tokens.seal(outside, binding(principal), ttl, &payload)?;
        }
        Ok(id)
    }

    /// The session that a request belongs to.
    ///
    /// # Errors
    /// If it names none or several, and if the id does not open here or the session has ended. Why an id
    /// does not open only goes to the log.
    pub(crate) fn of(
        server: &Server,
        headers: &dyn Headers,
        principal: Option<&PrincipalId>,
    ) -> Result<Arc<Known>, Rejection> {
        let id = match headers.find(&header::SESSION_ID) {
            Found::Nothing => return Err(Rejection::SessionMissing),
            Found::One(id) => id,
            Found::Several => return Err(Rejection::HeaderRepeated(header::SESSION_ID)),
        };
        let unknown = |reason: &dyn std::fmt::Display| {
            tracing::info!(%reason, "a session id did not open");
            Rejection::UnknownSession
        };
        let id = plain(id).ok_or_else(|| unknown(&"it is no plain text"))?;
        let (tokens, outside, front) = (&server.inner.tokens, &server.inner.outside, &server.inner.front);
        let brought = Brought { id, principal };
        let session = match front.opened.find(brought, tokens.generation(), outside.now()) {
            Some(session) => session,
            None => {
                let opened = tokens.open_until(outside, binding(principal), id).map_err(|error| unknown(&error))?;
                let (payload, expires_at, by) = opened;
                let session =
                    Self::decode(&payload).ok_or_else(|| unknown(&"it is of another version of this program"))?;
                let session = Arc::new(session.known());
                front.opened.note(brought, by, expires_at, &session);
                session
            }
        };
        match front.memory.has_ended(session.number) {
            true => Err(unknown(&"its session was ended by the client")),
            false => {
                if let Some(home) = session.home {
                    front.peers.learn(front.holder(), home);
                }
                Ok(session)
            }
        }
    }

    /// The session with what follows from it.
    pub(crate) fn known(self) -> Known {
        let (info, capabilities) = (self.info.clone().map(Arc::new), Arc::new(self.offers.capabilities()));
        Known { session: self, info, capabilities, kept: Kept::default() }
    }

    /// Version, capabilities, number, address (zeros for none), length of the name, name, version of the client.
    fn encode(&self) -> Vec<u8> {
        let (name, version) = match &self.info {
            Some(info) => (info.name.as_str(), info.version.as_str()),
            None => ("", ""),
        };
        let mut bytes = vec![version_code(self.version), self.offers.0];
        bytes.extend_from_slice(&self.number.to_be_bytes());
        let home = self.home.unwrap_or(NOWHERE);
        bytes.extend_from_slice(&home.ip().octets());
        bytes.extend_from_slice(&home.port().to_be_bytes());
        bytes.push(u8::try_from(name.len()).unwrap_or(0));
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(version.as_bytes());
        bytes
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let (&[code, offers], rest) = payload.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (ip, rest) = rest.split_first_chunk::<4>()?;
        let (port, rest) = rest.split_first_chunk()?;
        let home = SocketAddrV4::new((*ip).into(), u16::from_be_bytes(*port));
        let (&name_len, rest) = rest.split_first()?;
        let (name, version) = rest.split_at_checked(usize::from(name_len))?;
        let (name, version) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(version).ok()?);
        Some(Self {
            number: u64::from_be_bytes(*number),
            version: Version::LEGACY.into_iter().find(|version| version_code(*version) == code)?,
            offers: Offers(offers),
            home: (home != NOWHERE).then_some(home),
            info: (!name.is_empty()).then(|| Implementation::new(name, version)),
        })
    }
}

const fn binding(principal: Option<&PrincipalId>) -> Binding<'_> {
    Binding { purpose: Purpose::Session, principal, context: &[] }
}

/// Stays the same for ever: sessions outlive programs.
const fn version_code(version: Version) -> u8 {
    match version {
        Version::V2025_03_26 => 1,
        Version::V2025_06_18 => 2,
        Version::V2025_11_25 => 3,
        Version::V2026_07_28 => 4,
    }
}

fn cut(text: &str, max_len: usize) -> &str {
    &text[..text.floor_char_boundary(max_len)]
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    fn session(name: &str, client_version: &str, offers: u8) -> Session {
        let params: legacy::InitializeRequestParams = serde_json::from_value(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": { "name": name, "version": client_version },
        }))
        .unwrap();
        let mut session = Session::new(&server(), Version::V2025_06_18, &params);
        session.offers = Offers(offers);
        session
    }

    fn server() -> Server {
        Server::new("test", "1").build().unwrap()
    }

    fn headers(id: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::SESSION_ID, id.parse().unwrap())])
    }

    #[test]
    fn a_session_id_fits_through_picky_gateways() {
        let server = server();
        for _ in 0..20 {
            let id = session(&"n".repeat(100), &"1".repeat(100), 0x7f).seal(&server, None).unwrap();
            assert!(id.len() <= 128, "{}", id.len());
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{id}");
        }
    }

    #[test]
    fn opens_for_the_caller_that_it_was_made_for_and_for_no_other() {
        let server = server();
        let alice = PrincipalId { iss: "i".to_owned(), sub: "alice".to_owned() };
        let known = session("client", "1", 1);
        let id = known.seal(&server, Some(&alice)).unwrap();
        let opened = |id: &str, principal| Session::of(&server, &headers(id), principal);
        let first = opened(&id, Some(&alice)).unwrap();
        assert_eq!(first.session, known);
        assert!(Arc::ptr_eq(&first, &opened(&id, Some(&alice)).unwrap()), "it is opened once");
        let mallory = PrincipalId { iss: "i".to_owned(), sub: "mallory".to_owned() };
        for other in [None, Some(&mallory)] {
            assert_eq!(opened(&id, other).unwrap_err(), Rejection::UnknownSession);
        }
        assert_eq!(Session::of(&server, &HeaderMap::new(), None).unwrap_err(), Rejection::SessionMissing);
    }

    #[test]
    fn capabilities_survive_the_journey() {
        let declared = json!({
            "elicitation": { "form": {}, "url": {} },
            "sampling": { "tools": {}, "context": {} },
            "roots": { "listChanged": true },
        });
        let offers = Offers::of(&serde_json::from_value(declared.clone()).unwrap());
        assert_eq!(serde_json::to_value(offers.capabilities()).unwrap(), declared);
        let form = Offers::of(&serde_json::from_value(json!({ "elicitation": {} })).unwrap());
        assert_eq!(serde_json::to_value(form.capabilities()).unwrap(), json!({ "elicitation": { "form": {} } }));
    }

    proptest! {
        #[test]
        fn every_session_opens_as_what_it_was(name in "\\PC{1,60}", version in "\\PC{0,60}", offers in 0..0x80_u8) {
            let session = session(&name, &version, offers);
            prop_assert_eq!(Session::decode(&session.encode()), Some(session));
        }

        #[test]
        fn decodes_or_refuses_any_payload(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(session) = Session::decode(&payload) {
                prop_assert!(session.info.is_none() || session.encode() == payload);
            }
        }
    }
}
