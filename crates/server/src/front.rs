//! `LegacyFront`: serves legacy clients with what answers modern requests.

pub(crate) mod call;
pub(crate) mod questions;

use anypod_proto::admit::LegacyMessage;
use anypod_proto::reject::Rejection;
use http::request::Parts;
use http::{HeaderMap, Response};

use crate::http::{Accepts, Body, failure};
use crate::load::Permit;
use crate::server::Server;

pub(crate) const HOP_MEDIA_TYPE: &str = "application/vnd.anypod.hop";

pub(crate) fn get(_: &Server, _: &Parts) -> Result<Response<Body>, Rejection> {
    Err(Rejection::SessionMissing)
}

pub(crate) fn delete(_: &Server, _: &Parts) -> Result<Response<Body>, Rejection> {
    Err(Rejection::SessionMissing)
}

pub(crate) fn is_hop(_: &HeaderMap) -> bool {
    false
}

pub(crate) fn hop(_: &Server, _: &[u8]) -> Response<Body> {
    failure(&Rejection::SessionMissing)
}

pub(crate) async fn post(_: &Server, _: &Parts, _: Accepts, _: LegacyMessage, _: Permit) -> Response<Body> {
    failure(&Rejection::SessionMissing)
}

pub(crate) async fn post_batch(_: &Server, _: &Parts, _: Vec<LegacyMessage>, _: Permit) -> Response<Body> {
    failure(&Rejection::SessionMissing)
}
