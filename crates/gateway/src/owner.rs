//! The upstream that a request is for, and what has to be written anew on the way there and back.
//!
//! The only upstream of a route knows everything by the names that clients know. Of several, each has its own names, URIs
//! and task ids, which clients know with the upstream in front.

use std::borrow::Cow;
use std::sync::Arc;

use anypod_client::{Call, Notice, Raw};
use anypod_proto::header::{NAME, encode_value};
use anypod_proto::method::{Method, Notification, TaskMethod};
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_LENGTH;

use crate::failure::Failure;
use crate::federate::edit::edit;
use crate::federate::rules::{self, Rule, Step, What};
use crate::federate::{Upstreams, completion, uris};
use crate::head::Head;
use crate::observe::SentOn;
use crate::plan::Plan;
use crate::reach::Reach;

/// The upstream that a request is for.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    pub(crate) reach: Arc<Reach>,
    /// How it is known there, where several upstreams are behind one route.
    own: Option<Own>,
}

#[derive(Debug, Clone)]
struct Own {
    upstreams: Upstreams,
    place: usize,
    /// What the request is about, as the upstream knows it; none where it is about nothing.
    subject: Option<String>,
}

/// The name of a tool or prompt in a whole message.
const MESSAGE_NAME: &[Rule] = &[Rule { what: What::Name, path: &[Step::Member("params"), Step::Member("name")] }];

impl Owner {
    /// The only upstream of a route.
    pub(crate) fn only(reach: &Arc<Reach>) -> Self {
        Self { reach: Arc::clone(reach), own: None }
    }

    /// One of several, which knows what the request is about as `subject`.
    pub(crate) fn one_of(plan: &Plan, place: usize, subject: Option<String>) -> Self {
        let own = Own { upstreams: plan.naming.upstreams().clone(), place, subject };
        Self { reach: Arc::clone(&plan.reaches[place]), own: Some(own) }
    }

    /// One of several, at its place among them, or the only one; for what no request asked for.
    pub(crate) fn at(reach: &Arc<Reach>, place: Option<(Upstreams, usize)>) -> Self {
        let own = place.map(|(upstreams, place)| Own { upstreams, place, subject: None });
        Self { reach: Arc::clone(reach), own }
    }

    /// Whether answers have to be read, because there may be something in them to be written anew.
    pub(crate) const fn translates(&self) -> bool {
        self.own.is_some()
    }

    /// Makes the call one that the upstream understands.
    ///
    /// # Errors
    /// If its parameters are not what they should be.
    pub(crate) fn rename(&self, call: &mut Call) -> Result<(), Failure> {
        let Some(subject) = self.own.as_ref().and_then(|own| own.subject.as_deref()) else { return Ok(()) };
        if call.known() == Some(Method::Complete) {
            let params = [b"{", call.params.as_slice(), b"}"].concat();
            let params = String::from_utf8(params).map_err(|_| Rejection::Internal)?;
            let params = completion::with_own(&params, subject).map_err(Rejection::NotJson)?;
            let inside = params.strip_prefix('{').and_then(|params| params.strip_suffix('}'));
            call.params = inside.unwrap_or_default().as_bytes().to_vec();
            return Ok(());
        }
        call.rename(subject).map_err(|error| Failure::of(self.reach.name(), error))
    }

    /// The request, whose body is `text`, as bytes for the upstream, with this trace in place of what it says of one, and
    /// its head to match.
    ///
    /// # Errors
    /// If the name cannot be sent in a header.
    pub(crate) fn translated(
        &self,
        message: &Request<&str>,
        text: &Bytes,
        head: &mut Head,
        trace: Option<SentOn>,
    ) -> Result<Bytes, Failure> {
        let own = self.own_name();
        if own.is_none() && trace.is_none() {
            return Ok(text.clone());
        }
        head.fields.remove(&CONTENT_LENGTH);
        let mut body = match trace {
            Some(trace) => message.with_trace(trace.parent, trace.state.as_deref()),
            None => message.body().to_owned(),
        };
        if let Some(own) = own {
            let edited = edit(&body, MESSAGE_NAME, |_, _| Some(own.to_owned())).map_err(Rejection::NotJson)?;
            body = edited.into_owned();
            self.renames(head)?;
        }
        Ok(body.into())
    }

    /// Writes the upstream's own name into a head.
    ///
    /// # Errors
    /// If the name cannot be sent in a header.
    pub(crate) fn renames(&self, head: &mut Head) -> Result<(), Failure> {
        if let Some(own) = self.own_name() {
            let name = HeaderValue::try_from(encode_value(own).as_ref()).map_err(|_| Rejection::Internal)?;
            head.fields.insert(NAME, name);
        }
        Ok(())
    }

    /// What the request is about at the upstream, where that has another name.
    pub(crate) fn own_name(&self) -> Option<&str> {
        self.own.as_ref()?.subject.as_deref()
    }

    /// A notification of the upstream as clients know it.
    pub(crate) fn notice(&self, notice: Notice) -> Notice {
        let Some(own) = &self.own else { return notice };
        let rules = Notification::parse(&notice.method).map_or(&[][..], rules::of_notification);
        match own.rewritten(notice.params.as_str(), rules) {
            Some(params) => match Raw::parse(params.into()) {
                Ok(params) => Notice { params, ..notice },
                Err(_) => notice,
            },
            None => notice,
        }
    }

    /// A result of the upstream as clients know it.
    pub(crate) fn result(&self, method: &str, result: Bytes) -> Bytes {
        let Some(own) = &self.own else { return result };
        let rules = rules_of(method);
        let Ok(text) = std::str::from_utf8(&result) else { return result };
        own.rewritten(text, rules).map_or_else(|| result.clone(), Bytes::from)
    }

    /// A whole response of the upstream as clients know it; `None` if it goes on as it is.
    pub(crate) fn response(&self, method: &str, text: &str) -> Option<String> {
        let own = self.own.as_ref()?;
        own.rewritten_in_result(text, rules_of(method))
    }
}

impl Own {
    fn rewritten(&self, text: &str, rules: &[Rule]) -> Option<String> {
        if rules.is_empty() || !rules::may_have_any(text) {
            return None;
        }
        match edit(text, rules, |what, own| self.public(what, own)) {
            Ok(Cow::Owned(edited)) => Some(edited),
            Ok(Cow::Borrowed(_)) | Err(_) => None,
        }
    }

    /// Of the member `result` of a response.
    fn rewritten_in_result(&self, text: &str, rules: &[Rule]) -> Option<String> {
        if rules.is_empty() || !rules::may_have_any(text) {
            return None;
        }
        let message = crate::relay::result_of(text)?;
        let edited = self.rewritten(&text[message.clone()], rules)?;
        Some(format!("{}{edited}{}", &text[..message.start], &text[message.end..]))
    }

    fn public(&self, what: What, own: &str) -> Option<String> {
        match what {
            What::Uri | What::Resource => Some(uris::wrap(&self.upstreams, self.place, own)),
            What::TaskId => Some(format!("{}+{own}", self.upstreams.names()[self.place])),
            // Results name no tools.
            What::Name => None,
        }
    }
}

fn rules_of(method: &str) -> &'static [Rule] {
    match (Method::parse(method), TaskMethod::parse(method)) {
        (Some(method), _) => rules::of_result(method),
        (None, Some(method)) => rules::of_task_result(method),
        (None, None) => &[],
    }
}
