//! Sealed tokens: state that a caller carries for us and can neither read nor change.
//!
//! A token is base64url without padding over key id (4 bytes), nonce (24), ciphertext and tag (16).
//! The cipher is XChaCha20-Poly1305 under a key that is derived per [`Purpose`]; what the token is
//! bound to travels as associated data, its expiry inside the ciphertext.
//! Spec: basic/patterns/mrtr, "Server Requirements (Basic Workflow)", on protecting `requestState`.

mod digest;
mod ring;
mod text;

pub use self::digest::{digest, digest_json};
pub use self::ring::{Fingerprint, KEY_LEN, MAX_KEYS, Ring};
pub use self::text::{KeyError, KeyErrorKind};

use self::ring::ID_LEN;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::Tag;
use chacha20poly1305::{AeadInOut as _, XChaCha20Poly1305, XNonce};

/// The longest token, in bytes of its text. Tokens travel in headers and in bodies that are bounded
/// themselves; what does not fit belongs in a store.
pub const MAX_TOKEN_LEN: usize = 64 * 1024;

/// The length of a nonce. 24 random bytes do not repeat under one key, however many replicas draw them.
pub const NONCE_LEN: usize = 24;

/// The most bytes that a payload can have, so that the token stays within [`MAX_TOKEN_LEN`].
pub const MAX_PAYLOAD_LEN: usize = MAX_TOKEN_LEN / 4 * 3 - OVERHEAD;

const TAG_LEN: usize = 16;
/// 40 bits of seconds last until the year 36812, and save three bytes in each token.
const EXPIRY_LEN: usize = 5;
const MAX_EXPIRY: u64 = (1 << (8 * EXPIRY_LEN)) - 1;
const HEADER_LEN: usize = ID_LEN + NONCE_LEN;
const OVERHEAD: usize = HEADER_LEN + EXPIRY_LEN + TAG_LEN;

/// What a token is for. A token of one purpose never opens as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// `requestState`: the journal of a call between two rounds.
    RequestState,
    /// The `Mcp-Session-Id` of a legacy client.
    Session,
    /// Where a list goes on.
    Cursor,
    /// The JSON-RPC id of a request that a server sends to a legacy client.
    ServerRequest,
    /// What one replica passes to another.
    Hop,
    /// A handle on something stored.
    Handle,
    /// A task id.
    Task,
}

impl Purpose {
    /// Every purpose. The position is the place of its key in a ring, and is never on the wire.
    pub const ALL: [Self; 7] =
        [Self::RequestState, Self::Session, Self::Cursor, Self::ServerRequest, Self::Hop, Self::Handle, Self::Task];

    /// The label that goes into the derivation of its key. Changing one makes its tokens unreadable.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RequestState => "request-state",
            Self::Session => "session",
            Self::Cursor => "cursor",
            Self::ServerRequest => "server-request",
            Self::Hop => "hop",
            Self::Handle => "handle",
            Self::Task => "task",
        }
    }
}

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixSeconds(pub u64);

/// Who a token belongs to. Never made of an access token's bytes: those change at each refresh.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrincipalId {
    /// The issuer that vouches for the subject.
    pub iss: String,
    /// The subject, unique at its issuer.
    pub sub: String,
}

/// What a token is bound to. It opens only under an equal `Seal`.
#[derive(Debug, Clone, Copy)]
pub struct Seal<'a> {
    /// What the token is for.
    pub purpose: Purpose,
    /// The route or server that the token is for.
    pub audience: &'a str,
    /// The caller, where callers are authenticated. `None` is a principal of its own: a token of an
    /// anonymous caller does not open for a signed-in one, nor the other way round.
    pub principal: Option<&'a PrincipalId>,
    /// What else must be the same when the token comes back, such as a method and a [`digest`].
    pub context: &'a [&'a [u8]],
}

/// Why a payload was not sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes are too many for a sealed token: at most {MAX_PAYLOAD_LEN} fit")]
pub struct PayloadTooLong {
    /// The bytes that were to be sealed.
    pub len: usize,
}

/// Why a token did not open. For the log only: a caller learns that the token is unknown, no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The text is not canonical base64url, or too short for a token.
    #[error("the token is malformed")]
    Malformed,
    /// The text is longer than [`MAX_TOKEN_LEN`].
    #[error("the token is longer than {MAX_TOKEN_LEN} bytes")]
    TooLong,
    /// The ring has no key of that id: rotated out, or from another fleet.
    #[error("the token was sealed with a key that is not in the ring")]
    UnknownKey,
    /// Changed, or bound to another purpose, audience, principal or context.
    #[error("the token was changed or belongs to something else")]
    Forged,
    /// Genuine, but its time is over.
    #[error("the token has expired")]
    Expired,
}

impl Seal<'_> {
    /// Seals `payload` with the current key of `ring`, to open before `expires_at`.
    ///
    /// `nonce` must come from a secure source of randomness, fresh for each call. An expiry that does
    /// not fit into 40 bits is cut to the latest that does, in the year 36812.
    ///
    /// # Errors
    /// [`PayloadTooLong`] beyond [`MAX_PAYLOAD_LEN`]: the token would not open.
    pub fn seal(
        &self,
        ring: &Ring,
        nonce: [u8; NONCE_LEN],
        expires_at: UnixSeconds,
        payload: &[u8],
    ) -> Result<String, PayloadTooLong> {
        let too_long = PayloadTooLong { len: payload.len() };
        if payload.len() > MAX_PAYLOAD_LEN {
            return Err(too_long);
        }
        let key = ring.current();
        let expiry = expires_at.0.min(MAX_EXPIRY).to_be_bytes();
        let mut bytes = Vec::with_capacity(OVERHEAD + payload.len());
        bytes.extend_from_slice(&key.id());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&expiry[expiry.len() - EXPIRY_LEN..]);
        bytes.extend_from_slice(payload);
        let tag = key
            .cipher(self.purpose)
            .encrypt_inout_detached(&XNonce::from(nonce), &self.associated_data(), (&mut bytes[HEADER_LEN..]).into())
            .map_err(|_| too_long)?;
        bytes.extend_from_slice(&tag);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The payload of `token`, if it was sealed under an equal `Seal` with a key of `ring` and `now`
    /// is before its expiry.
    ///
    /// # Errors
    /// See [`OpenError`]. That a token has expired is only said of a genuine one.
    pub fn open(&self, ring: &Ring, now: UnixSeconds, token: &str) -> Result<Vec<u8>, OpenError> {
        self.open_until(ring, now, token).map(|(payload, _)| payload)
    }

    /// The same, and the token's expiry, for who remembers what was in it: nothing of a token is good from then on.
    ///
    /// # Errors
    /// As [`Seal::open`].
    pub fn open_until(&self, ring: &Ring, now: UnixSeconds, token: &str) -> Result<(Vec<u8>, UnixSeconds), OpenError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(OpenError::TooLong);
        }
        // The engine refuses padding and set bits after the last byte, so that a token has one spelling.
        let mut bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| OpenError::Malformed)?;
        let (id, rest) = bytes.split_first_chunk_mut::<ID_LEN>().ok_or(OpenError::Malformed)?;
        let (nonce, rest) = rest.split_first_chunk_mut::<NONCE_LEN>().ok_or(OpenError::Malformed)?;
        let (sealed, tag) = rest.split_last_chunk_mut::<TAG_LEN>().ok_or(OpenError::Malformed)?;
        let key = ring.find(*id).ok_or(OpenError::UnknownKey)?;
        key.cipher(self.purpose)
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &self.associated_data(),
                (&mut *sealed).into(),
                &Tag::<XChaCha20Poly1305>::from(*tag),
            )
            .map_err(|_| OpenError::Forged)?;
        let (expiry, _) = sealed.split_first_chunk::<EXPIRY_LEN>().ok_or(OpenError::Malformed)?;
        let expires_at = read_expiry(*expiry);
        if now >= expires_at {
            return Err(OpenError::Expired);
        }
        bytes.truncate(bytes.len() - TAG_LEN);
        bytes.drain(..HEADER_LEN + EXPIRY_LEN);
        Ok((bytes, expires_at))
    }

    /// Every part with its length in front: no two different seals encode to the same bytes.
    fn associated_data(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        push_part(&mut out, self.purpose.label().as_bytes());
        push_part(&mut out, self.audience.as_bytes());
        match self.principal {
            None => out.push(0),
            Some(PrincipalId { iss, sub }) => {
                out.push(1);
                push_part(&mut out, iss.as_bytes());
                push_part(&mut out, sub.as_bytes());
            }
        }
        for part in self.context {
            push_part(&mut out, part);
        }
        out
    }
}

fn push_part(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&(part.len() as u64).to_be_bytes());
    out.extend_from_slice(part);
}

fn read_expiry(bytes: [u8; EXPIRY_LEN]) -> UnixSeconds {
    let seconds = bytes.into_iter().fold(0, |seconds, byte| seconds << 8 | u64::from(byte));
    UnixSeconds(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_795_000_000);
    const LATER: UnixSeconds = UnixSeconds(1_795_000_060);

    fn ring() -> Ring {
        Ring::from_keys([7; KEY_LEN], [[8; KEY_LEN]])
    }

    fn alice() -> PrincipalId {
        PrincipalId { iss: "https://id.example".into(), sub: "alice".into() }
    }

    fn bound<'a>(purpose: Purpose, principal: &'a PrincipalId) -> Seal<'a> {
        Seal { purpose, audience: "/mcp/orders", principal: Some(principal), context: &[b"tools/call", b"refund"] }
    }

    fn token(seal: &Seal<'_>) -> String {
        seal.seal(&ring(), [9; NONCE_LEN], LATER, b"{\"total\":3}").expect("fits")
    }

    #[test]
    fn refuses_every_flipped_bit_of_every_kind_of_token() {
        let alice = alice();
        for purpose in Purpose::ALL {
            let seal = bound(purpose, &alice);
            let token = token(&seal);
            assert_eq!(seal.open(&ring(), NOW, &token), Ok(b"{\"total\":3}".to_vec()));
            for at in 0..token.len() * 8 {
                let mut bytes = token.clone().into_bytes();
                bytes[at / 8] ^= 1 << (at % 8);
                // What is not text any more does not reach us: JSON and header parsing refuse it.
                let Ok(changed) = String::from_utf8(bytes) else {
                    continue;
                };
                let refused = seal.open(&ring(), NOW, &changed).expect_err("opened a changed token");
                assert_ne!(refused, OpenError::Expired, "bit {at} of {purpose:?}");
            }
        }
    }

    #[test]
    fn refuses_every_flipped_bit_of_the_bytes_under_the_text() {
        let alice = alice();
        let seal = bound(Purpose::Session, &alice);
        let bytes = URL_SAFE_NO_PAD.decode(token(&seal)).expect("ours");
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let expected = match at / 8 < ID_LEN {
                true => OpenError::UnknownKey,
                false => OpenError::Forged,
            };
            let text = URL_SAFE_NO_PAD.encode(changed);
            assert_eq!(seal.open(&ring(), NOW, &text), Err(expected), "bit {at}");
        }
    }

    #[test]
    fn refuses_every_truncation_and_every_extension() {
        let alice = alice();
        let seal = bound(Purpose::Cursor, &alice);
        let token = token(&seal);
        for len in 0..token.len() {
            assert!(seal.open(&ring(), NOW, &token[..len]).is_err(), "{len}");
        }
        for more in ["A", "AA", "AAAA", "=", "==", "\n", " "] {
            assert!(seal.open(&ring(), NOW, &format!("{token}{more}")).is_err());
            assert!(seal.open(&ring(), NOW, &format!("{more}{token}")).is_err());
        }
    }

    #[test]
    fn opens_only_for_what_it_was_bound_to() {
        let alice = alice();
        let seal = bound(Purpose::Session, &alice);
        let token = token(&seal);
        let twin = PrincipalId { iss: "https://id.examplea".into(), sub: "lice".into() };
        let others = [
            Seal { purpose: Purpose::Task, ..seal },
            Seal { audience: "/mcp/order", ..seal },
            Seal { principal: None, ..seal },
            Seal { principal: Some(&twin), ..seal },
            Seal { context: &[], ..seal },
            Seal { context: &[b"tools/callrefund"], ..seal },
            Seal { context: &[b"tools/callr", b"efund"], ..seal },
            Seal { context: &[b"refund", b"tools/call"], ..seal },
            Seal { context: &[b"tools/call", b"refund", b""], ..seal },
        ];
        for other in others {
            assert_eq!(other.open(&ring(), NOW, &token), Err(OpenError::Forged), "{other:?}");
        }
    }

    #[test]
    fn expires_at_the_second_it_says() {
        let alice = alice();
        let seal = bound(Purpose::Handle, &alice);
        let token = token(&seal);
        assert!(seal.open(&ring(), UnixSeconds(LATER.0 - 1), &token).is_ok());
        assert_eq!(seal.open_until(&ring(), NOW, &token).map(|(_, until)| until), Ok(LATER));
        assert_eq!(seal.open(&ring(), LATER, &token), Err(OpenError::Expired));
        let forever = seal.seal(&ring(), [1; NONCE_LEN], UnixSeconds(u64::MAX), b"").expect("fits");
        assert!(seal.open(&ring(), UnixSeconds(MAX_EXPIRY - 1), &forever).is_ok());
    }

    #[test]
    fn a_rotated_ring_seals_with_the_new_key_and_opens_the_old_until_it_is_dropped() {
        let alice = alice();
        let seal = bound(Purpose::RequestState, &alice);
        let old = token(&seal);
        let kept = ring().rotate([1; KEY_LEN], 1);
        assert!(seal.open(&kept, NOW, &old).is_ok());
        let new = seal.seal(&kept, [2; NONCE_LEN], LATER, b"x").expect("fits");
        assert_eq!(seal.open(&ring(), NOW, &new), Err(OpenError::UnknownKey));
        let dropped = kept.rotate([2; KEY_LEN], 1);
        assert!(seal.open(&dropped, NOW, &new).is_ok());
        assert_eq!(seal.open(&dropped, NOW, &old), Err(OpenError::UnknownKey));
    }

    #[test]
    fn the_largest_payload_fits_and_the_next_is_refused() {
        let alice = alice();
        let seal = bound(Purpose::RequestState, &alice);
        let payload = vec![b'x'; MAX_PAYLOAD_LEN + 1];
        let token = seal.seal(&ring(), [0; NONCE_LEN], LATER, &payload[1..]).expect("fits");
        assert_eq!(token.len(), MAX_TOKEN_LEN);
        assert!(seal.open(&ring(), NOW, &token).is_ok());
        let len = payload.len();
        assert_eq!(seal.seal(&ring(), [0; NONCE_LEN], LATER, &payload), Err(PayloadTooLong { len }));
        let long = format!("{token}AAAA");
        assert_eq!(seal.open(&ring(), NOW, &long), Err(OpenError::TooLong));
    }

    #[test]
    fn a_token_without_room_for_an_expiry_is_malformed() {
        let alice = alice();
        let seal = bound(Purpose::Hop, &alice);
        for len in 0..OVERHEAD - EXPIRY_LEN {
            let text = URL_SAFE_NO_PAD.encode(vec![0; len]);
            assert_eq!(seal.open(&ring(), NOW, &text), Err(OpenError::Malformed), "{len}");
        }
    }
}
