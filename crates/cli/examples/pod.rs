//! A tiny server to run as a pod in the tests of `anypod up`: `pod PORT [KEY_FILE]`. It is no MCP server: whatever it is
//! asked, it answers with the name of the key file.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: pod PORT")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    std::thread::spawn(|| {
        // The supervisor holds the other end, and closes it at the latest by its own end.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    loop {
        let (stream, _) = listener.accept().await?;
        let service = service_fn(async |_: Request<Incoming>| Ok::<_, Infallible>(answer()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn answer() -> Response<Full<Bytes>> {
    Response::new(Full::from(std::env::args().nth(2).unwrap_or_default()))
}
