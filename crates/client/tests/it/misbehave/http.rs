//! HTTP that is broken, or says no.

use std::time::Duration;

use anypod_client::{Bearer, Broken, Client, Error};
use anypod_testkit::script::Reply;

use super::support::{call, done, limits, misbehaving, misbehaving_towards};

calls_end! {
    does_not_know_what_became_of_a_call_that_nobody_answered: Reply::closes() => Error::OutcomeUnknown { .. },
    refuses_another_protocol: Reply::raw("SSH-2.0-OpenSSH_9.9\r\n") => Error::OutcomeUnknown { .. },
    refuses_a_status_that_is_none: Reply::raw("HTTP/1.1 9999 \r\n\r\n") => Error::OutcomeUnknown { .. },
    refuses_a_head_that_is_cut_off: Reply::raw("HTTP/1.1 200 OK\r\ncontent-ty") => Error::OutcomeUnknown { .. },
    refuses_a_header_that_is_too_long: Reply::result(&done()).header("x-long", vec![b'a'; 1 << 20])
        => Error::Broken(Broken::TooMuch { what: "bytes in a header section", limit: 65_536 }),
    refuses_headers_that_are_too_many:
        (0..1000).fold(Reply::result(&done()), |reply, number| reply.header(&format!("x-{number}"), "a"))
        => Error::Broken(Broken::TooMuch { what: "bytes in a header section", limit: 65_536 }),
    refuses_headers_that_have_no_end: Reply::raw("HTTP/1.1 200 OK\r\n").bytes("a: b\r\n").times(u64::MAX)
        => Error::Broken(Broken::TooMuch { what: "bytes in a header section", limit: 65_536 }),
    says_when_to_come_again: Reply::text(503, "text/plain", "busy").header("retry-after", "7")
        => Error::Refused { retry_after: Some(pause), .. } if *pause == Duration::from_secs(7),
    takes_no_pause_for_one_that_is_out_of_reason:
        Reply::text(503, "text/plain", "busy").header("retry-after", "99999999999999999999")
        => Error::Refused { retry_after: None, .. },
    asks_for_credentials_with_the_challenge_of_the_server:
        Reply::empty(401).header("www-authenticate", r#"Bearer resource_metadata="https://a.example/m""#)
        => Error::Unauthorized(challenge)
            if challenge.www_authenticate == [r#"Bearer resource_metadata="https://a.example/m""#],
    asks_for_credentials_without_a_challenge: Reply::empty(401)
        => Error::Unauthorized(challenge) if challenge.www_authenticate.is_empty(),
    asks_for_more_scope: Reply::empty(403).header("www-authenticate", r#"Bearer error="insufficient_scope""#)
        => Error::Unauthorized(challenge) if challenge.status.as_u16() == 403,
    keeps_no_more_challenges_than_there_can_be:
        (0..50).fold(Reply::empty(401), |reply, _| reply.header("www-authenticate", "Basic"))
            .header("www-authenticate", vec![b'a'; 8192])
        => Error::Unauthorized(challenge) if challenge.www_authenticate.len() == 8,
    takes_a_forbidden_page_for_what_it_is: Reply::text(403, "text/html", "<h1>Forbidden</h1>")
        => Error::Refused { status, .. } if status.as_u16() == 403,
}

#[tokio::test]
async fn asks_for_credentials_no_more_often_than_they_can_help() {
    let client = Client::builder().limits(limits()).credentials(Bearer::new("token").unwrap());
    let (server, client) = misbehaving_towards(client, Reply::empty(401)).await;
    assert!(matches!(call(&client).await, Err(Error::Unauthorized(_))));
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn repeats_what_only_reads_a_few_times_and_then_says_that_it_was_lost() {
    let (server, client) = misbehaving(Reply::closes()).await;
    let error = client.tools_page(None).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    let lists = server.methods().iter().filter(|method| *method == "tools/list").count();
    assert!((2..=6).contains(&lists), "{lists}");
}

#[tokio::test]
async fn takes_up_no_session_from_a_modern_server() {
    let (server, client) = misbehaving(Reply::result(&done()).header("mcp-session-id", "s")).await;
    call(&client).await.unwrap();
    call(&client).await.unwrap();
    assert!(server.received().iter().all(|received| !received.headers.contains_key("mcp-session-id")));
}

#[tokio::test]
async fn an_answer_that_is_followed_by_garbage_is_an_answer() {
    let reply = |received: &anypod_testkit::script::Received| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#, received.id(), done());
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
        Reply::raw(format!("{head} {}\r\n\r\n{body}garbage", body.len()))
    };
    let (_server, client) = misbehaving(reply).await;
    call(&client).await.unwrap();
    call(&client).await.unwrap();
}
