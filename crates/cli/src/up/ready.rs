//! Whether a pod that has been started answers yet.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The longest head of an answer, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// What counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// 200 on `/readyz`, as every anypod server gives.
    Ready,
    /// Any answer but 503: a server of someone else need not know `/readyz`.
    Anything,
}

/// Resolves when the pod is ready; a pod that never is has to be given up from outside.
pub(super) async fn ready(pod: SocketAddr, wanted: Answers) {
    loop {
        if let Ok(Ok(status)) = timeout(PATIENCE, ask(pod)).await
            && wanted.accepts(status)
        {
            return;
        }
        sleep(PAUSE).await;
    }
}

impl Answers {
    fn accepts(self, status: StatusCode) -> bool {
        match self {
            Self::Ready => status == StatusCode::OK,
            Self::Anything => status != StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

async fn ask(pod: SocketAddr) -> anyhow::Result<StatusCode> {
    let stream = TcpStream::connect(pod).await?;
    let (mut sender, connection) =
        http1::Builder::new().max_header_size(HEAD_LIMIT).handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz")
        .header(header::HOST, pod.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    // The connection may end together with the answer that it brings, so its own end decides nothing. It does
    // end once the sender, which moves into the block, is gone.
    let answer = async move { Ok(sender.send_request(request).await?.status()) };
    let (answer, _ended) = tokio::join!(answer, connection);
    answer
}
