//! In whose name calls go out.

use std::borrow::Cow;
use std::sync::Arc;

use anypod_client::{Call, Identity};
use anypod_proto::capabilities::ClientCapabilities;

use super::info;
use crate::authenticate::Credentials;
use crate::desk::Notes;

/// In whose name a call goes out.
#[derive(Clone)]
pub(crate) struct Sender {
    pub(crate) identity: Arc<Identity>,
    /// The client's capabilities as JSON of one spelling: part of what tells sessions apart.
    pub(crate) spelled: Arc<str>,
    pub(crate) credentials: Credentials,
    /// Whether it is the gateway itself, which has a credential of its own where one is configured.
    pub(super) is_own: bool,
    /// Of the request that the call is for: the trace that goes along, and where is noted what becomes of it.
    pub(crate) notes: Notes,
}

impl Sender {
    /// The gateway itself.
    pub(crate) fn gateway(capabilities: ClientCapabilities) -> Self {
        let spelled = serde_json::to_string(&capabilities).unwrap_or_default().into();
        let identity = Arc::new(Identity::new(info(), capabilities));
        Self { identity, spelled, credentials: Credentials::default(), is_own: false, notes: Notes::default() }
    }

    /// The gateway itself, for what nobody has asked for.
    pub(crate) fn own() -> Self {
        Self { is_own: true, ..Self::gateway(ClientCapabilities::default()) }
    }

    /// The gateway, with the credentials of somebody for whom it asks.
    pub(crate) fn with(credentials: &Credentials, capabilities: ClientCapabilities) -> Self {
        Self { credentials: credentials.clone(), ..Self::gateway(capabilities) }
    }

    /// A client, with its own. `spelled` are its capabilities.
    pub(crate) const fn client(
        identity: Arc<Identity>,
        spelled: Arc<str>,
        credentials: Credentials,
        notes: Notes,
    ) -> Self {
        Self { identity, spelled, credentials, is_own: false, notes }
    }

    /// The same, for what is asked besides the request that it is for.
    pub(crate) fn apart(&self) -> Self {
        Self { notes: self.notes.apart(), ..self.clone() }
    }

    /// The call with what is said of its trace in place of what the request said.
    pub(super) fn traced<'a>(&self, call: &'a Call) -> Cow<'a, Call> {
        let Some(sent_on) = self.notes.trace() else { return Cow::Borrowed(call) };
        let mut call = call.clone();
        let trace = call.trace.get_or_insert_default();
        (trace.parent, trace.state) = (Some(sent_on.parent), sent_on.state.map(String::from));
        Cow::Owned(call)
    }

    /// Whether credentials are between the client and the upstream, because the gateway knows nobody by tokens of its own.
    pub(super) const fn is_passed_on(&self) -> bool {
        self.credentials.principal.is_none()
    }
}
