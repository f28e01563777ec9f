//! The one hop that a round may take: to the replica that holds the call which asked.
//!
//! The request goes on as it came, beside a seal over the principal and a digest of its state, which opens for half a
//! minute and only where the ring is. Whom to call comes out of a sealed state of our own, never from a client. A hop is
//! answered or refused, and never passed on.

use std::time::Duration;

use anypod_client::{Answer, Answers, Call, Client, Sent};
use anypod_proto::header::{HOP, Headers};
use anypod_proto::reject::Rejection;
use anypod_proto::seal::{PrincipalId, Purpose, digest};
use anypod_server::{Answered, Asked, Binding, Caller, Principal};
use http::{HeaderMap, HeaderValue};

use super::{Desk, forward, sender};
use crate::failure::Failure;
use crate::reach::Under;
use crate::rounds::Held;
use crate::seal::Sealer;

/// How long a seal opens: the way to a neighbour, and clocks that differ.
const TTL: Duration = Duration::from_secs(30);
/// Where the word of this module begins the context of its seals; the server has hops of its own.
const WORD: &[u8] = b"round";

/// In the extensions of a request that came by a hop: for whom.
#[derive(Debug, Clone)]
pub(crate) struct Hopped;

/// Whether a request came by a hop.
pub(crate) fn is_hop(caller: &Caller) -> bool {
    caller.extensions.get::<Hopped>().is_some()
}

impl Desk {
    /// Sends the request to the replica that holds the call.
    pub(super) async fn hop(&self, held: &Held, asked: &Asked) -> Result<Answered, Failure> {
        if is_hop(&asked.caller) || held.address.is_empty() {
            // Another process has taken over the address, or nobody knows where it was.
            return Err(Failure::HolderGone);
        }
        let (request, caller) = (&asked.request, &asked.caller);
        let token = asked.state.clone().ok_or(Failure::HolderGone)?;
        let mut headers = HeaderMap::new();
        let principal = caller.principal.as_ref().map(Principal::id);
        headers.insert(HOP, seal(&self.sealer, principal, &token)?);
        let mut call = Call::of_request(request)?;
        call.log_level = caller.log_level;
        call.answers = Some(Answers { responses: forward::responses(asked)?, state: Some(token) });
        let sender = sender(caller);
        let url = format!("{}{}", held.address.trim_end_matches('/'), self.plan().path);
        let endpoint = Client::builder().endpoint(&url).map_err(|_| Failure::HolderGone)?;
        let sent = endpoint.modern().send(&call, &sender.identity, &headers).await.map_err(|error| {
            tracing::warn!(holder = held.address, %error, "another replica is not reached");
            Failure::HolderGone
        })?;
        let exchange = match sent {
            Sent::Exchange(exchange) => exchange,
            Sent::Refused(refusal) => {
                let status = refusal.status;
                return Err(refusal
                    .error()
                    .map_or(Failure::HolderGone, |error| Failure::answered(Some(status), error)));
            }
        };
        super::Notes::hopped(caller);
        let patience = self.plan().round_ttl();
        let mut under = Under { exchange, patience, session: None, picked: None };
        match under.answer(|notice| forward::pass_on(notice, asked)).await {
            Ok(Answer::Result(raw)) => Ok(match forward::questions(raw.as_bytes()) {
                // The other replica has sealed the state already.
                Some(questions) => Answered::Asks(questions),
                None => Answered::Result(raw.as_bytes().clone()),
            }),
            Ok(Answer::Error(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(holder = held.address, %error, "another replica broke off");
                Err(Failure::HolderGone)
            }
        }
    }

    /// For whom a request comes by a hop, if it does: what `headers` hold opens for its state.
    ///
    /// # Errors
    /// If it does not open.
    pub(crate) fn arrived(&self, headers: &dyn Headers, state: Option<&str>) -> Result<Option<Principal>, Rejection> {
        let (Some(state), Some(token)) = (state, headers.text(&HOP)) else {
            return Err(Rejection::UnknownState);
        };
        let digest = digest(&[state.as_bytes()]);
        let payload = self.sealer.open(binding(&[WORD, &digest]), token).map_err(|error| {
            tracing::warn!(%error, "a hop did not open");
            Rejection::UnknownState
        })?;
        if payload.is_empty() {
            return Ok(None);
        }
        let (iss, sub): (String, String) = serde_json::from_slice(&payload).map_err(|_| Rejection::UnknownState)?;
        Ok(Some(Principal::new(iss, sub)))
    }
}

fn seal(sealer: &Sealer, principal: Option<&PrincipalId>, state: &str) -> Result<HeaderValue, Failure> {
    let digest = digest(&[state.as_bytes()]);
    let payload = match principal {
        None => Vec::new(),
        Some(PrincipalId { iss, sub }) => serde_json::to_vec(&(iss, sub)).map_err(|_| Rejection::Internal)?,
    };
    let token = sealer.seal(binding(&[WORD, &digest]), TTL, &payload).map_err(|_| Rejection::Internal)?;
    HeaderValue::try_from(token).map_err(|_| Rejection::Internal.into())
}

/// The caller was checked where the request came in, by opening the state.
const fn binding<'a>(context: &'a [&'a [u8]]) -> Binding<'a> {
    Binding { purpose: Purpose::Hop, principal: None, context }
}
