//! Bodies within bounds, and those of services in this process.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Frame;
use http_body_util::Full;
use hyper::service::service_fn;

use super::post;
use super::server::{Running, text};
use crate::error::{Broken, Error};
use crate::http::{Body, Connection, Turn};

/// A body of these pieces, of which nobody knows the length.
pub(super) fn pieces(
    pieces: &'static [&'static str],
) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static {
    Pieces(pieces.iter())
}

struct Pieces(std::slice::Iter<'static, &'static str>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}

fn too_much(limit: usize) -> Broken {
    Broken::TooMuch { what: "bytes in a body", limit }
}

#[tokio::test]
async fn what_comes_in_one_piece_is_not_copied() {
    let whole = Bytes::from_static(b"abc");
    let same = Body::boxed(Full::new(whole.clone())).whole(3).await.unwrap();
    assert_eq!(same.as_ptr(), whole.as_ptr());
}

#[tokio::test]
async fn pieces_are_put_together_up_to_the_bound() {
    assert_eq!(Body::boxed(pieces(&["ab", "cd", "e"])).whole(5).await.unwrap(), "abcde");
    assert_eq!(Body::boxed(pieces(&[])).whole(0).await.unwrap(), "");
    for limit in 0..5 {
        let error = Body::boxed(pieces(&["ab", "cd", "e"])).whole(limit).await.unwrap_err();
        assert!(matches!(error, Error::Broken(broken) if broken == too_much(limit)));
    }
}

#[tokio::test]
async fn an_announced_length_beyond_the_bound_is_refused_unread() {
    let server = Running::http1(|_| async { text("12345") }).await;
    let peer = super::Peer::plain(&server.url("http"));
    let response = peer.send("", Turn::Waits).await.unwrap();
    let error = response.into_body().whole(4).await.unwrap_err();
    assert!(matches!(error, Error::Broken(broken) if broken == too_much(4)));
}

#[tokio::test]
async fn the_beginning_of_a_body_is_all_that_is_read_of_it() {
    assert_eq!(Body::boxed(pieces(&["ab", "cd", "e"])).beginning(3).await, b"abc");
    assert_eq!(Body::boxed(pieces(&["ab"])).beginning(3).await, b"ab");
}

#[tokio::test]
async fn a_body_that_breaks_is_lost() {
    let error = Body::boxed(Failing).whole(9).await.unwrap_err();
    assert!(matches!(error, Error::Lost { source } if source.to_string() == "broke"));
}

struct Failing;

impl http_body::Body for Failing {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        std::task::Poll::Ready(Some(Err("broke")))
    }
}

#[tokio::test]
async fn a_service_in_this_process_answers_as_a_server_would() {
    let service = service_fn(|request: Request<Full<Bytes>>| async move {
        let path = request.uri().path().to_owned();
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(path))))
    });
    let connection = Connection::service(Tower(Arc::new(service)));
    let uri = Uri::from_static("http://localhost/mcp");
    let response = connection.send(post(&uri, "{}"), Turn::Waits).await.unwrap();
    assert_eq!(response.into_body().whole(9).await.unwrap(), "/mcp");
}

/// A service of hyper as one of tower.
#[derive(Clone)]
struct Tower<S>(Arc<S>);

impl<S: hyper::service::Service<R>, R> tower_service::Service<R> for Tower<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}
