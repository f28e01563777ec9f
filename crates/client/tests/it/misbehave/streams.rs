//! Event streams that are too much, break off, or say what they must not.

use anypod_client::{Broken, Error};
use anypod_testkit::script::Reply;

use super::support::{call, done, misbehaving, notice};

const MEGABYTES_100: u64 = 100 << 20;

calls_end! {
    gives_up_on_a_line_that_is_too_long: Reply::events().event_result(&done()).padded(MEGABYTES_100)
        => Error::Broken(Broken::TooMuch { limit: 65_536, .. }),
    gives_up_on_a_line_that_never_ends: Reply::events().bytes("data: ").bytes("x".repeat(1000)).times(u64::MAX)
        => Error::Broken(Broken::TooMuch { limit: 65_536, .. }),
    gives_up_on_a_comment_that_never_ends: Reply::events().bytes(": ").bytes("x".repeat(1000)).times(u64::MAX)
        => Error::Broken(Broken::TooMuch { limit: 65_536, .. }),
    gives_up_on_an_event_whose_lines_never_end: Reply::events().bytes(format!("data: {}\n", "x".repeat(1000))).times(u64::MAX)
        => Error::Broken(Broken::TooMuch { limit: 65_536, .. }),
    gives_up_on_an_event_id_that_is_too_long: Reply::events().bytes(format!("id: {}\n\n", "9".repeat(5000)))
        => Error::Broken(Broken::TooMuch { .. }),
    gives_up_on_a_flood_of_notifications: Reply::events().event(&notice()).times(u64::MAX)
        => Error::Broken(Broken::TooMuch { limit: 100, .. }),
    does_not_know_what_became_of_a_call_whose_stream_broke_in_an_event:
        Reply::events().event(&notice()).event_result(&done()).breaks_off() => Error::OutcomeUnknown { .. },
    does_not_know_what_became_of_a_call_whose_stream_ended_early: Reply::events().event(&notice())
        => Error::OutcomeUnknown { .. },
    does_not_know_what_became_of_a_call_whose_stream_was_empty: Reply::events() => Error::OutcomeUnknown { .. },
    does_not_take_an_event_that_no_blank_line_ends: Reply::events().bytes("data: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n")
        => Error::OutcomeUnknown { .. },
    refuses_a_line_that_is_not_utf_8: Reply::events().bytes(&b"data: \xff\n\n"[..])
        => Error::Broken(Broken::NotJsonRpc(_)),
    refuses_an_event_that_is_not_json: Reply::events().bytes("data: hello\n\n") => Error::Broken(Broken::NotJsonRpc(_)),
    passes_on_an_error_at_the_end_of_a_stream: Reply::events().event(&notice()).event_error(17, "out of stock")
        => Error::Answered(error) if error.code == 17,
}

#[tokio::test]
async fn takes_the_first_of_two_answers() {
    let mut second = done();
    second["content"] = 5.into();
    let (_server, client) = misbehaving(Reply::events().event_result(&done()).event_result(&second)).await;
    call(&client).await.unwrap();
    call(&client).await.unwrap();
}

#[tokio::test]
async fn does_not_resume_what_cannot_be_resumed() {
    let reply = Reply::events().bytes("id: 5\nretry: 1\ndata:\n\n").event_result(&done()).breaks_off();
    let (server, client) = misbehaving(reply).await;
    let error = client.tools_page(None).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert!(server.received().iter().all(|received| received.verb == http::Method::POST));
    assert!(server.received().iter().all(|received| !received.headers.contains_key("last-event-id")));
}
