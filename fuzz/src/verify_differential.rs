//! Requests that stream by: the verifier says what admission says of the whole body, however it is cut.

use anypod_proto::admit::{Admitted, Carrier, Member, admit};
use anypod_proto::code::Code;
use anypod_proto::header;
use anypod_proto::reject::{Refused, Rejection};
use anypod_proto::request::Request;
use anypod_proto::scan::Str;
use anypod_proto::verify::{Verified, Verifier};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;

/// Reads the first three lines of `data` as the headers for version, method and name, where an empty line is no
/// header, the bytes of the fourth as the sizes of pieces, and the rest as the body.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(5, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in [header::PROTOCOL_VERSION, header::METHOD, header::NAME] {
        let line = parts.next().unwrap_or_default();
        if let (false, Ok(value)) = (line.is_empty(), HeaderValue::from_bytes(line)) {
            headers.insert(name, value);
        }
    }
    let sizes: Vec<_> = parts.next().unwrap_or_default().iter().map(|byte| usize::from(*byte % 32) + 1).collect();
    let body = parts.next().unwrap_or_default();
    for sizes in [&sizes[..], &[1], &[usize::MAX]] {
        agrees(&headers, body, sizes);
    }
}

/// Holds the verifier against admission, for a body in pieces of these sizes, again and again.
pub fn agrees(headers: &HeaderMap, body: &[u8], sizes: &[usize]) {
    let admitted = admit(Carrier::Http(headers), body.to_vec(), |_| None);
    let Ok(verifier) = Verifier::new(headers) else {
        return assert!(!matches!(admitted, Ok(Admitted::Request(_))), "takes no such header: {headers:?}");
    };
    match (admitted, verify(verifier, body, sizes)) {
        (Ok(Admitted::Request(request)), Ok(verified)) => same(&request, &verified),
        (Ok(Admitted::Notice(_)), Err(refused)) => assert_eq!(refused.rejection.code(), Code::InvalidRequest),
        (Err(whole), Err(pieces)) => same_refusal(body, &whole, &pieces),
        (whole, pieces) => panic!("whole {whole:?}, in pieces {pieces:?}"),
    }
}

/// Verifies a body, and holds the verifier to what it may pass on before the end.
fn verify(mut verifier: Verifier, body: &[u8], sizes: &[usize]) -> Result<Verified, Refused> {
    let mut passed = Vec::new();
    let verified = push(&mut verifier, body, sizes, &mut passed).and_then(|()| verifier.finish());
    assert!(body.starts_with(&passed), "passes on other bytes than came");
    match &verified {
        Ok(_) => assert_eq!(passed.len() + 1, body.trim_ascii_end().len(), "the last byte waits, and nothing else"),
        Err(_) => assert!(serde_json::from_slice::<Value>(&passed).is_err(), "passes on a whole message"),
    }
    verified
}

fn push(verifier: &mut Verifier, body: &[u8], sizes: &[usize], passed: &mut Vec<u8>) -> Result<(), Refused> {
    let (mut rest, mut sizes) = (body, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(usize::MAX).min(rest.len());
        let (piece, after) = rest.split_at(size);
        passed.extend_from_slice(&piece[..verifier.push(piece)?]);
        rest = after;
    }
    Ok(())
}

fn same(request: &Request, verified: &Verified) {
    assert_eq!(verified.id(), request.id());
    assert_eq!((verified.method(), verified.version()), (request.method(), request.version()));
    assert_eq!(verified.method_name(), request.method_name());
    assert_eq!((verified.name(), verified.uri()), (request.name(), request.uri()));
    assert_eq!(verified.log_level(), request.log_level());
    assert_eq!(verified.progress_token(), request.progress_token());
    assert_eq!(verified.client_info(), request.client_info().filter(|text| text.len() <= 8192));
    for (kept, whole) in verified.trace_fields().into_iter().zip(request.trace_fields()) {
        assert!(kept == whole || kept.is_none() && whole.is_some_and(|text| text.is_empty() || text.len() > 1000));
    }
    let raw = |member| verified.at(member).map(|at| &request.body()[at]);
    assert_eq!(raw(Member::Id), Some(request.id()));
    assert_eq!(raw(Member::Params).unwrap_or("{}"), request.params());
    assert_eq!(raw(Member::Arguments), request.arguments());
    assert_eq!(raw(Member::InputResponses), request.input_responses());
    assert_eq!(raw(Member::ClientCapabilities), request.client_capabilities());
    for (member, value) in [
        (Member::Name, request.name()),
        (Member::Uri, request.uri()),
        (Member::Cursor, request.cursor()),
        (Member::RequestState, request.request_state()),
    ] {
        assert_eq!(raw(member).map(|raw| Str::parse(raw).expect("a string").decode()), value);
    }
}

fn same_refusal(body: &[u8], whole: &Refused, pieces: &Refused) {
    assert_eq!(whole.rejection.status(), pieces.rejection.status());
    // Of a batch no more is read than that it is one; and of two things that are wrong with a text, the first is told.
    let is_batch = body.trim_ascii_start().starts_with(b"[");
    let is_text = matches!((&whole.rejection, &pieces.rejection), (Rejection::NotUtf8(_), Rejection::NotJson(_)));
    if !is_batch && !is_text {
        assert_eq!(whole, pieces);
    }
}
