//! `anypod demo`: one pod of the demo server.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anypod_proto::code::Code;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// The flags of `anypod demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// The loopback port to listen on; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The key ring that all pods share.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// End when standard input closes, as it does when the parent process ends, however it ends.
    #[arg(long)]
    exit_with_parent: bool,
}

/// Serves until the parent goes away.
///
/// # Errors
///
/// When the port cannot be listened on.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await?;
    tokio::select! {
        served = serve(listener) => served,
        () = parent_gone(), if args.exit_with_parent => Ok(()),
    }
}

async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let http = hyper::server::conn::http1::Builder::new();
        connections.spawn(http.serve_connection(TokioIo::new(stream), service_fn(answer)));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let error = serde_json::json!({
        "jsonrpc": "2.0",
        "error": {
            "code": Code::InternalError.number(),
            "message": "the demo server is not part of this build",
        },
    });
    let (status, body) = match request.uri().path() {
        "/healthz" | "/readyz" => (StatusCode::OK, String::new()),
        _ => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// Waits for the end of standard input. What is written there is of no interest.
async fn parent_gone() {
    let mut stdin = tokio::io::stdin();
    let mut ignored = [0; 64];
    while !matches!(stdin.read(&mut ignored).await, Ok(0) | Err(_)) {}
}
