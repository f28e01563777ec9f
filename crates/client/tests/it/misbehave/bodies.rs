//! Bodies that are too much, cut off, or of the wrong kind.

use anypod_client::{Broken, Error};
use anypod_testkit::script::Reply;

use super::support::done;

const MEGABYTES_100: u64 = 100 << 20;

calls_end! {
    gives_up_on_a_body_that_is_announced_as_too_long: Reply::result(&done()).padded(MEGABYTES_100)
        => Error::Broken(Broken::TooMuch { what: "bytes in a body", limit: 65_536 }),
    gives_up_on_a_body_that_turns_out_too_long:
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n").bytes("{}").padded(MEGABYTES_100)
        => Error::Broken(Broken::TooMuch { what: "bytes in a body", limit: 65_536 }),
    gives_up_on_a_page_that_has_no_end:
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n").bytes("<p>").padded(u64::MAX / 2)
        => Error::Broken(Broken::TooMuch { what: "bytes in a body", .. } | Broken::ContentType(_)),
    shows_no_more_than_the_beginning_of_an_error_page:
        Reply::text(500, "text/html", format!("<h1>\u{1b}[31mOops</h1>{}", "x".repeat(1 << 20)))
        => Error::Refused { status, excerpt, .. }
            if status.as_u16() == 500 && excerpt.len() <= 200 && !excerpt.contains('\u{1b}'),
    does_not_wait_for_the_end_of_an_error_page: Reply::text(500, "text/html", "x".repeat(1 << 20)).hangs()
        => Error::Refused { .. },
    does_not_know_what_became_of_a_call_whose_answer_was_cut_off: Reply::result(&done()).breaks_off()
        => Error::OutcomeUnknown { .. },
    does_not_take_half_a_chunked_answer_for_a_whole_one:
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"jso\r\n")
        => Error::OutcomeUnknown { .. },
    refuses_a_login_page: Reply::text(200, "text/html; charset=utf-8", "<form action=/login>")
        => Error::Broken(Broken::ContentType(kind)) if kind == "text/html; charset=utf-8",
    refuses_json_under_another_name: Reply::text(200, "text/plain", r#"{"jsonrpc":"2.0","id":2,"result":{}}"#)
        => Error::Broken(Broken::ContentType(_)),
    refuses_an_answer_without_a_type: Reply::empty(200) => Error::Broken(Broken::ContentType(_)),
    refuses_to_be_accepted_instead_of_answered: Reply::empty(202) => Error::Broken(Broken::ContentType(_)),
    refuses_an_empty_answer: Reply::text(200, "application/json", "") => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_what_is_compressed_unasked:
        Reply::text(200, "application/json", &b"\x1f\x8b\x08\0"[..]).header("content-encoding", "gzip")
        => Error::Broken(Broken::ContentEncoding(encoding)) if encoding == "gzip",
    refuses_a_stream_that_is_compressed_unasked:
        Reply::events().header("content-encoding", "br").event_result(&done())
        => Error::Broken(Broken::ContentEncoding(_)),
    refuses_what_is_not_utf_8: Reply::text(200, "application/json", &b"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"\xff\":1}}"[..])
        => Error::Broken(Broken::NotJsonRpc(_) | Broken::Result(_)),
    refuses_what_is_not_json: Reply::text(200, "application/json", "{'jsonrpc': 2}")
        => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_a_result_that_is_nested_too_deep:
        Reply::text(200, "application/json", format!(r#"{{"jsonrpc":"2.0","id":2,"result":{}}}"#, "[".repeat(30_000)))
        => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_structure_that_is_nested_too_deep: |received: &anypod_testkit::script::Received| {
            let (open, close) = ("[".repeat(20_000), "]".repeat(20_000));
            let result = format!(r#"{{"resultType":"complete","content":[],"structuredContent":{open}{close}}}"#);
            Reply::text(200, "application/json", format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, received.id()))
        } => Error::Broken(Broken::Result(_) | Broken::NotJsonRpc(_)),
    refuses_an_error_that_is_nested_too_deep:
        Reply::text(400, "application/json",
            format!(r#"{{"jsonrpc":"2.0","id":2,"error":{{"code":1,"message":"m","data":{}}}}}"#, "[".repeat(30_000)))
        => Error::Refused { .. },
}
