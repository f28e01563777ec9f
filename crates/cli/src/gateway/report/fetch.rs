//! The report of one replica, over HTTP.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, bail};
use anypod_gateway::report::{Document, Report};
use bytes::Bytes;
use http::{Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::usage::Usage;

/// How long a replica may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest report that is read, in bytes: a thousand clients need about a tenth of it.
const REPORT_BYTES: usize = 16 << 20;

/// Where a replica says what it has seen.
pub(super) struct Place {
    authority: String,
    path: String,
}

impl Place {
    /// Reads a URL such as `http://10.0.0.7:9090`; the path is `/report` unless it says another.
    ///
    /// # Errors
    /// It is no `http` URL.
    pub(super) fn parse(url: &str) -> Result<Self, Usage> {
        let wrong = || Usage::new(format!("{url} is no admin address: write a URL such as http://10.0.0.7:9090"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        if uri.scheme_str() == Some("https") {
            return Err(Usage::new(format!("{url}: the admin address of a gateway speaks http")));
        }
        let authority =
            uri.authority().filter(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
        let (Some("http"), Some(authority)) = (uri.scheme_str(), authority) else { return Err(wrong()) };
        let path = if uri.path() == "/" { "/report" } else { uri.path() };
        Ok(Self { authority: authority.to_string(), path: path.to_owned() })
    }

    /// Asks for the report.
    ///
    /// # Errors
    /// The replica cannot be reached, is too slow, or answers something else.
    pub(super) async fn report(&self) -> anyhow::Result<Report> {
        let asked = timeout(PATIENCE, self.ask()).await;
        let text = asked.with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))??;
        let document: Document = serde_json::from_slice(&text)
            .context("the answer is no report: is that the admin address of a gateway?")?;
        Ok(document.report)
    }

    async fn ask(&self) -> anyhow::Result<Bytes> {
        let port = self.authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if port { self.authority.clone() } else { format!("{}:80", self.authority) };
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::get(&self.path)
            .header(header::HOST, &self.authority)
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())?;
        // The connection may end together with the answer that it brings, so its own end decides nothing. It does
        // end once the sender, which moves into the block, is gone.
        let answer = async move {
            let answer = sender.send_request(request).await?;
            if answer.status() != StatusCode::OK {
                bail!("it answers {}: is that the admin address of a gateway?", answer.status());
            }
            let body = Limited::new(answer.into_body(), REPORT_BYTES).collect().await;
            Ok(body.map_err(|error| anyhow::anyhow!("the report breaks off: {error}"))?.to_bytes())
        };
        let (answer, _ended) = tokio::join!(answer, connection);
        answer
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use http_body_util::Full;
    use hyper::service::service_fn;
    use tokio::net::TcpListener;

    use super::*;

    /// A listener that answers one request, under any path, with this.
    async fn answering(text: &'static str) -> Place {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = service_fn(|_| async { Ok::<_, hyper::Error>(Response::new(Full::<Bytes>::from(text))) });
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await.unwrap();
        });
        Place::parse(&format!("http://{address}")).unwrap()
    }

    #[tokio::test]
    async fn a_replica_is_asked_over_http() {
        let report = answering(include_str!("tests/report.json")).await.report().await.unwrap();
        assert_eq!((report.clients.len(), report.totals.affinity), (2, 28));
    }

    #[tokio::test]
    async fn an_answer_that_is_no_report_is_an_error_that_says_so() {
        let error = answering("{}").await.report().await.unwrap_err();
        assert!(error.to_string().contains("is that the admin address of a gateway?"), "{error}");
    }

    #[tokio::test]
    async fn a_replica_that_is_not_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = Place::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        drop(listener);
        assert!(place.report().await.is_err());
    }

    #[test]
    fn a_url_without_a_path_means_the_report() {
        for (url, expected) in [
            ("http://10.0.0.7:9090", "http://10.0.0.7:9090/report"),
            ("http://10.0.0.7:9090/", "http://10.0.0.7:9090/report"),
            ("http://[::1]:9090/a/report", "http://[::1]:9090/a/report"),
        ] {
            assert_eq!(Place::parse(url).unwrap().to_string(), expected);
        }
        for wrong in ["", "10.0.0.7:9090", "/report", "https://10.0.0.7:9090", "http://a@b:9090", "ftp://x"] {
            assert!(Place::parse(wrong).is_err(), "{wrong}");
        }
    }
}
