//! A tiny server to run as a pod in the tests of `anypod up`: `pod PORT [KEY_FILE]`. It is no MCP server.
//!
//! `/who` answers the port, `/keys` the key file, `/headers` the request's headers, `/echo` streams the body back, `/ticks` is an
//! event stream and `/slow` a call that both go on when someone asks for `/release`; `/die` ends the process,
//! `/abort` breaks off before it answers.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Answer = BoxBody<Bytes, Error>;

/// How often `/release` has been asked for.
static RELEASED: LazyLock<watch::Sender<u32>> = LazyLock::new(|| watch::channel(0).0);

/// Says on standard output that something was given up, or that it ended.
struct Told(&'static str, bool);

impl Drop for Told {
    fn drop(&mut self) {
        println!("{} {}", self.0, if self.1 { "ended" } else { "given up" });
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: pod PORT")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening");
    std::thread::spawn(|| {
        // The supervisor holds the other end, and closes it at the latest by its own end.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service_fn(move |request| answer(port, request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(port: u16, request: Request<Incoming>) -> Result<Response<Answer>, Error> {
    match request.uri().path() {
        "/who" => Ok(text(port.to_string())),
        "/keys" => Ok(text(std::env::args().nth(2).unwrap_or_default())),
        "/headers" => Ok(text(format!("{:?}", request.headers()))),
        "/echo" => Ok(Response::new(request.into_body().map_err(Into::into).boxed())),
        "/ticks" => Ok(ticks()),
        "/slow" => Ok(slow().await),
        "/release" => {
            RELEASED.send_modify(|times| *times += 1);
            Ok(text("released".to_owned()))
        }
        "/abort" => Err("broken off".into()),
        "/die" => std::process::exit(3),
        path => {
            let mut response = text(format!("there is no {path}"));
            *response.status_mut() = hyper::StatusCode::NOT_FOUND;
            Ok(response)
        }
    }
}

fn text(text: String) -> Response<Answer> {
    Response::new(Full::from(text).map_err(infallible).boxed())
}

fn infallible(never: Infallible) -> Error {
    match never {}
}

/// Waits for the next `/release`.
async fn released(releases: &mut watch::Receiver<u32>) {
    let _ = releases.changed().await;
}

async fn slow() -> Response<Answer> {
    let mut told = Told("slow", false);
    let mut releases = RELEASED.subscribe();
    println!("slow began");
    released(&mut releases).await;
    told.1 = true;
    text("slow done".to_owned())
}

/// One event at once, and one at each `/release`.
fn ticks() -> Response<Answer> {
    let (events, received) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        let _told = Told("ticks", false);
        let mut releases = RELEASED.subscribe();
        loop {
            if events.send(Bytes::from_static(b"data: tick\n\n")).await.is_err() {
                return;
            }
            tokio::select! {
                () = events.closed() => return,
                () = released(&mut releases) => {}
            }
        }
    });
    let body = BodyExt::map_err(Events(received), infallible).boxed();
    let mut response = Response::new(body);
    let stream = header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, stream);
    response
}

struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = ready!(self.0.poll_recv(cx));
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }
}
