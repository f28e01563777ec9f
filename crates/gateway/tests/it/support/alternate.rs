//! A balancer as plain as can be: each request goes to the replica after that of the request before.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use tower_service::Service;

/// Sends requests to replicas in turn. Clones share the turn.
#[derive(Clone)]
pub(crate) struct Alternate {
    turn: Arc<Mutex<Turn>>,
    network: Client<HttpConnector, Full<Bytes>>,
}

#[derive(Default)]
struct Turn {
    replicas: Vec<SocketAddr>,
    /// How many requests each was sent.
    sent: Vec<usize>,
    next: usize,
}

impl Alternate {
    pub(crate) fn over(replicas: Vec<SocketAddr>) -> Self {
        let sent = vec![0; replicas.len()];
        let network = Client::builder(TokioExecutor::new()).build_http();
        Self { turn: Arc::new(Mutex::new(Turn { replicas, sent, next: 0 })), network }
    }

    /// Other replicas from now on.
    pub(crate) fn replace(&self, replicas: Vec<SocketAddr>) {
        let mut turn = self.turn.lock().unwrap();
        (turn.sent, turn.replicas) = (vec![0; replicas.len()], replicas);
    }

    /// How many requests each replica was sent.
    pub(crate) fn sent(&self) -> Vec<usize> {
        self.turn.lock().unwrap().sent.clone()
    }

    fn take(&self) -> SocketAddr {
        let mut turn = self.turn.lock().unwrap();
        let now = turn.next % turn.replicas.len();
        turn.next = now + 1;
        turn.sent[now] += 1;
        turn.replicas[now]
    }
}

impl Service<Request<Full<Bytes>>> for Alternate {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Self::Future {
        let mut uri = request.uri().clone().into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(Authority::try_from(self.take().to_string()).expect("an address is an authority"));
        *request.uri_mut() = Uri::from_parts(uri).expect("its parts are those of a URI");
        request.headers_mut().remove(HOST);
        Box::pin(self.network.request(request))
    }
}
