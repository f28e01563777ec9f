//! Who calls.

use anypod_proto::seal::PrincipalId;

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
