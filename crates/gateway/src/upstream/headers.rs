//! What a proxy takes out of and puts into the heads of what it passes on.
//!
//! RFC 9110, section 7.6; RFC 9112, section 6.3; RFC 7239; spec: basic/transports/streamable-http.

use std::net::IpAddr;
use std::sync::LazyLock;

use anypod_proto::header::{HOP, SESSION_ID, plain};
use anypod_proto::version::Era;
use http::header::{self, HeaderName, HeaderValue};
use http::{Uri, uri::Scheme};

use crate::head::{Fields, Looks};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What does not go on, besides what `Connection` names: first what concerns one connection only.
static REMOVED: [HeaderName; 12] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    // Replicas say it to each other, and nobody else to them.
    HOP,
    // Our own server has answered it with `100 Continue` once the body is read.
    header::EXPECT,
    // Revision 2026-07-28 has no sessions: "ignore it".
    SESSION_ID,
];
/// How many of them do not go on in an answer either.
const OF_ANSWERS: usize = 10;

/// What `Connection` cannot name: what frames, routes and guards a request is not the sender's to take away.
static KEPT: [HeaderName; 3] = [header::CONTENT_LENGTH, header::HOST, header::ORIGIN];

/// Who asks, as pods are told. Made once for each connection of a client.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// `None` for one on a socket of this machine.
    address: Option<HeaderValue>,
    /// Its part of a `Forwarded` element.
    node: String,
    scheme: Scheme,
}

impl Sender {
    /// The client at this address, who speaks `scheme`.
    pub(crate) fn new(address: Option<IpAddr>, scheme: Scheme) -> Self {
        let address = address.map(|address| address.to_canonical());
        let node = match address {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
            None => "unknown".to_owned(),
        };
        let address = address.map(|address| {
            HeaderValue::from_str(&address.to_string()).expect("an address has digits, dots and colons only")
        });
        Self { address, node, scheme }
    }

    fn proto(&self) -> HeaderValue {
        HeaderValue::from_static(if self.scheme == Scheme::HTTPS { "https" } else { "http" })
    }
}

/// Makes the header fields of a client's request those of one to a pod. `asked` is the target that the client wrote. `Host` is
/// set where a pod is picked. `own` are the headers that the upstream is to get in any case.
pub(crate) fn prepare(fields: &mut Fields, asked: &Uri, sender: &Sender, era: Era, own: &[(HeaderName, HeaderValue)]) {
    strip(
        fields,
        match era {
            Era::Modern => REMOVED.len(),
            Era::Legacy => REMOVED.len() - 1,
        },
    );
    let host = match asked.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => fields.value(&header::HOST),
    };
    forwarded(fields, sender, host.as_ref());
    if let Some(address) = &sender.address {
        // The chain, which is one header afterwards.
        let chain = match fields.has(&FORWARDED_FOR) {
            true => joined(fields.all(&FORWARDED_FOR), address.as_bytes()),
            false => address.clone(),
        };
        fields.insert(FORWARDED_FOR, chain);
    }
    fields.insert(FORWARDED_PROTO, sender.proto());
    match host {
        Some(host) => fields.insert(FORWARDED_HOST, host),
        None => fields.remove(&FORWARDED_HOST),
    }
    for (name, value) in own {
        fields.insert(name.clone(), value.clone());
    }
}

/// Makes the header fields of a pod's answer those of one to a client.
pub(crate) fn prepare_answer(fields: &mut Fields) {
    strip(fields, OF_ANSWERS);
}

/// Takes out the first so many of [`REMOVED`], and what `Connection` names.
fn strip(fields: &mut Fields, first: usize) {
    static LOOKS: LazyLock<Looks> = LazyLock::new(|| REMOVED.iter().collect());
    // Mostly none is there.
    if !fields.may_have_any(*LOOKS) {
        return;
    }
    if fields.has(&header::CONNECTION) {
        named_by_connection(fields).iter().for_each(|name| fields.remove(name));
    }
    // RFC 9112, section 6.3: chunks overrule a length, which must not be left to mislead the next reader.
    if fields.has(&header::TRANSFER_ENCODING) {
        fields.remove(&header::CONTENT_LENGTH);
    }
    REMOVED[..first].iter().for_each(|name| fields.remove(name));
}

fn named_by_connection(fields: &Fields) -> Vec<HeaderName> {
    let values = fields.all(&header::CONNECTION).filter_map(plain);
    let names = values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    names.filter(|name| !KEPT.contains(name)).collect()
}

/// Adds an element to `Forwarded` where there is one: an upstream that reads it must not take the client's word for the
/// last. Where there is none, the others say the same.
fn forwarded(fields: &mut Fields, sender: &Sender, host: Option<&HeaderValue>) {
    if !fields.has(&header::FORWARDED) {
        return;
    }
    let mut element = format!("for={};proto={}", sender.node, sender.scheme);
    // What would end the quotes is no host.
    if let Some(host) = host.and_then(|host| host.to_str().ok()).filter(|host| !host.contains(['"', '\\'])) {
        element.push_str(&format!(";host=\"{host}\""));
    }
    let chain = joined(fields.all(&header::FORWARDED), element.as_bytes());
    fields.insert(header::FORWARDED, chain);
}

fn joined<'a>(values: impl Iterator<Item = &'a [u8]>, last: &[u8]) -> HeaderValue {
    let mut chain: Vec<u8> = Vec::new();
    for value in values {
        chain.extend_from_slice(value);
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(last);
    HeaderValue::from_bytes(&chain).expect("made of header values, an address and a host that was one")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use anypod_proto::header::{METHOD, NAME};
    use http::HeaderMap;

    use super::*;

    fn sender() -> Sender {
        Sender::new(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), Scheme::HTTP)
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(value)))
            .collect()
    }

    /// On a map, which is easier to look at.
    fn prepare(map: &mut HeaderMap, asked: &Uri, sender: &Sender, era: Era, own: &[(HeaderName, HeaderValue)]) {
        let mut fields = Fields::from(std::mem::take(map));
        super::prepare(&mut fields, asked, sender, era, own);
        *map = fields.into_map();
    }

    fn prepare_answer(map: &mut HeaderMap) {
        let mut fields = Fields::from(std::mem::take(map));
        super::prepare_answer(&mut fields);
        *map = fields.into_map();
    }

    fn prepared(pairs: &[(&'static str, &'static str)], era: Era) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        prepare(&mut headers, &Uri::from_static("/mcp"), &sender(), era, &[]);
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    /// Else every request would be looked through.
    #[test]
    fn usual_names_do_not_look_like_those_that_are_removed() {
        let usual = ["host", "accept", "user-agent", "mcp-name", "mcp-method", "content-type", "mcp-protocol-version"];
        let usual = usual.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x")));
        let fields = Fields::from(HeaderMap::from_iter(usual));
        assert!(!fields.may_have_any(REMOVED.iter().collect()));
    }

    #[test]
    fn removes_what_concerns_one_connection_only() {
        let pairs = [
            ("connection", "close, X-Secret-Hop"),
            ("x-secret-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("upgrade", "websocket"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("mcp-name", "add"),
        ];
        let request = prepared(&pairs, Era::Modern);
        assert_eq!(names(&request), ["mcp-name", "x-forwarded-for", "x-forwarded-proto"]);
        let mut answer = headers(&pairs);
        prepare_answer(&mut answer);
        assert_eq!(names(&answer), ["expect", "mcp-name"]);
    }

    #[test]
    fn leaves_the_rest_as_it_is() {
        let pairs = [("mcp-method", "tools/call"), ("mcp-name", "add"), ("authorization", "Bearer x"), ("a", "b")];
        let request = prepared(&pairs, Era::Modern);
        assert_eq!(request.len(), 6);
        assert_eq!(
            (&request[METHOD], &request[NAME]),
            (&HeaderValue::from_static("tools/call"), &HeaderValue::from_static("add"))
        );
        let mut answer = headers(&pairs);
        prepare_answer(&mut answer);
        assert_eq!(answer, headers(&pairs));
    }

    #[test]
    fn a_session_goes_on_in_the_legacy_era_only() {
        let pairs = [("mcp-session-id", "a")];
        assert!(!prepared(&pairs, Era::Modern).contains_key(SESSION_ID));
        assert_eq!(prepared(&pairs, Era::Legacy)[SESSION_ID], "a");
        let mut answer = headers(&pairs);
        prepare_answer(&mut answer);
        assert_eq!(answer[SESSION_ID], "a");
    }

    #[test]
    fn nobody_but_a_replica_says_what_replicas_say_to_each_other() {
        for era in [Era::Modern, Era::Legacy] {
            assert!(!prepared(&[("anypod-hop", "x")], era).contains_key(HOP));
        }
        let mut answer = headers(&[("anypod-hop", "x")]);
        prepare_answer(&mut answer);
        assert!(answer.is_empty());
    }

    #[test]
    fn removes_a_length_that_chunks_overrule() {
        let request = prepared(&[("content-length", "5"), ("transfer-encoding", "chunked")], Era::Modern);
        assert!(!request.contains_key("content-length"));
    }

    #[test]
    fn does_not_let_connection_name_the_host_the_origin_or_the_length() {
        let request = prepared(
            &[
                ("connection", "host, Origin, content-length"),
                ("host", "example.com"),
                ("origin", "http://example.org"),
                ("content-length", "2"),
            ],
            Era::Modern,
        );
        assert_eq!(request["host"], "example.com");
        assert_eq!(request["origin"], "http://example.org");
        assert_eq!(request["content-length"], "2");
    }

    #[test]
    fn adds_the_client_to_the_chain_it_brought() {
        let request = prepared(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2")], Era::Modern);
        let chain: Vec<_> = request.get_all(FORWARDED_FOR).iter().collect();
        assert_eq!(chain, ["192.0.2.1, 192.0.2.2, 127.0.0.1"]);
    }

    #[test]
    fn a_client_on_a_socket_of_this_machine_adds_no_address() {
        let mut map = headers(&[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")]);
        prepare(&mut map, &Uri::from_static("/"), &Sender::new(None, Scheme::HTTP), Era::Modern, &[]);
        assert_eq!(map[FORWARDED_FOR], "192.0.2.1");
        assert_eq!(map[header::FORWARDED], "for=192.0.2.1, for=unknown;proto=http");
    }

    #[test]
    fn the_host_that_the_client_called_and_how_replace_what_it_said_of_them() {
        let said = [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "gopher")];
        let mut map = headers(&said);
        map.insert("host", HeaderValue::from_static("mcp.example"));
        let tls = Sender::new(Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), Scheme::HTTPS);
        prepare(&mut map, &Uri::from_static("/mcp"), &tls, Era::Modern, &[]);
        assert_eq!(
            (&map[FORWARDED_HOST], &map[FORWARDED_PROTO]),
            (&HeaderValue::from_static("mcp.example"), &HeaderValue::from_static("https"))
        );
        // A target in absolute form, or that of HTTP/2, overrules the header.
        prepare(&mut map, &Uri::from_static("http://other.example:81/mcp"), &tls, Era::Modern, &[]);
        assert_eq!(map[FORWARDED_HOST], "other.example:81");
        assert!(!prepared(&said, Era::Modern).contains_key(FORWARDED_HOST));
    }

    #[test]
    fn an_element_is_added_to_forwarded_where_there_is_one() {
        let client = Sender::new(Some("2001:db8::1".parse().unwrap()), Scheme::HTTPS);
        let mut map = headers(&[("forwarded", "for=192.0.2.1"), ("host", "a.example:8")]);
        prepare(&mut map, &Uri::from_static("/"), &client, Era::Modern, &[]);
        assert_eq!(map[header::FORWARDED], "for=192.0.2.1, for=\"[2001:db8::1]\";proto=https;host=\"a.example:8\"");
        assert_eq!(map[FORWARDED_FOR], "2001:db8::1");
    }

    #[test]
    fn an_address_of_version_4_in_one_of_version_6_is_the_former() {
        let client = Sender::new(Some("::ffff:192.0.2.9".parse().unwrap()), Scheme::HTTP);
        let mut map = HeaderMap::new();
        prepare(&mut map, &Uri::from_static("/"), &client, Era::Modern, &[]);
        assert_eq!(map[FORWARDED_FOR], "192.0.2.9");
    }

    #[test]
    fn the_upstreams_own_headers_replace_the_clients() {
        let own = [(header::AUTHORIZATION, HeaderValue::from_static("Bearer gateway"))];
        let mut map = headers(&[("authorization", "Bearer client")]);
        prepare(&mut map, &Uri::from_static("/"), &sender(), Era::Modern, &own);
        let values: Vec<_> = map.get_all(header::AUTHORIZATION).iter().collect();
        assert_eq!(values, ["Bearer gateway"]);
    }
}
