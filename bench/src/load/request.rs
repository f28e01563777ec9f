//! Whole requests as bytes, built once; between two calls only the digits of the id change.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result};

const VERSION: &str = "2026-07-28";
const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"anypod-bench","version":"1.0.0"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

/// Ids start here and so keep eight digits for the next ninety million calls.
const FIRST_ID: u64 = 10_000_000;
const ID_DIGITS: usize = 8;

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's address.
    pub address: SocketAddr,
    authority: String,
    path: String,
}

impl Target {
    /// Takes `http://HOST:PORT/PATH` apart.
    ///
    /// # Errors
    /// When it is not of that form or the host does not resolve.
    pub fn parse(url: &str) -> Result<Self> {
        let rest = url.strip_prefix("http://").with_context(|| format!("{url} is not an http:// URL"))?;
        let (authority, path) = rest.split_once('/').with_context(|| format!("{url} has no path"))?;
        let address = authority
            .to_socket_addrs()
            .with_context(|| format!("{url} has no usable host and port"))?
            .next()
            .with_context(|| format!("{authority} has no address"))?;
        Ok(Self { address, authority: authority.to_owned(), path: format!("/{path}") })
    }

    fn request(&self, method: &str, name: Option<&str>, params: &str) -> Request {
        let id = FIRST_ID;
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: anypod-bench\r\n\
             Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\
             MCP-Protocol-Version: {VERSION}\r\nMcp-Method: {method}\r\n{name}Content-Length: {length}\r\n\r\n",
            path = self.path,
            authority = self.authority,
            length = body.len(),
        );
        let id_at = head.len() + r#"{"jsonrpc":"2.0","id":"#.len();
        Request { bytes: (head + &body).into_bytes(), id_at, id }
    }

    /// A call of `tool` with the one argument `text`.
    pub fn call(&self, tool: &str, text: &str) -> Request {
        let params = format!(r#"{{"_meta":{META},"name":"{tool}","arguments":{{"text":"{text}"}}}}"#);
        self.request("tools/call", Some(tool), &params)
    }

    /// A subscription to changes of the tool list.
    pub fn listen(&self) -> Request {
        let params = format!(r#"{{"_meta":{META},"notifications":{{"toolsListChanged":true}}}}"#);
        self.request("subscriptions/listen", None, &params)
    }
}

/// One request, head and body.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
    id_at: usize,
    id: u64,
}

impl Request {
    /// What goes on the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The JSON-RPC id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How an answer to this request spells its id.
    pub fn id_member(&self) -> [u8; ID_DIGITS + 5] {
        let mut member = *br#""id":00000000"#;
        member[5..].copy_from_slice(&self.bytes[self.id_at..self.id_at + ID_DIGITS]);
        member
    }

    /// Makes it the next request: the same but for the id.
    pub fn advance(&mut self) {
        self.id += 1;
        let mut rest = self.id;
        for digit in self.bytes[self.id_at..self.id_at + ID_DIGITS].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_request_differs_in_its_id_only() {
        let target = Target::parse("http://127.0.0.1:8080/mcp").unwrap();
        let first = target.call("echo", "hello");
        let mut second = first.clone();
        second.advance();
        let text = |request: &Request| String::from_utf8(request.bytes().to_vec()).unwrap();
        assert_eq!(text(&first).replace("10000000", "10000001"), text(&second));
        assert_eq!(second.id(), 10_000_001);
        assert_eq!(&second.id_member(), br#""id":10000001"#);
    }

    #[test]
    fn the_declared_length_is_the_length_of_the_body() {
        let target = Target::parse("http://127.0.0.1:8080/mcp").unwrap();
        let text = String::from_utf8(target.listen().bytes().to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }

    #[test]
    fn a_url_needs_scheme_port_and_path() {
        for url in ["127.0.0.1:80/mcp", "http://127.0.0.1/mcp", "http://127.0.0.1:80"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
