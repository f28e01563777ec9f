//! What a proxy takes out of and puts into the headers of what it passes on.
//!
//! RFC 9110, section 7.6; RFC 9112, section 3.2.

use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Uri, Version};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Headers that concern one connection only, besides those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes what concerns one connection only, so that it cannot act on the next one.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // RFC 9112, section 6.3: chunks overrule a length, which must not be left to mislead the next reader.
    if headers.contains_key(header::TRANSFER_ENCODING) {
        headers.remove(header::CONTENT_LENGTH);
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // What frames, routes and guards a request is not the sender's to take away.
        .filter(|name| ![header::CONTENT_LENGTH, header::HOST, header::ORIGIN].contains(name))
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// Makes a client's request one for a pod: origin form, HTTP/1.1, the client's `Host`, and who asked.
/// Nothing when the target has no path, as in `CONNECT`.
pub(super) fn prepare<B>(mut request: Request<B>, client: IpAddr) -> Option<Request<B>> {
    let target = request.uri();
    let path: PathAndQuery = target.path_and_query()?.clone();
    if let Some(authority) = target.authority() {
        let host = HeaderValue::from_str(authority.as_str()).ok()?;
        request.headers_mut().insert(header::HOST, host);
    }
    *request.uri_mut() = Uri::from(path);
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    strip_hop_by_hop(headers);
    // Our own server has answered it with `100 Continue` once the body is read.
    headers.remove(header::EXPECT);
    forwarded_for(headers, client);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    Some(request)
}

/// Adds the client to the end of the chain, which is one header afterwards.
fn forwarded_for(headers: &mut HeaderMap, client: IpAddr) {
    let mut chain: Vec<u8> = Vec::new();
    for value in headers.get_all(FORWARDED_FOR) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(client.to_string().as_bytes());
    let chain = HeaderValue::from_bytes(&chain).expect("made of header values and an address");
    headers.insert(FORWARDED_FOR, chain);
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn prepared(request: hyper::http::request::Builder) -> Request<()> {
        let request = request.body(()).unwrap();
        prepare(request, CLIENT).unwrap()
    }

    #[test]
    fn removes_what_concerns_one_connection_only() {
        let request = prepared(
            Request::post("/mcp")
                .header("connection", "close, X-Secret-Hop")
                .header("x-secret-hop", "1")
                .header("keep-alive", "timeout=5")
                .header("transfer-encoding", "chunked")
                .header("mcp-name", "add"),
        );
        let names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["mcp-name", "x-forwarded-for", "x-forwarded-proto"]);
    }

    #[test]
    fn removes_a_length_that_chunks_overrule() {
        let request =
            prepared(Request::post("/mcp").header("content-length", "5").header("transfer-encoding", "chunked"));
        assert!(!request.headers().contains_key("content-length"));
    }

    #[test]
    fn does_not_let_connection_name_the_host_the_origin_or_the_length() {
        let request = prepared(
            Request::post("/mcp")
                .header("connection", "host, Origin, content-length")
                .header("host", "example.com")
                .header("origin", "http://example.org")
                .header("content-length", "2"),
        );
        assert_eq!(request.headers()["host"], "example.com");
        assert_eq!(request.headers()["origin"], "http://example.org");
        assert_eq!(request.headers()["content-length"], "2");
    }

    #[test]
    fn takes_the_host_from_a_target_in_absolute_form() {
        let request = prepared(Request::get("http://example.com:8080/a?b").header("host", "other"));
        assert_eq!(request.uri(), "/a?b");
        assert_eq!(request.headers()["host"], "example.com:8080");
    }

    #[test]
    fn adds_the_client_to_the_chain_it_brought() {
        let request =
            prepared(Request::get("/").header("x-forwarded-for", "192.0.2.1").header("x-forwarded-for", "192.0.2.2"));
        let chain: Vec<_> = request.headers().get_all(FORWARDED_FOR).iter().collect();
        assert_eq!(chain, ["192.0.2.1, 192.0.2.2, 127.0.0.1"]);
    }

    #[test]
    fn refuses_a_target_without_a_path() {
        let request = Request::connect("example.com:443").body(()).unwrap();
        assert!(prepare(request, CLIENT).is_none());
    }
}
