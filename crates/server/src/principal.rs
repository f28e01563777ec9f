//! Who calls.

use anypod_proto::seal::{PrincipalId, digest};
use anypod_store::Owner;

use crate::cx::hex;

/// An authenticated caller. A layer in front of the server puts it into the request's extensions; without
/// one, every caller is anonymous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    id: PrincipalId,
}

impl Principal {
    /// A caller, by the issuer that vouches for it and the subject that the issuer calls it.
    pub fn new(iss: impl Into<String>, sub: impl Into<String>) -> Self {
        Self { id: PrincipalId { iss: iss.into(), sub: sub.into() } }
    }

    /// The issuer and the subject.
    pub const fn id(&self) -> &PrincipalId {
        &self.id
    }
}

/// Whose what a caller leaves in a store is. The store need not know who that is.
pub(crate) fn owner(principal: Option<&Principal>) -> Owner {
    let Some(principal) = principal else { return Owner::nobody() };
    let id = principal.id();
    let digest = digest(&[b"owner", id.iss.as_bytes(), id.sub.as_bytes()]);
    Owner::new(hex(&digest[..16]))
}
