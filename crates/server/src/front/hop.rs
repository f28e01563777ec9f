//! The one hop that an answer or an event may take: from the pod that it reached to the pod that it matters to.
//!
//! What is passed on travels as it is, beside a seal over its digest and its target, which opens for half a minute
//! and only where the ring is. Whom to call comes out of a sealed id of our own, never from a client; a hop
//! is delivered or refused, and never passed on.

use std::net::{Ipv6Addr, SocketAddrV4};
use std::time::Duration;

use anypod_proto::header::{self, Found, Headers};
use anypod_proto::seal::{Purpose, digest};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::deliver::Undelivered;
use super::questions::read_outcome;
use crate::bus::Event;
use crate::http::{Body, empty};
use crate::server::Server;
use crate::tokens::Binding;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.anypod.hop");
/// How long a hop may take, from connecting to its answer. Pods are neighbours.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long a seal opens, in seconds: the deadline, and clocks that differ.
const TTL_SECS: u64 = 30;
/// Hops under way at once, of answers and of events each.
pub(super) const MAX_HOPS: usize = 256;

/// Where a pod is reached: an `http` URL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Holder {
    text: String,
    uri: Uri,
    /// Read once, as every request of a session asks for it.
    address: Option<SocketAddrV4>,
}

impl Holder {
    /// An absolute `http` URL; pods reach each other without TLS of their own.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        let literal = host.strip_prefix('[').map(|host| host.trim_end_matches(']').parse::<Ipv6Addr>());
        let sound = uri.scheme_str() == Some("http") && !matches!(literal, Some(Err(_)));
        let address = host.parse().ok().map(|host| SocketAddrV4::new(host, uri.port_u16().unwrap_or(80)));
        sound.then(|| Self { text: text.to_owned(), uri, address })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The address, where it is one of IPv4 and not a name.
    pub(crate) const fn address(&self) -> Option<SocketAddrV4> {
        self.address
    }

    /// The same path on another pod.
    pub(crate) fn at(&self, address: SocketAddrV4) -> Option<Self> {
        Self::parse(&format!("http://{address}{}", self.uri.path()))
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let host = self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        TcpStream::connect((host, self.uri.port_u16().unwrap_or(80))).await
    }
}

/// The call that an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) pod: u64,
    pub(crate) session: u64,
    pub(crate) number: u64,
}

impl Target {
    fn encode(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (part, value) in bytes.chunks_exact_mut(8).zip([self.pod, self.session, self.number]) {
            part.copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let (pod, rest) = payload.split_first_chunk()?;
        let (session, rest) = rest.split_first_chunk()?;
        let [pod, session, number] = [*pod, *session, rest.try_into().ok()?].map(u64::from_be_bytes);
        Some(Self { pod, session, number })
    }
}

/// Whether a request is a hop of another pod. Pods have no `Origin`; what has one is checked like the rest.
pub fn is_hop(method: &Method, headers: &dyn Headers) -> bool {
    let declared = headers.find(&CONTENT_TYPE) == Found::One(MEDIA_TYPE.as_bytes());
    *method == Method::POST && declared && headers.find(&ORIGIN) == Found::Nothing
}

/// Passes an answer to the pod that waits for it.
pub(crate) async fn send(server: &Server, holder: &Holder, to: Target, answer: String) -> Result<(), Undelivered> {
    let _place = server.inner.front.hops.try_acquire().map_err(|_| Undelivered::Busy)?;
    carry(server, holder, &to.encode(), answer).await
}

/// Tells an event to another pod, which does not pass it on. Events are hints, of which one client can cause
/// many; they have places of their own, so that answers do not wait for them.
pub(crate) async fn tell(server: &Server, holder: &Holder, event: &Event) -> Result<(), Undelivered> {
    let _place = server.inner.front.tidings.try_acquire().map_err(|_| Undelivered::Busy)?;
    let event = serde_json::to_string(event).map_err(|_| Undelivered::Malformed)?;
    carry(server, holder, &[], event).await
}

/// `to` is the call that the body answers; nothing if the body is an event.
async fn carry(server: &Server, holder: &Holder, to: &[u8], body: String) -> Result<(), Undelivered> {
    let request = request(server, holder, to, body).ok_or(Undelivered::Unreachable)?;
    let status = match tokio::time::timeout(DEADLINE, exchange(holder, request)).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => {
            tracing::warn!(holder = holder.as_str(), %error, "another pod is not reached");
            return Err(Undelivered::Unreachable);
        }
        Err(_) => {
            tracing::warn!(holder = holder.as_str(), "another pod does not react");
            return Err(Undelivered::Unreachable);
        }
    };
    match status {
        StatusCode::ACCEPTED => Ok(()),
        StatusCode::BAD_REQUEST => Err(Undelivered::Malformed),
        StatusCode::SERVICE_UNAVAILABLE => Err(Undelivered::Busy),
        _ => Err(Undelivered::Gone),
    }
}

fn request(server: &Server, holder: &Holder, to: &[u8], body: String) -> Option<Request<Full<Bytes>>> {
    let digest = digest(&[body.as_bytes()]);
    let seal = server.inner.tokens.seal(&server.inner.outside, binding(&[&digest]), TTL_SECS, to).ok()?;
    Request::post(holder.uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(HOST, holder.uri.authority()?.as_str())
        .header(CONTENT_TYPE, MEDIA_TYPE)
        .header(header::HOP, seal)
        .body(Full::new(body.into()))
        .ok()
}

/// One request on a connection of its own: hops are too rare to keep connections for them. Redirects are
/// answers like any other.
async fn exchange(
    holder: &Holder,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let stream = holder.connect().await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let response = sender.send_request(request);
    tokio::pin!(response, connection);
    tokio::select! {
        biased;
        response = &mut response => Ok(response?.status()),
        ended = &mut connection => {
            ended?;
            Ok(response.await?.status())
        }
    }
}

/// Takes what another pod passes on.
pub(crate) async fn receive(server: &Server, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
    match accept(server, headers, body).await {
        Ok(()) => empty(StatusCode::ACCEPTED),
        Err(undelivered) => undelivered.respond(),
    }
}

async fn accept(server: &Server, headers: &HeaderMap, body: &[u8]) -> Result<(), Undelivered> {
    let seal = headers.get(header::HOP).and_then(|seal| seal.to_str().ok()).ok_or(Undelivered::Gone)?;
    let digest = digest(&[body]);
    let payload = server.inner.tokens.open(&server.inner.outside, binding(&[&digest]), seal).map_err(|error| {
        tracing::warn!(%error, "a hop did not open");
        Undelivered::Gone
    })?;
    if payload.is_empty() {
        let event: Event = serde_json::from_slice(body).map_err(|_| Undelivered::Malformed)?;
        return server.inner.bus.publish(event).await.map_err(|_| Undelivered::Busy);
    }
    let front = &server.inner.front;
    // Another process may have taken over the address.
    let target = Target::decode(&payload).filter(|target| target.pod == front.pod).ok_or(Undelivered::Gone)?;
    let outcome =
        std::str::from_utf8(body).ok().and_then(|answer| read_outcome(answer).ok()).ok_or(Undelivered::Malformed)?;
    match front.questions.answer(target.session, target.number, outcome) {
        true => Ok(()),
        false => Err(Undelivered::Gone),
    }
}

/// The caller was checked where the answer came in, by opening the question's id.
const fn binding<'a>(digest: &'a [&'a [u8]]) -> Binding<'a> {
    Binding { purpose: Purpose::Hop, principal: None, context: digest }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_pod_is_reached_by_a_plain_http_url() {
        for url in ["http://10.0.0.5:8080/mcp", "http://[::1]:8080/mcp", "http://pod-1.mcp.svc/mcp"] {
            assert!(Holder::parse(url).is_some(), "{url}");
        }
        for url in ["", "https://10.0.0.5/mcp", "10.0.0.5:8080", "/mcp", "http://", "http://[x]/mcp", "file:///mcp"] {
            assert!(Holder::parse(url).is_none(), "{url}");
        }
    }

    #[tokio::test]
    async fn many_events_under_way_keep_no_answer_waiting() {
        let server = Server::new("test", "1").build().unwrap();
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let holder = Holder::parse(&format!("http://{nobody}/mcp")).unwrap();
        let _events = server.inner.front.tidings.acquire_many(MAX_HOPS as u32).await.unwrap();
        assert_eq!(tell(&server, &holder, &Event::ToolsChanged).await, Err(Undelivered::Busy));
        let to = Target { pod: 1, session: 2, number: 3 };
        assert_eq!(send(&server, &holder, to, "{}".to_owned()).await, Err(Undelivered::Unreachable));
    }

    #[test]
    fn a_target_is_what_it_was() {
        let target = Target { pod: 1, session: 2, number: u64::MAX };
        assert_eq!(Target::decode(&target.encode()), Some(target));
        assert_eq!(Target::decode(&target.encode()[1..]), None);
        assert_eq!(Target::decode(&[0; 25]), None);
    }

    #[tokio::test]
    async fn takes_only_what_was_sealed_for_this_answer_and_this_process() {
        let server = Server::new("test", "1").build().unwrap();
        let front = &server.inner.front;
        let to = Target { pod: front.pod, session: 1, number: 2 };
        let holder = Holder::parse("http://10.0.0.5/mcp").unwrap();
        let headers = |to: Target, answer: &str| {
            request(&server, &holder, &to.encode(), answer.to_owned()).unwrap().headers().clone()
        };
        let _waiting = front.questions.open(1, 2).unwrap();
        let answer = r#"{"result":{}}"#;
        for (headers, body, expected) in [
            (HeaderMap::new(), answer, Undelivered::Gone),
            (headers(to, answer), r#"{"result":{"x":1}}"#, Undelivered::Gone),
            (headers(Target { pod: !front.pod, ..to }, answer), answer, Undelivered::Gone),
            (headers(Target { session: 9, ..to }, answer), answer, Undelivered::Gone),
            (headers(to, "{}"), "{}", Undelivered::Malformed),
        ] {
            assert_eq!(accept(&server, &headers, body.as_bytes()).await, Err(expected));
        }
        let sound = headers(to, answer);
        assert_eq!(accept(&server, &sound, answer.as_bytes()).await, Ok(()));
        assert_eq!(accept(&server, &sound, answer.as_bytes()).await, Err(Undelivered::Gone), "delivered once");
    }
}
