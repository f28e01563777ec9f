//! Redirects: followed within the origin, with method and body, and no further.

use anypod_client::{Bearer, Broken, Client, Error};
use anypod_testkit::script::{Expect, Received, Reply, Script};

use super::support::{call, done, limits, misbehaving, misbehaving_towards};

calls_end! {
    refuses_a_redirect_that_would_change_the_method_301: Reply::redirect(301, "/other") => Error::Broken(Broken::Redirect(_)),
    refuses_a_redirect_that_would_change_the_method_302: Reply::redirect(302, "/other") => Error::Broken(Broken::Redirect(_)),
    refuses_a_redirect_that_would_change_the_method_303: Reply::redirect(303, "/other") => Error::Broken(Broken::Redirect(_)),
    refuses_a_redirect_to_nowhere: Reply::empty(307) => Error::Broken(Broken::Redirect(_)),
    refuses_a_redirect_to_what_is_no_url: Reply::redirect(307, "http://[") => Error::Broken(Broken::Redirect(_)),
    refuses_a_redirect_to_another_scheme: Reply::redirect(308, "file:///etc/passwd") => Error::Broken(Broken::Redirect(_)),
    refuses_a_redirect_to_a_host_in_disguise: Reply::redirect(307, "//example.com/mcp") => Error::Broken(Broken::Redirect(_)),
    refuses_a_redirect_that_is_too_long_to_show: Reply::redirect(307, &format!("http://a/{}", "a".repeat(4000)))
        => Error::Broken(Broken::Redirect(target)) if target.len() <= 200,
}

#[tokio::test]
async fn takes_neither_arguments_nor_credentials_to_another_origin() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Script::new().always(Expect::any(), Reply::result(&done())).serve().await.unwrap();
        let client = Client::builder().limits(limits()).credentials(Bearer::new("token").unwrap());
        let (_server, client) = misbehaving_towards(client, Reply::redirect(status, &elsewhere.url())).await;
        let error = call(&client).await.unwrap_err();
        assert!(matches!(error, Error::Broken(Broken::Redirect(_))), "{status}: {error:?}");
        assert!(elsewhere.received().is_empty(), "{status}");
    }
}

#[tokio::test]
async fn follows_within_the_origin_with_method_and_body() {
    for status in [307, 308] {
        let client = Client::builder().limits(limits());
        let (server, client) = misbehaving_towards(client, move |received: &Received| match received.path.as_str() {
            "/mcp" => Reply::redirect(status, "/v2/mcp"),
            _ => Reply::result(&done()),
        })
        .await;
        call(&client).await.unwrap();
        let received = server.received();
        assert_eq!(received[1].body, received[2].body);
        assert_eq!((received[2].verb.as_str(), received[2].path.as_str()), ("POST", "/v2/mcp"));
        assert_eq!(received.len(), 3);
    }
}

#[tokio::test]
async fn gives_up_on_redirects_that_go_round() {
    let (server, client) = misbehaving(Reply::redirect(307, "/mcp")).await;
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::TooMuch { what: "redirects", limit: 3 })), "{error:?}");
    assert_eq!(server.received().len(), 1 + 4);
}

#[tokio::test]
async fn stays_on_its_host_behind_a_backslash() {
    let (server, client) = misbehaving(Reply::redirect(307, "/\\example.com/mcp")).await;
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::Redirect(_) | Broken::TooMuch { .. })), "{error:?}");
    let host = server.url().replace("http://", "").replace("/mcp", "");
    assert!(server.received().iter().all(|received| received.header("host") == Some(&host)));
}
