//! Reading what a server sends: one message, told apart by its members, with its parts left as JSON.

use std::borrow::Cow;

use anypod_proto::jsonrpc::{ErrorObject, ProtocolTag, RequestId};
use anypod_proto::scan::Scanner;
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
        usual(text).map_or_else(|| Self::read_any(text), Ok)
    }

    fn read_any(text: &Bytes) -> Result<Self, Broken> {
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

/// A result under a number that is not negative, with no member besides, as most messages are. `None` says nothing.
fn usual(text: &Bytes) -> Option<Message> {
    let mut scanner = Scanner::new(std::str::from_utf8(text).ok()?);
    let mut walk = scanner.object().ok()?;
    let (mut version, mut id, mut result) = (None, None, None);
    while let Some(key) = scanner.member(&mut walk).ok()? {
        let place = match key.raw() {
            "jsonrpc" => &mut version,
            "id" => &mut id,
            "result" => &mut result,
            _ => return None,
        };
        if place.replace(scanner.value().ok()?).is_some() {
            return None;
        }
    }
    scanner.end().ok()?;
    let id = id.filter(|id| version == Some(r#""2.0""#) && id.bytes().all(|byte| byte.is_ascii_digit()))?;
    let result = result.filter(|result| *result != "null")?;
    let raw = Raw::checked(text.slice_ref(result.as_bytes()));
    Some(Message::Answer(Some(RequestId::Integer(id.parse().ok()?)), Answer::Result(raw)))
}

fn not_json_rpc(error: serde_json::Error) -> Broken {
    Broken::NotJsonRpc(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_answer_is_read_as_any_other() {
        for text in [
            r#"{"jsonrpc":"2.0","id":7,"result":{"a":[1,"\u00e9"]}}"#,
            r#" { "result" : {} , "id" : 0 , "jsonrpc" : "2.0" } "#,
            r#"{"jsonrpc":"2.0","id":9223372036854775807,"result":1}"#,
        ] {
            let text = Bytes::from(text);
            let read = format!("{:?}", usual(&text).expect("it is usual"));
            assert_eq!(read, format!("{:?}", Message::read_any(&text).unwrap()));
        }
    }

    #[test]
    fn what_is_not_usual_is_none() {
        for text in [
            r#"{"jsonrpc":"2.0","id":7,"result":null}"#,
            r#"{"jsonrpc":"2.0","id":7,"id":7,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":"7","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":-7,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":7.0,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":9223372036854775808,"result":{}}"#,
            r#"{"jsonrpc":"1.0","id":7,"result":{}}"#,
            r#"{"id":7,"result":{}}"#,
            r#"{"jsonrpc":"2.0","result":{}}"#,
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"a"}}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{},"more":1}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{}} {}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":{}"#,
            r#"[{"jsonrpc":"2.0","id":7,"result":{}}]"#,
            "",
        ] {
            assert!(usual(&Bytes::from(text)).is_none(), "{text}");
        }
        assert!(usual(&Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"\xff\"}")).is_none());
    }
}
