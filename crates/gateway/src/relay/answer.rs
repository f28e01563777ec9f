//! The answer of a pod on its way to the client: as it came, unless a state has to be sealed in it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anypod_proto::header::ACCEL_BUFFERING;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::events::Events;
use super::state::{Beginning, beginning, came_to, error_code};
use super::{Pace, Rewriter};
use crate::body::{Body, Broke, Ticket};
use crate::failure::Failure;
use crate::head::{Fields, Reply};
use crate::observe::Outcome;
use crate::upstream::headers::prepare_answer;
use crate::upstream::{Answer, Picked, Upstream};

/// The body of a relayed answer. Dropping it before its end tells the pod that nobody listens any more.
#[derive(Debug)]
pub(crate) struct Relayed {
    kind: Kind,
    _picked: Picked,
}

#[derive(Debug)]
enum Kind {
    /// What has been read of it, and the rest as it comes.
    Plain(Option<Bytes>, Option<Answer>),
    /// A stream of events.
    Events(Box<Events>),
}

/// How much of either end of a long answer is looked at, in bytes.
const ENDS: usize = 4 << 10;

/// What an answer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Events,
    Json,
    Other,
}

/// What becomes of an answer. One that is there is made at once, in no future of its own: every call would pay for the room.
pub(super) enum Responded<'a> {
    Done(Result<Reply<Body>, Failure>),
    /// It has to be read first.
    Reading(Pin<Box<dyn Future<Output = Result<Reply<Body>, Failure>> + Send + 'a>>),
}

/// Makes the answer of a pod the client's. Fails if a state in it cannot be sealed, or the pod breaks off while it is read.
pub(super) fn respond<'a>(
    answer: Reply<Answer>,
    picked: Picked,
    upstream: &'a Upstream,
    rewriter: Option<Rewriter>,
    result_bytes: usize,
    ticket: &'a mut Ticket,
) -> Responded<'a> {
    let Reply { status, mut fields, body } = answer;
    prepare_answer(&mut fields);
    let kind = match (form(&fields), rewriter) {
        (Form::Events, rewriter) => {
            is_not_to_be_buffered(&mut fields);
            let pace = Pace::from(&upstream.config().timeouts);
            Ok(Kind::Events(Box::new(Events::new(body, rewriter.map(Arc::new), pace, result_bytes))))
        }
        (Form::Json, Some(rewriter)) => match body.whole().cloned() {
            // The usual answer is passed on without a copy.
            Some(text) => edited(&mut fields, text, &rewriter, ticket),
            None => {
                return Responded::Reading(Box::pin(async move {
                    let upstream = upstream.name();
                    let kind = json(&mut fields, body, &rewriter, upstream, result_bytes, ticket).await?;
                    Ok(reply(status, fields, kind, picked))
                }));
            }
        },
        (Form::Json, None) | (Form::Other, _) => Ok(Kind::Plain(None, Some(body))),
    };
    Responded::Done(kind.map(|kind| reply(status, fields, kind, picked)))
}

fn reply(status: StatusCode, fields: Fields, kind: Kind, picked: Picked) -> Reply<Body> {
    Reply { status, fields, body: Body::relayed(Relayed { kind, _picked: picked }) }
}

/// Says so of a stream, unless the pod has said something of it.
fn is_not_to_be_buffered(fields: &mut Fields) {
    if !fields.has(&ACCEL_BUFFERING) {
        fields.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
}

/// Makes the answer of a pod the client's, as it is.
pub(crate) fn pass(answer: Reply<Answer>, picked: Picked, upstream: &Upstream) -> Reply<Body> {
    let Reply { status, mut fields, body } = answer;
    prepare_answer(&mut fields);
    let kind = match form(&fields) {
        Form::Events => {
            is_not_to_be_buffered(&mut fields);
            let pace = Pace::from(&upstream.config().timeouts);
            Kind::Events(Box::new(Events::new(body, None, pace, usize::MAX)))
        }
        Form::Json | Form::Other => Kind::Plain(None, Some(body)),
    };
    reply(status, fields, kind, picked)
}

/// JSON goes on as it comes once its beginning says that it is complete; else it is read as a whole.
async fn json(
    fields: &mut Fields,
    mut body: Answer,
    rewriter: &Rewriter,
    upstream: &Arc<str>,
    result_bytes: usize,
    ticket: &mut Ticket,
) -> Result<Kind, Failure> {
    let lost = |error: &dyn std::fmt::Display| {
        tracing::warn!(upstream = &**upstream, %error, "a pod broke off in its answer");
        Failure::OutcomeUnknown { upstream: upstream.to_string() }
    };
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| lost(&error))?.into_data() else { continue };
        if read.is_empty() {
            // One piece is passed on without a copy as well.
            if body.is_end_stream() {
                return edited(fields, data, rewriter, ticket);
            }
            if !rewriter.reads_all() && beginning(&data) == Beginning::Complete {
                return Ok(Kind::Plain(Some(data), Some(body)));
            }
        }
        if read.len() + data.len() > result_bytes {
            return Err(lost(&format_args!("more than {result_bytes} bytes")));
        }
        read.extend_from_slice(&data);
        if body.is_end_stream() {
            break;
        }
    }
    edited(fields, read.freeze(), rewriter, ticket)
}

fn edited(fields: &mut Fields, text: Bytes, rewriter: &Rewriter, ticket: &mut Ticket) -> Result<Kind, Failure> {
    // Of a long one that is complete, its ends say enough: several searches cost more than all else that is done to it.
    if text.len() > 2 * ENDS && !rewriter.reads_all() && beginning(&text[..ENDS]) == Beginning::Complete {
        let ends = [&text[..ENDS], &text[text.len() - ENDS..]];
        if let Some(outcome) = ends.into_iter().find_map(came_to) {
            ticket.came_to(outcome);
        }
        return Ok(Kind::Plain(Some(text), None));
    }
    if let Some(outcome) = came_to(&text) {
        ticket.came_to(outcome);
    }
    if let Some(code) = error_code(&text) {
        ticket.came_to_error(code);
    }
    let text = match rewriter.message(&text)? {
        Some(edited) => {
            fields.remove(&CONTENT_LENGTH);
            Bytes::from(edited)
        }
        None => text,
    };
    Ok(Kind::Plain(Some(text), None))
}

fn form(fields: &Fields) -> Form {
    let Some(value) = fields.all(&CONTENT_TYPE).next() else { return Form::Other };
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        Form::Json
    } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
        Form::Events
    } else {
        Form::Other
    }
}

impl Relayed {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        match &mut self.kind {
            Kind::Plain(read, rest) => {
                if let Some(read) = read.take() {
                    return Poll::Ready(Some(Ok(Frame::data(read))));
                }
                let Some(body) = rest else { return Poll::Ready(None) };
                let frame = ready!(Pin::new(body).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(Broke::upstream)))
            }
            Kind::Events(events) => events.poll_frame(cx),
        }
    }

    /// What the answer says, where it is a stream of events that are read.
    pub(crate) const fn came_to(&self) -> Option<(Outcome, Option<i32>)> {
        match &self.kind {
            Kind::Plain(..) => None,
            Kind::Events(events) => events.came_to(),
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Plain(None, rest) => rest.as_ref().is_none_or(http_body::Body::is_end_stream),
            Kind::Plain(Some(_), _) | Kind::Events(_) => false,
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Plain(read, rest) => {
                let read = read.as_ref().map_or(0, |read| read.len() as u64);
                let rest = rest.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint);
                match rest.exact() {
                    Some(rest) => SizeHint::with_exact(read + rest),
                    None => SizeHint::default(),
                }
            }
            Kind::Events(_) => SizeHint::default(),
        }
    }
}
