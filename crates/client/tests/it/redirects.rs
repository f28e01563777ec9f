//! Redirects: kept within the origin, and only those that keep method and body.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use anypod_client::proto::version::Era;
use anypod_client::{Bearer, Broken, Client, Error};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;

use crate::scripted::plain;

/// From a path to a status and a location; `None` for where the answer is.
type On = dyn Fn(&str) -> Option<(u16, String)> + Send + Sync;

/// A server that sends requests on, and remembers where it was asked.
#[derive(Clone)]
struct Sends {
    on: Arc<On>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Sends {
    fn new(on: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        Self { on: Arc::new(on), asked: Arc::default() }
    }

    /// Everything goes from `/mcp` to `location`, and is answered there.
    fn to(status: u16, location: &str) -> Self {
        let location = location.to_owned();
        Self::new(move |path| (path == "/mcp").then(|| (status, location.clone())))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn client(&self) -> Client {
        Client::builder().era(Era::Modern).credentials(Bearer::new("secret").unwrap()).service(self.clone())
    }
}

impl tower_service::Service<Request<Full<Bytes>>> for Sends {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        assert_eq!(request.headers()["authorization"], "Bearer secret");
        assert_eq!(request.method(), http::Method::POST);
        self.asked.lock().unwrap().push(request.uri().to_string());
        let size = http_body::Body::size_hint(request.body()).lower();
        assert!(size > 0, "the body goes with it");
        ready(Ok(match (self.on)(request.uri().path()) {
            Some((status, location)) => {
                let mut sent_on = plain(status, "text/plain", "");
                sent_on.headers_mut().insert("location", location.parse().unwrap());
                sent_on
            }
            None => plain(400, "application/json", r#"{"jsonrpc":"2.0","error":{"code":-32602,"message":"here"}}"#),
        }))
    }
}

#[tokio::test]
async fn redirects_within_the_origin_are_followed_and_those_for_good_remembered() {
    for location in ["/other?x=1", "http://localhost/other?x=1", "http://LOCALHOST:80/other?x=1"] {
        for (status, asked) in [(307, 4), (308, 3)] {
            let server = Sends::to(status, location);
            let client = server.client();
            for _ in 0..2 {
                let error = client.call("t", ()).await.unwrap_err();
                assert!(matches!(error, Error::Answered(_)), "{location}: {error}");
            }
            assert_eq!(server.asked().len(), asked, "{status} {location}");
            assert!(server.asked()[1].ends_with("/other?x=1"));
        }
    }
}

#[tokio::test]
async fn nothing_is_sent_to_another_origin() {
    let others = [
        "http://evil.example/mcp",
        "https://localhost/mcp",
        "http://localhost:8080/mcp",
        "//evil.example/mcp",
        "http://localhost.evil.example/mcp",
        "http://localhost@evil.example/mcp",
        "file:///etc/passwd",
        "elsewhere",
        "",
        "/\u{7f}",
    ];
    for location in others {
        for status in [307, 308] {
            let Ok(_) = http::HeaderValue::from_str(location) else { continue };
            let server = Sends::to(status, location);
            let error = server.client().call("t", ()).await.unwrap_err();
            assert!(matches!(error, Error::Broken(Broken::Redirect(_))), "{location}: {error}");
            assert_eq!(server.asked().len(), 1, "{location}");
        }
    }
}

#[tokio::test]
async fn redirects_that_may_change_the_method_are_errors() {
    for status in [300, 301, 302, 303, 305] {
        let server = Sends::to(status, "/other");
        let error = server.client().call("t", ()).await.unwrap_err();
        assert!(matches!(error, Error::Broken(Broken::Redirect(_))), "{status}: {error}");
        assert_eq!(server.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server = Sends::new(|path| Some((307, if path == "/a" { "/b" } else { "/a" }.to_owned())));
    let error = server.client().call("t", ()).await.unwrap_err();
    assert!(matches!(error, Error::Broken(Broken::TooMuch { limit: 3, .. })), "{error}");
    assert_eq!(server.asked().len(), 4);
}
