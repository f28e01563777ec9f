//! Reading what a server sends: one message, told apart by its members, with its parts left as JSON.

use std::borrow::Cow;

use anypod_proto::jsonrpc::{ErrorObject, ProtocolTag, RequestId};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Broken, Result};
use crate::exchange::{Answer, Notice, Raw};

/// A message of a server.
#[derive(Debug)]
pub(crate) enum Message {
    /// The answer to the request of that id. Errors may have none.
    Answer(Option<RequestId>, Answer),
    /// A notification.
    Notice(Notice),
    /// A request to the client, as legacy servers send them.
    Request { id: RequestId, method: String, params: Raw },
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(rename = "jsonrpc")]
    _jsonrpc: ProtocolTag,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ErrorObject>,
}

impl Message {
    /// Reads one message, which fills `text`.
    ///
    /// # Errors
    /// [`Broken::NotJsonRpc`] if it is none.
    pub(crate) fn read(text: &Bytes) -> Result<Self, Broken> {
        let members: Members<'_> = serde_json::from_slice(text).map_err(not_json_rpc)?;
        let part = |raw: &RawValue| Raw::checked(text.slice_ref(raw.get().as_bytes()));
        let params = members.params.map_or_else(|| Raw::checked(Bytes::from_static(b"{}")), part);
        let id = members.id.filter(|id| id.get() != "null").map(|id| serde_json::from_str::<RequestId>(id.get()));
        let id = id.transpose().map_err(not_json_rpc)?;
        match (members.method, members.result, members.error, id) {
            (Some(method), None, None, None) => Ok(Self::Notice(Notice { method: method.into_owned(), params })),
            (Some(method), None, None, Some(id)) => Ok(Self::Request { id, method: method.into_owned(), params }),
            (None, Some(result), None, Some(id)) => Ok(Self::Answer(Some(id), Answer::Result(part(result)))),
            (None, None, Some(error), id) => Ok(Self::Answer(id, Answer::Error(error))),
            (None, Some(_), None, None) => Err(Broken::NotJsonRpc("a result without an id".to_owned())),
            (None, None, None, _) => Err(Broken::NotJsonRpc("neither method, result nor error".to_owned())),
            (Some(_), _, _, _) | (None, Some(_), Some(_), _) => {
                Err(Broken::NotJsonRpc("more than one of method, result and error".to_owned()))
            }
        }
    }
}

fn not_json_rpc(error: serde_json::Error) -> Broken {
    Broken::NotJsonRpc(error.to_string())
}
