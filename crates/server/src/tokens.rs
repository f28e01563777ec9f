//! The tokens that a server hands out, and what each is bound to.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::seal::{
    OpenError, PayloadTooLong, PrincipalId, Purpose, Ring, Seal, UnixSeconds, digest, digest_json,
};

use crate::journal::Record;
use crate::outside::Outside;

/// The ring, and the audience that every token is bound to.
///
/// Sealed tokens travel with a caller and open on every pod that has the ring. A backend that hands out tokens of its
/// own shares these with its server, see [`ServerBuilder::tokens`](crate::ServerBuilder::tokens), so that both change
/// rings at once.
#[derive(Debug)]
pub struct Tokens {
    rings: RwLock<Rings>,
    audience: String,
}

/// The ring that is used now.
#[derive(Debug)]
struct Rings {
    ring: Ring,
    /// The how manieth it is.
    generation: Generation,
}

/// Tells the rings of one process apart that were used one after the other. What was opened with one says nothing of the
/// next, which may lack the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

impl Tokens {
    /// Tokens that are sealed with the current key of `ring` and only open for the same audience.
    pub fn new(ring: Ring, audience: impl Into<String>) -> Self {
        Self { rings: RwLock::new(Rings { ring, generation: Generation(0) }), audience: audience.into() }
    }

    /// Uses another ring from now on. Tokens that were sealed before still open if it holds their key.
    pub fn replace_ring(&self, ring: Ring) {
        let mut rings = self.rings.write().unwrap_or_else(PoisonError::into_inner);
        let generation = Generation(rings.generation.0 + 1);
        *rings = Rings { ring, generation };
    }

    /// Seals `payload` for `ttl_secs` seconds.
    ///
    /// # Errors
    /// If the payload is longer than a token can hold.
    pub fn seal(
        &self,
        outside: &Outside,
        token: Binding<'_>,
        ttl_secs: u64,
        payload: &[u8],
    ) -> Result<String, PayloadTooLong> {
        let expires_at = UnixSeconds(outside.now().0.saturating_add(ttl_secs));
        token.seal(&self.audience).seal(&self.ring(), outside.nonce(), expires_at, payload)
    }

    /// The payload of a token that was sealed with the same binding.
    ///
    /// # Errors
    /// If it does not open. Why is for the log; whoever brought the token learns that it is unknown.
    pub fn open(&self, outside: &Outside, token: Binding<'_>, text: &str) -> Result<Vec<u8>, OpenError> {
        token.seal(&self.audience).open(&self.ring(), outside.now(), text)
    }

    /// The payload of such a token with its expiry and the ring that opened it, for who remembers it.
    ///
    /// # Errors
    /// As [`Tokens::open`].
    pub(crate) fn open_until(
        &self,
        outside: &Outside,
        token: Binding<'_>,
        text: &str,
    ) -> Result<(Vec<u8>, UnixSeconds, Generation), OpenError> {
        let (ring, generation) = {
            let rings = self.rings();
            (rings.ring.clone(), rings.generation)
        };
        let (payload, expires_at) = token.seal(&self.audience).open_until(&ring, outside.now(), text)?;
        Ok((payload, expires_at, generation))
    }

    /// Which ring is used now.
    pub(crate) fn generation(&self) -> Generation {
        self.rings().generation
    }

    fn ring(&self) -> Ring {
        self.rings().ring.clone()
    }

    fn rings(&self) -> RwLockReadGuard<'_, Rings> {
        self.rings.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one token is bound to, besides the audience.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// What it is for.
    pub purpose: Purpose,
    /// Who may bring it; `None` for anonymous callers, and for what callers never see.
    pub principal: Option<&'a PrincipalId>,
    /// What has to be the same when it comes back. Who seals for a purpose that the server seals for too begins it with
    /// a word of its own, so that neither opens the other's.
    pub context: &'a [&'a [u8]],
}

impl<'a> Binding<'a> {
    const fn seal(self, audience: &'a str) -> Seal<'a> {
        Seal { purpose: self.purpose, audience, principal: self.principal, context: self.context }
    }
}

/// What a `requestState` is bound to besides the principal: the method, the name and a digest of the arguments,
/// so that consent given to one call cannot be carried to another.
pub(crate) struct SameCall {
    method: String,
    name: String,
    arguments: [u8; 32],
}

impl SameCall {
    pub(crate) fn of(request: &Request) -> Self {
        let name = request.name().or_else(|| request.uri()).unwrap_or_default().into_owned();
        let text = request.arguments().unwrap_or("{}");
        // Numbers that no `f64` holds have no value to be digested; then the text itself has to be the same.
        let arguments = digest_json(text).unwrap_or_else(|_| digest(&[text.as_bytes()]));
        Self { method: request.method_name().into_owned(), name, arguments }
    }

    fn with<R>(&self, principal: Option<&PrincipalId>, act: impl FnOnce(Binding<'_>) -> R) -> R {
        let context: [&[u8]; 3] = [self.method.as_bytes(), self.name.as_bytes(), &self.arguments];
        act(Binding { purpose: Purpose::RequestState, principal, context: &context })
    }

    /// Seals a record into a `requestState`.
    pub(crate) fn seal(
        &self,
        tokens: &Tokens,
        outside: &Outside,
        principal: Option<&PrincipalId>,
        ttl_secs: u64,
        record: &Record,
    ) -> Result<String, crate::Error> {
        let payload = serde_json::to_vec(record).map_err(crate::Error::internal)?;
        self.with(principal, |binding| tokens.seal(outside, binding, ttl_secs, &payload)).map_err(|error| {
            crate::Error::internal(format_args!("the journal does not fit into `requestState`: {error}"))
        })
    }

    /// Opens a `requestState`.
    pub(crate) fn open(
        &self,
        tokens: &Tokens,
        outside: &Outside,
        principal: Option<&PrincipalId>,
        text: &str,
    ) -> Result<Record, Rejection> {
        let payload = self.with(principal, |binding| tokens.open(outside, binding, text)).map_err(|error| {
            tracing::info!(%error, "a requestState did not open");
            Rejection::UnknownState
        })?;
        serde_json::from_slice(&payload).map_err(|error| {
            tracing::warn!(%error, "a requestState of ours is not a journal");
            Rejection::UnknownState
        })
    }
}
