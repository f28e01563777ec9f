//! Admission: whatever is taken says the same to us, to the headers and to any other reader.

use anypod_proto::admit::{Admitted, Carrier, admit, check};
use anypod_proto::header;
use anypod_proto::param_header::ParamHeaders;
use anypod_proto::reject::Refused;
use anypod_proto::request::Request;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

const SHARD: HeaderName = HeaderName::from_static("mcp-param-shard");

/// Reads the first four lines of `data` as the headers for version, method, name and one argument, where
/// an empty line is no header, and the rest as the body.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(5, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in [header::PROTOCOL_VERSION, header::METHOD, header::NAME, SHARD] {
        let line = parts.next().unwrap_or_default();
        if let (false, Ok(value)) = (line.is_empty(), HeaderValue::from_bytes(line)) {
            headers.insert(name, value);
        }
    }
    let body = parts.next().unwrap_or_default();
    let mirrored = mirrored();
    let by_http = admit(Carrier::Http(&headers), body.to_vec(), |_| Some(&mirrored));
    let by_stream = admit(Carrier::Stream, body.to_vec(), |_| Some(&mirrored));
    for refused in [&by_http, &by_stream].into_iter().filter_map(|admitted| admitted.as_ref().err()) {
        let response: Value = serde_json::from_slice(&refused.to_response()).expect("a refusal is JSON");
        assert_eq!(response["error"]["code"], refused.rejection.code().number());
        assert!(!refused.rejection.status().is_success());
    }
    borrowed_alike(&by_http, check(Carrier::Http(&headers), body, |_| Some(&mirrored)));
    if let Ok(Admitted::Request(request)) = &by_http {
        let Ok(Admitted::Request(same)) = &by_stream else {
            panic!("headers make a request acceptable: {by_stream:?}")
        };
        assert_eq!(view(request), view(same));
        agrees(request, &headers);
    }
}

fn mirrored() -> ParamHeaders {
    let schema = json!({ "properties": { "shard": { "type": "integer", "x-mcp-header": "Shard" } } });
    ParamHeaders::from_schema(&schema).expect("a schema")
}

/// A body that is only borrowed is admitted alike, if it is a modern request.
fn borrowed_alike(owned: &Result<Admitted, Refused>, borrowed: Result<Option<Request<&str>>, Refused>) {
    match (owned, borrowed) {
        (Ok(Admitted::Request(owned)), Ok(Some(borrowed))) => assert_eq!(view(owned), view(&borrowed)),
        (Ok(Admitted::Notice(_) | Admitted::Legacy(_) | Admitted::LegacyBatch(_)) | Err(_), Ok(None)) => {}
        (Err(owned), Err(borrowed)) => assert_eq!(*owned, borrowed),
        (owned, borrowed) => panic!("owned {owned:?}, borrowed {borrowed:?}"),
    }
}

fn view(request: &Request<impl AsRef<str>>) -> [Option<String>; 5] {
    [
        Some(request.method_name().into_owned()),
        request.name().map(Into::into),
        request.uri().map(Into::into),
        request.arguments().map(str::to_owned),
        request.request_state().map(Into::into),
    ]
}

/// Holds a request against its headers and against what `serde_json` reads.
fn agrees(request: &Request, headers: &HeaderMap) {
    assert_eq!(headers[header::METHOD].to_str().map(str::trim).ok(), Some(&*request.method_name()));
    let message: Value = match serde_json::from_str(request.body()) {
        Ok(message) => message,
        Err(error) => return assert!(error.to_string().starts_with("number out of range"), "{error}"),
    };
    let params = &message["params"];
    assert_eq!(message["method"], json!(request.method_name()));
    assert_eq!(params["name"].as_str(), request.name().as_deref());
    assert_eq!(params["uri"].as_str(), request.uri().as_deref());
    assert_eq!(params["requestState"].as_str(), request.request_state().as_deref());
    let arguments = request.arguments().map(|raw| serde_json::from_str::<Value>(raw).expect("a slice is JSON"));
    assert_eq!(params.get("arguments"), arguments.as_ref());
}
