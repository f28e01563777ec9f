//! The verifier of requests that stream by, against admission of the whole.

use anypod_proto::admit::{Carrier, Member, admit};
use anypod_proto::header::{self, encode_value};
use anypod_proto::meta;
use anypod_proto::reject::{Refused, Rejection};
use anypod_proto::verify::{MAX_KEPT, Verified, Verifier};
use http::{HeaderMap, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::json::{Speller, json as any_json, spelled};
use crate::smoke::verify_differential::agrees;

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn headers(method: &str, name: Option<&str>) -> HeaderMap {
    let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).expect("a header value");
    let mut headers = HeaderMap::new();
    headers.insert(header::PROTOCOL_VERSION, value("2026-07-28"));
    headers.insert(header::METHOD, value(method));
    if let Some(name) = name {
        headers.insert(header::NAME, value(&encode_value(name)));
    }
    headers
}

fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#)
}

fn verify<'b>(headers: &HeaderMap, pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<Verified, Refused> {
    let mut verifier = Verifier::new(headers).expect("a modern header");
    pieces.into_iter().try_for_each(|piece| verifier.push(piece).map(drop))?;
    verifier.finish()
}

/// Bodies that someone might read otherwise, around a call of `echo`.
fn nasty() -> Vec<Vec<u8>> {
    let deep = |levels: usize| format!("{}0{}", "[".repeat(levels), "]".repeat(levels));
    let whole = call(&format!(r#""name":"echo",{META}"#));
    let texts = [
        whole.clone(),
        // The same member, once more, in every object that counts.
        call(&format!(r#""name":"other","name":"echo",{META}"#)),
        call(&format!(r#""name":"echo",{META},"name":"other""#)),
        call(&format!(r#""name":"echo","\u006eame":"other",{META}"#)),
        call(&format!(r#""n\u0061\u006D\u0065":"echo",{META}"#)),
        call(&format!(r#""name":"echo",{META},{META}"#)),
        call(&format!(r#""name":"echo","_meta":{{}},"\u005fmeta":{{}},{META}"#)),
        format!(r#"{{"params":{{"name":"other"}},{}"#, &whole[1..]),
        format!(r#"{{"method":"tools/list",{}"#, &whole[1..]),
        format!(r#"{{"id":2,{}"#, &whole[1..]),
        format!(r#"{{"jsonrpc":"2.0",{}"#, &whole[1..]),
        format!(r#"{{"jsonrpc":"1.0",{}"#, &whole[1..]),
        format!(r#"{{"result":{{}},{}"#, &whole[1..]),
        format!(r#"{{"error":{{}},{}"#, &whole[1..]),
        // Look-alikes where nothing counts.
        call(&format!(
            r#""arguments":{{"name":"other","params":{{"name":"other"}},"id":3,{META}}},"name":"echo",{META}"#
        )),
        call(&format!(r#""arguments":{{"x":"\",\"name\":\"other\",\"y\":\""}},"name":"echo",{META}"#)),
        call(&format!(r#""x":[{{"name":"echo"}}],"name":"other",{META}"#)),
        format!(r#"{{"x":{whole},"params":{{"name":"other",{META}}},"id":1,"jsonrpc":"2.0","method":"tools/call"}}"#),
        // Spelled otherwise.
        call(&format!(r#""name":"\u0065cho",{META}"#)),
        call(&format!(r#""name":"ech\u006f\ud83d\ude00",{META}"#)),
        whole.replace("tools/call", r"tools\/call"),
        whole.replace("2026-07-28", r"\u0032026-07-28"),
        whole.replace(r#""2.0""#, r#""\u0032.\u0030""#),
        whole.replace(":1,", ":\"a \\u00e9 \\\" b\" , "),
        format!(" \t\r\n{whole}\n \r\t"),
        // Of the wrong kind.
        call(&format!(r#""name":["echo"],{META}"#)),
        call(&format!(r#""name":null,"arguments":[],{META}"#)),
        call(&format!(r#""name":"echo","cursor":1,"requestState":{{}},"inputResponses":"",{META}"#)),
        call(r#""name":"echo","_meta":[]"#),
        call(r#""name":"echo""#),
        call(&META.replace(r#""_meta":{"#, r#""name":"echo","_meta":{"progressToken":1.5,"#)),
        call(&META.replace(r#""_meta":{"#, r#""name":"echo","_meta":{"io.modelcontextprotocol/logLevel":"loud","#)),
        call(&META.replace("{}", "[]")),
        call(&META.replace(r#""2026-07-28""#, "20260728")),
        call(&META.replace("2026-07-28", "2025-11-25")),
        call(&META.replace("2026-07-28", "2099-01-01")),
        whole.replace(r#""id":1,"#, ""),
        whole.replace(r#""id":1"#, r#""id":null"#),
        whole.replace(r#""id":1"#, r#""id":1.0"#),
        whole.replace(r#""id":1"#, r#""id":99999999999999999999"#),
        whole.replace(r#""method":"tools/call""#, r#""method":7"#),
        whole.replace(r#""method":"tools/call","#, ""),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#.to_owned(),
        // No JSON, or not only.
        format!("{whole}{whole}"),
        format!("{whole} x"),
        format!("{whole}}}"),
        format!("\u{feff}{whole}"),
        format!("{whole}\0"),
        whole.replace("echo", "ec\0ho"),
        whole.replace("echo", r"ec\u0000ho"),
        whole.replace("echo", r"\ud800"),
        whole.replace("echo", r"\udc00\ud800"),
        call(&format!(r#""arguments":{{"\ud83d":1}},"name":"echo",{META}"#)),
        call(&format!(r#""arguments":{{"a":"\ud83d\u0041"}},"name":"echo",{META}"#)),
        call(&format!(r#""arguments":{{"a":'b'}},"name":"echo",{META}"#)),
        call(&format!(r#""arguments":{{"a":NaN}},"name":"echo",{META}"#)),
        call(&format!(r#""arguments":{{"a":1,}},"name":"echo",{META}"#)),
        call(&format!(r#""arguments":{{a:1}},"name":"echo",{META}"#)),
        call(&format!(r#""arguments":{{/**/}},"name":"echo",{META}"#)),
        // As deep as may be, and one more: three containers are around the arguments.
        call(&format!(r#""arguments":{{"a":{}}},"name":"echo",{META}"#, deep(124))),
        call(&format!(r#""arguments":{{"a":{}}},"name":"echo",{META}"#, deep(125))),
        call(&format!(r#""x":{},"name":"echo",{META}"#, deep(100_000))),
        // No object.
        String::new(),
        " ".to_owned(),
        "null".to_owned(),
        "17".to_owned(),
        "1.".to_owned(),
        "\"{}\"".to_owned(),
        "[]".to_owned(),
        "[1".to_owned(),
        format!("[{whole}]"),
        format!("[{}]", vec!["1"; 65].join(",")),
    ];
    let escapes =
        [r"\x", r"\u12", r"\ug000", r"\ud83dxude00", r"\ud83d\xde00", r"\ud83d\ude0g", r"\ud83d\ud83d", r"\ud83d"];
    let escapes = escapes.iter().map(|escape| call(&format!(r#""arguments":{{"a":"{escape}"}},"name":"echo",{META}"#)));
    let numbers =
        ["0", "-0", "0.0", "1E+2", "1e-2", "-1.5e10", "01", "-", "+1", "1.", ".1", "1e", "1e+", "0x1", "1_0", "00"];
    let numbers = numbers.iter().map(|number| call(&format!(r#""arguments":{{"n":{number}}},"name":"echo",{META}"#)));
    let mut bodies: Vec<_> = texts.into_iter().chain(escapes).chain(numbers).map(String::into_bytes).collect();
    for bytes in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xe2\x82", b"\xf4\x90\x80\x80", b"\xc0\xaf"] {
        let at = whole.find("echo").expect("it is there");
        bodies.push([&whole.as_bytes()[..at], bytes, &whole.as_bytes()[at..]].concat());
        bodies.push([whole.as_bytes(), bytes].concat());
    }
    for at in 0..whole.len() {
        bodies.push(whole.as_bytes()[..at].to_vec());
    }
    bodies
}

fn nasty_headers() -> Vec<HeaderMap> {
    let value = |text: &'static str| HeaderValue::from_static(text);
    let good = headers("tools/call", Some("echo"));
    let with = |name: &http::HeaderName, text: &'static str| {
        let mut headers = good.clone();
        headers.insert(name, value(text));
        headers
    };
    let mut twice = good.clone();
    twice.append(header::NAME, value("other"));
    let mut nameless = good.clone();
    nameless.remove(header::NAME);
    let mut methodless = good.clone();
    methodless.remove(header::METHOD);
    vec![
        with(&header::NAME, "=?base64?ZWNobw==?="),
        with(&header::NAME, "=?base64?ZWNobw?="),
        with(&header::NAME, "Echo"),
        with(&header::NAME, "other"),
        with(&header::METHOD, "tools/list"),
        with(&header::METHOD, "Tools/Call"),
        with(&header::PROTOCOL_VERSION, "2025-11-25"),
        with(&header::PROTOCOL_VERSION, "2099-01-01"),
        headers("tools/call", Some("echo😀")),
        headers("tools/call", Some("")),
        HeaderMap::new(),
        twice,
        nameless,
        methodless,
        good,
    ]
}

#[test]
fn says_of_nasty_bodies_what_admission_says() {
    for headers in nasty_headers() {
        for body in nasty() {
            agrees(&headers, &body, &[usize::MAX]);
            agrees(&headers, &body, &[13, 1, 64]);
        }
    }
}

#[test]
fn it_makes_no_difference_where_a_body_is_cut() {
    let headers = headers("tools/call", Some("echo"));
    for body in nasty().iter().filter(|body| body.len() < 2000) {
        for size in [1, 2, 3, 5] {
            agrees(&headers, body, &[size]);
        }
    }
    for body in nasty().iter().take(30) {
        for at in 1..body.len() {
            agrees(&headers, body, &[at, usize::MAX]);
        }
    }
}

#[test]
fn what_counts_may_come_after_four_megabytes() {
    let long = "lorem ipsum \\n dolor é ".repeat(200_000);
    for name in ["echo", "other"] {
        for header in ["echo", "other"] {
            let body = call(&format!(r#""arguments":{{"name":"echo","text":"{long}"}},{META},"\u006eame":"{name}""#));
            assert!(body.len() > 4 << 20);
            let verified = verify(&headers("tools/call", Some(header)), body.as_bytes().chunks(16 << 10));
            match verified {
                Ok(verified) => assert_eq!((name, verified.name().as_deref()), (header, Some(name))),
                Err(refused) => {
                    assert_ne!(name, header);
                    assert!(matches!(refused.rejection, Rejection::HeaderMismatch { .. }), "{refused:?}");
                    assert_eq!(refused.id.as_deref(), Some("1"));
                }
            }
        }
    }
}

#[test]
fn what_is_compared_has_a_bound_and_nothing_else_has_one() {
    let name = "n".repeat(MAX_KEPT);
    let body = call(&format!(r#""name":"{name}",{META}"#));
    for size in [1000, usize::MAX] {
        let refused = verify(&headers("tools/call", Some(&name)), body.as_bytes().chunks(size.min(body.len())));
        let rejection = refused.expect_err("it is too long").rejection;
        assert!(matches!(rejection, Rejection::ParamMalformed { field: "params.name", .. }), "{rejection:?}");
    }
    let (name, long) = ("n".repeat(MAX_KEPT / 2), "\\n".repeat(MAX_KEPT));
    let watched = META.replace(r#""_meta":{"#, &format!(r#""_meta":{{"baggage":"{long}","traceparent":"t","#));
    let body = call(&format!(r#""requestState":"{long}","cursor":"{long}","{long}":1,{watched},"name":"{name}""#));
    let body = body.replace(r#""_meta":{"#, &format!(r#""_meta":{{"{}":{{"name":"{long}"}},"#, meta::CLIENT_INFO));
    for size in [1000, body.len()] {
        let verified = verify(&headers("tools/call", Some(&name)), body.as_bytes().chunks(size)).expect("in order");
        assert_eq!(verified.name().as_deref(), Some(&*name));
        assert_eq!((verified.client_info(), verified.trace_fields()[2].as_deref()), (None, None));
        assert_eq!(verified.trace_fields()[0].as_deref(), Some("t"));
        let place = verified.at(Member::RequestState).expect("a state");
        assert_eq!(&body[place], format!("\"{long}\""));
    }
}

#[test]
fn a_verifier_is_for_modern_headers_only() {
    let mut headers = headers("tools/list", None);
    for version in ["2025-11-25", "2025-03-26", "2099-01-01"] {
        headers.insert(header::PROTOCOL_VERSION, HeaderValue::from_static(version));
        let rejection = Verifier::new(&headers).map(|_| ()).expect_err("not modern");
        assert_eq!(rejection, Rejection::UnsupportedVersion(version.to_owned()));
    }
    headers.remove(header::PROTOCOL_VERSION);
    assert!(matches!(Verifier::new(&headers), Err(Rejection::HeaderMissing { .. })));
}

#[test]
fn a_problem_is_known_before_the_refusal_that_names_the_request() {
    let mut verifier = Verifier::new(&headers("tools/call", Some("echo"))).expect("a modern header");
    assert_eq!(verifier.push(br#"{"params":{"name":"echo""#), Ok(24));
    assert_eq!(verifier.problem(), None);
    assert_eq!(verifier.push(br#","name":"other""#), Ok(15));
    let problem = Rejection::DuplicateMember("params.name");
    assert_eq!(verifier.problem(), Some(&problem));
    let rest = format!(r#",{META}}},"jsonrpc":"2.0","method":"tools/call","id":7}}"#);
    assert_eq!(verifier.push(rest.as_bytes()), Ok(rest.len() - 1));
    let refused = verifier.finish().map(|_| ()).expect_err("refused");
    assert_eq!(refused, Refused { id: Some("7".to_owned()), rejection: problem });
}

#[test]
fn a_body_that_ends_within_a_character_is_no_text() {
    let refused = verify(&headers("tools/list", None), [&b"{\"a\":\"\xc3"[..]]).map(|_| ()).expect_err("cut off");
    assert_eq!(refused.rejection, Rejection::NotUtf8(6));
}

#[test]
fn a_verifier_that_refused_stays_so() {
    let mut verifier = Verifier::new(&headers("tools/list", None)).expect("a modern header");
    let refused = verifier.push(b"{x").expect_err("no JSON");
    assert_eq!(verifier.push(b"\"a\":1}"), Err(refused.clone()));
    assert_eq!(verifier.finish().map(|_| ()), Err(refused));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn says_of_requests_in_any_spelling_what_admission_says(
        (name, header) in (any::<String>(), any::<Option<String>>()),
        (arguments, more) in (any_json(), any_json()),
        seed in any::<u64>(),
        sizes in vec(1..40_usize, 1..6),
        cut in any::<Option<(prop::sample::Index, prop::sample::Index, prop::sample::Index)>>(),
    ) {
        let message = json!({ "jsonrpc": "2.0", "id": name, "method": "tools/call", "x": more, "params": {
            "name": name,
            "arguments": { "a": arguments, "name": more },
            "requestState": "s",
            "_meta": { meta::PROTOCOL_VERSION: "2026-07-28", meta::CLIENT_CAPABILITIES: {}, meta::CLIENT_INFO: { "x": more },
                "progressToken": 7, "traceparent": name, "x": arguments },
        }});
        let mut text = Speller::new(seed).spell(&message);
        if let Some((from, to, at)) = cut {
            // A piece of the message is repeated anywhere in it.
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let [from, to, at] = [from, to, at].map(|index| places[index.index(places.len())]);
            let piece = text[from.min(to)..from.max(to)].to_owned();
            text.insert_str(at, &piece);
        }
        agrees(&headers("tools/call", Some(header.as_ref().unwrap_or(&name))), text.as_bytes(), &sizes);
    }

    #[test]
    fn says_of_any_json_and_of_any_bytes_what_admission_says(
        (_, text) in spelled(any_json()),
        bytes in vec(any::<u8>(), 0..60),
        sizes in vec(1..9_usize, 1..4),
    ) {
        let headers = headers("tools/list", None);
        agrees(&headers, text.as_bytes(), &sizes);
        agrees(&headers, &bytes, &sizes);
        agrees(&headers, &[text.as_bytes(), &bytes].concat(), &sizes);
    }
}

#[test]
fn a_verified_request_is_read_without_its_body() {
    let meta = json!({
        meta::PROTOCOL_VERSION: "2026-07-28", meta::CLIENT_CAPABILITIES: {}, meta::CLIENT_INFO: { "name": "c" },
        meta::LOG_LEVEL: "info", meta::PROGRESS_TOKEN: "p", meta::TRACEPARENT: "tp", meta::TRACESTATE: "ts", meta::BAGGAGE: "b",
    });
    let message = json!({ "jsonrpc": "2.0", "id": "i\n", "method": "resources/read", "params": {
        "uri": "file:///é", "cursor": "c", "requestState": "s", "_meta": meta } });
    let body = message.to_string();
    let headers = headers("resources/read", Some("file:///é"));
    assert!(admit(Carrier::Http(&headers), body.clone().into_bytes(), |_| None).is_ok());
    let verified = verify(&headers, body.as_bytes().chunks(7)).expect("in order");
    let strings = [verified.uri(), verified.log_level(), verified.name()];
    assert_eq!(strings.each_ref().map(Option::as_deref), [Some("file:///é"), Some("info"), None]);
    assert_eq!((verified.id(), &*verified.method_name()), (r#""i\n""#, "resources/read"));
    assert_eq!((verified.progress_token(), verified.client_info()), (Some("\"p\""), Some(r#"{"name":"c"}"#)));
    assert_eq!(verified.trace_fields().each_ref().map(Option::as_deref), [Some("tp"), Some("ts"), Some("b")]);
    let read = |member| verified.at(member).map(|at| serde_json::from_str::<Value>(&body[at]).expect("a value"));
    assert_eq!(read(Member::Cursor), Some(json!("c")));
    assert_eq!(read(Member::RequestState), Some(json!("s")));
    assert_eq!(read(Member::Params), Some(message["params"].clone()));
    assert_eq!(read(Member::Meta), Some(message["params"]["_meta"].clone()));
    assert_eq!(read(Member::Arguments), None);
}
