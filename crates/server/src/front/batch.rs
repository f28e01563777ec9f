//! Batches, which only revision 2025-03-26 has: every request is answered, all answers go out together.
//!
//! Spec: 2025-03-26, basic/transports, "Sending Messages to the Server".

use std::sync::Arc;

use anypod_proto::admit::{LegacyKind, LegacyMessage};
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_proto::version::Version;
use http::{Response, StatusCode};
use tracing::Instrument as _;

use super::Caller;
use crate::completed;
use crate::http::{Body, Doing, Exchange, Finished, empty, failure};
use crate::load::Permit;
use crate::outbox::Outbox;
use crate::telemetry;

impl Caller {
    /// Answers a batch: requests run side by side and share one stream.
    pub(super) async fn batch(self, messages: Vec<LegacyMessage>, permit: Permit) -> Response<Body> {
        if self.session.version != Version::V2025_03_26 {
            return failure(&Rejection::NotJsonRpc("this revision has no batches"));
        }
        let mut requests = Vec::with_capacity(messages.len());
        let mut undelivered = None;
        for message in messages {
            match message.kind {
                LegacyKind::Request(request) => requests.push(request),
                LegacyKind::Notice(notice) => self.notice(&notice).await,
                LegacyKind::Answer(answer) => undelivered = self.deliver(&answer).await.err().or(undelivered),
            }
        }
        match undelivered {
            Some(undelivered) if requests.is_empty() => undelivered.respond(),
            Some(_) | None if requests.is_empty() => empty(StatusCode::ACCEPTED),
            Some(_) | None => self.requests(requests, permit).await,
        }
    }

    async fn requests(self, requests: Vec<Request>, permit: Permit) -> Response<Body> {
        let (limits, accepts) = (self.server.inner.limits(), self.accepts);
        let span = tracing::info_span!("mcp.server.batch", requests = requests.len());
        let outbox = Arc::new(Outbox::new(limits.outbox_messages));
        // A client that disconnects has not cancelled, so the place is free when the last call has ended.
        let permit = Arc::new(permit);
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            answers.push(self.clone().spawn_one(request, &outbox, Arc::clone(&permit)));
        }
        let all = async move {
            let mut responses = Vec::with_capacity(answers.len());
            for answer in answers {
                responses.extend(answer.await);
            }
            // Every call has given back its share.
            Finished { response: join(responses), permit: Arc::into_inner(permit) }
        };
        Exchange::new(Doing::Legacy(Box::pin(all)), outbox, None, span, &limits).respond(accepts).await
    }

    /// One request of a batch as a task of its own; `None` if it is cancelled.
    fn spawn_one(
        self,
        request: Request,
        outbox: &Arc<Outbox>,
        permit: Arc<Permit>,
    ) -> impl Future<Output = Option<completed::Response>> + Send + use<> {
        let id = request.id().to_owned();
        let span = telemetry::span(&request, telemetry::Transport::Http);
        let (front, session) = (Arc::clone(&self.server.inner.front), self.session.number);
        let outbox = Arc::clone(outbox);
        let task = front.running.spawn(
            session,
            &id.clone(),
            async move {
                let _permit = permit;
                match self.setting(&request).await {
                    Some(response) => response,
                    None => self.call(request, outbox, None).answer(&self).await,
                }
            }
            .instrument(span),
        );
        async move { super::ended(task.await, &id) }
    }
}

/// The answers as a JSON array; nothing if there are none.
fn join(responses: Vec<completed::Response>) -> Option<completed::Response> {
    if responses.is_empty() {
        return None;
    }
    let bodies: Vec<Vec<u8>> = responses.into_iter().map(|response| response.body).collect();
    let mut body = Vec::with_capacity(bodies.iter().map(|body| body.len() + 1).sum::<usize>() + 1);
    body.push(b'[');
    body.extend_from_slice(&bodies.join(&b','));
    body.push(b']');
    Some(completed::Response::new(StatusCode::OK, body))
}
