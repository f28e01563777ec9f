//! A server of one function: what it is asked, it answers.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower_service::Service;

type Answer = dyn Fn(&HeaderMap, &Value) -> Response<Full<Bytes>> + Send + Sync;

/// A server of one function, which remembers what it was asked.
#[derive(Clone)]
pub(crate) struct Scripted {
    answer: Arc<Answer>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Scripted {
    /// A server that answers every request with this result, or with this error where it is `Err`.
    pub(crate) fn new(answer: impl Fn(&Value) -> Result<Value, Value> + Send + Sync + 'static) -> Self {
        Self::http(move |_, request| {
            let id = &request["id"];
            let (status, body) = match answer(request) {
                Ok(result) => (200, json!({ "jsonrpc": "2.0", "id": id, "result": result })),
                Err(error) => (400, json!({ "jsonrpc": "2.0", "id": id, "error": error })),
            };
            plain(status, "application/json", &body.to_string())
        })
    }

    /// A server that answers in HTTP.
    pub(crate) fn http(answer: impl Fn(&HeaderMap, &Value) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer), asked: Arc::default() }
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    /// The methods of what it was asked.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.asked().iter().map(|request| request["method"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// An answer of this content type.
pub(crate) fn plain(status: u16, kind: &str, body: &str) -> Response<Full<Bytes>> {
    Response::builder().status(status).header("content-type", kind).body(Full::from(body.to_owned())).unwrap()
}

/// An event stream of these messages.
pub(crate) fn events(messages: &[Value]) -> Response<Full<Bytes>> {
    let body: String = messages.iter().map(|message| format!("data: {message}\n\n")).collect();
    plain(200, "text/event-stream", &body)
}

impl Service<Request<Full<Bytes>>> for Scripted {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let (head, mut body) = request.into_parts();
        let mut body = std::pin::pin!(body.frame());
        let Poll::Ready(frame) = body.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) else {
            panic!("a whole body is there at once")
        };
        let bytes = frame.map(|frame| frame.unwrap().into_data().unwrap()).unwrap_or_default();
        let request: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        self.asked.lock().unwrap().push(request.clone());
        ready(Ok((self.answer)(&head.headers, &request)))
    }
}
