//! The state of a round: what an upstream wants back with the answers to its questions.
//!
//! A client gets it sealed, bound to the principal, the method and the name, with an expiry. Inside stands which upstream
//! it is for, and either that upstream's own state, or, where the upstream is legacy and its call is held open, the
//! replica that holds it. So any replica can take the next round, with one hop where the call is held elsewhere.
//!
//! Spec: basic/patterns/mrtr.

use std::time::Duration;

use anypod_proto::reject::Rejection;
use anypod_proto::seal::{PrincipalId, Purpose};

use anypod_server::Binding;

use crate::seal::Sealer;

/// What a client brings back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// The upstream that asked.
    pub(crate) upstream: String,
    /// The replica that holds the call, and in which of its sessions; none where the upstream keeps nothing.
    pub(crate) held: Option<Held>,
    /// The upstream's own state; none where it gave none.
    pub(crate) inner: Option<String>,
}

/// A call that is held open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// Tells the process that holds it from others.
    pub(crate) replica: u64,
    /// Where that process is reached; empty where it does not say.
    pub(crate) address: String,
    /// The session with the upstream, by a number of that process.
    pub(crate) session: u64,
}

/// The request that a state belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Of<'a> {
    pub(crate) principal: Option<&'a PrincipalId>,
    pub(crate) method: &'a str,
    /// The name or URI as the client knows it.
    pub(crate) name: &'a str,
}

impl Of<'_> {
    fn with<R>(self, act: impl FnOnce(Binding<'_>) -> R) -> R {
        // The server seals states of its own; neither is to open the other's.
        let context = [b"gateway".as_slice(), self.method.as_bytes(), self.name.as_bytes()];
        act(Binding { purpose: Purpose::RequestState, principal: self.principal, context: &context })
    }

    /// # Errors
    /// If the upstream's state is too long to be sealed.
    pub(crate) fn seal(self, sealer: &Sealer, ttl: Duration, state: &State) -> Result<String, Rejection> {
        self.with(|bound| sealer.seal(bound, ttl, &state.encode())).map_err(|error| {
            tracing::error!(upstream = state.upstream, %error, "the state of a round cannot be sealed");
            Rejection::Internal
        })
    }

    /// # Errors
    /// [`Rejection::UnknownState`]; why it does not open only goes to the log.
    pub(crate) fn open(self, sealer: &Sealer, token: &str) -> Result<State, Rejection> {
        let payload = self.with(|bound| sealer.open(bound, token)).map_err(|error| {
            tracing::info!(%error, "the state of a round did not open");
            Rejection::UnknownState
        })?;
        State::decode(&payload).ok_or(Rejection::UnknownState)
    }
}

impl State {
    const PLAIN: u8 = 0;
    const WITH_INNER: u8 = 1;
    const HELD: u8 = 2;

    /// Flags, length of the upstream's name, name; if held: replica, session, length of the address, address; the rest is
    /// the inner state.
    fn encode(&self) -> Vec<u8> {
        let inner = self.inner.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(64 + inner.len());
        let flag = |set, flag| if set { flag } else { Self::PLAIN };
        bytes.push(flag(self.inner.is_some(), Self::WITH_INNER) | flag(self.held.is_some(), Self::HELD));
        push_short(&mut bytes, &self.upstream);
        if let Some(held) = &self.held {
            bytes.extend_from_slice(&held.replica.to_be_bytes());
            bytes.extend_from_slice(&held.session.to_be_bytes());
            push_short(&mut bytes, &held.address);
        }
        bytes.extend_from_slice(inner.as_bytes());
        bytes
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let (&flags, rest) = payload.split_first()?;
        let (upstream, mut rest) = take_short(rest)?;
        let held = if flags & Self::HELD == 0 {
            None
        } else {
            let (replica, after) = rest.split_first_chunk()?;
            let (session, after) = after.split_first_chunk()?;
            let (address, after) = take_short(after)?;
            rest = after;
            Some(Held { replica: u64::from_be_bytes(*replica), address, session: u64::from_be_bytes(*session) })
        };
        let inner = match flags & Self::WITH_INNER {
            0 => None,
            _ => Some(std::str::from_utf8(rest).ok()?.to_owned()),
        };
        Some(Self { upstream, held, inner })
    }
}

/// A text of at most 255 bytes; what is longer was refused with the configuration, and is cut here.
fn push_short(bytes: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(255)];
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

fn take_short(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (&len, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(len))?;
    Some((std::str::from_utf8(text).ok()?.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use anypod_proto::seal::Ring;
    use anypod_server::{Outside, Tokens};

    use super::*;

    fn sealer(audience: &str) -> Sealer {
        let tokens = Tokens::new(Ring::generate([7; 32]), audience);
        Sealer { tokens: std::sync::Arc::new(tokens), outside: Outside::real() }
    }

    fn states() -> [State; 3] {
        let held = Held { replica: 1, address: "http://10.0.0.7:8080".to_owned(), session: u64::MAX };
        let state =
            |held, inner: Option<&str>| State { upstream: "db".to_owned(), held, inner: inner.map(str::to_owned) };
        [state(None, Some("opaque \u{e9}")), state(Some(held), Some("3f")), state(None, None)]
    }

    #[test]
    fn a_state_is_what_it_was() {
        for state in states() {
            assert_eq!(State::decode(&state.encode()), Some(state));
        }
    }

    #[test]
    fn a_state_that_was_cut_is_none() {
        for state in states() {
            let bytes = state.encode();
            for len in 0..4 {
                assert_eq!(State::decode(&bytes[..len.min(bytes.len() - 1)]).filter(|cut| *cut == state), None);
            }
        }
    }

    #[test]
    fn opens_for_the_same_request_only() {
        let here = sealer("route");
        let alice = PrincipalId { iss: "i".to_owned(), sub: "alice".to_owned() };
        let of = Of { principal: Some(&alice), method: "tools/call", name: "refund" };
        let [state, ..] = states();
        let token = of.seal(&here, Duration::from_secs(60), &state).unwrap();
        assert_eq!(of.open(&here, &token), Ok(state));
        for other in [Of { principal: None, ..of }, Of { method: "prompts/get", ..of }, Of { name: "other", ..of }] {
            assert_eq!(other.open(&here, &token), Err(Rejection::UnknownState));
        }
        let elsewhere = sealer("other");
        assert_eq!(of.open(&elsewhere, &token), Err(Rejection::UnknownState));
    }
}
