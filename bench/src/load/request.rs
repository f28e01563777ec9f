//! Whole requests as bytes, built once; between two calls only the digits of the id change.

use std::net::{SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result};

const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";
const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"anypod-bench","version":"1.0.0"},"io.modelcontextprotocol/clientCapabilities""#;
/// What a client says that knows tasks and can be asked.
const TASKS: &str = r#"{"elicitation":{"form":{}},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

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

    /// A request as `dialect` has it: `params` are members that come after the `_meta` of a modern one.
    fn request(&self, dialect: &Dialect, method: &str, name: Option<&str>, params: &str) -> Request {
        let id = FIRST_ID;
        let (headers, params) = match dialect {
            Dialect::Modern | Dialect::Tasks => {
                let capabilities = if *dialect == Dialect::Tasks { TASKS } else { "{}" };
                let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
                let rest = if params.is_empty() { String::new() } else { format!(",{params}") };
                let headers = format!("MCP-Protocol-Version: {MODERN}\r\nMcp-Method: {method}\r\n{name}");
                (headers, format!("\"_meta\":{{{META}:{capabilities}}}{rest}"))
            }
            Dialect::Legacy { session } => (session_headers(session), params.to_owned()),
            Dialect::Unopened => (String::new(), params.to_owned()),
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#);
        let head = self.head(&headers, body.len());
        let id_at = head.len() + r#"{"jsonrpc":"2.0","id":"#.len();
        Request { bytes: (head + &body).into_bytes(), id_at, id }
    }

    fn head(&self, headers: &str, length: usize) -> String {
        format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: anypod-bench\r\n\
             Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\
             {headers}Content-Length: {length}\r\n\r\n",
            path = self.path,
            authority = self.authority,
        )
    }

    /// A call of `tool` with the one argument `text`.
    pub fn call(&self, dialect: &Dialect, tool: &str, text: &str) -> Request {
        let params = format!(r#""name":"{tool}","arguments":{{"text":"{text}"}}"#);
        self.request(dialect, "tools/call", Some(tool), &params)
    }

    /// The same as the call that bears this number, of a client that knows tasks.
    pub(super) fn create(&self, tool: &str, text: &str, number: u64) -> Request {
        self.call(&Dialect::Tasks, tool, text).numbered(number)
    }

    /// A look at a task, as the request that bears this number.
    pub(super) fn task(&self, id: &str, number: u64) -> Request {
        let params = format!(r#""taskId":"{id}""#);
        self.request(&Dialect::Tasks, "tasks/get", Some(id), &params).numbered(number)
    }

    /// A question for the tools.
    pub fn list(&self, dialect: &Dialect) -> Request {
        self.request(dialect, "tools/list", None, "")
    }

    /// A subscription to changes of the tool list.
    pub fn listen(&self) -> Request {
        let params = r#""notifications":{"toolsListChanged":true}"#;
        self.request(&Dialect::Modern, "subscriptions/listen", None, params)
    }

    /// The same, and to those of a resource.
    pub(super) fn listen_to(&self, uri: &str) -> Request {
        let params = format!(r#""notifications":{{"toolsListChanged":true,"resourceSubscriptions":["{uri}"]}}"#);
        self.request(&Dialect::Modern, "subscriptions/listen", None, &params)
    }

    /// The request that opens a legacy session.
    pub fn initialize(&self) -> Request {
        let params = format!(
            r#""protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"anypod-bench","version":"1.0.0"}}"#
        );
        self.request(&Dialect::Unopened, "initialize", None, &params)
    }

    /// The notification by which a legacy client says that its session is open.
    pub fn initialized(&self, session: &str) -> Vec<u8> {
        let body = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        (self.head(&session_headers(session), body.len()) + body).into_bytes()
    }
}

fn session_headers(session: &str) -> String {
    format!("MCP-Protocol-Version: {LEGACY}\r\nMcp-Session-Id: {session}\r\n")
}

/// How a client speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Revision 2026-07-28: each request says everything.
    Modern,
    /// The same, of a client that declares tasks and can be asked.
    Tasks,
    /// Revision 2025-11-25, within a session.
    Legacy {
        /// Its `Mcp-Session-Id`.
        session: String,
    },
    /// The same before there is a session.
    Unopened,
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
        self.write_id();
    }

    /// The same with another id.
    fn numbered(mut self, number: u64) -> Self {
        self.id = FIRST_ID + number;
        self.write_id();
        self
    }

    fn write_id(&mut self) {
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
        let first = target.call(&Dialect::Modern, "echo", "hello");
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
        let legacy = Dialect::Legacy { session: "s".to_owned() };
        let requests = [target.listen(), target.initialize(), target.list(&Dialect::Modern), target.list(&legacy)];
        let texts = requests.iter().map(|request| request.bytes().to_vec()).chain([target.initialized("s")]);
        for text in texts.map(|bytes| String::from_utf8(bytes).unwrap()) {
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())));
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    }

    #[test]
    fn only_a_legacy_request_bears_a_session_and_only_a_modern_one_its_method() {
        let target = Target::parse("http://127.0.0.1:8080/mcp").unwrap();
        let text = |dialect| String::from_utf8(target.call(dialect, "echo", "a").bytes().to_vec()).unwrap();
        let (modern, legacy) = (text(&Dialect::Modern), text(&Dialect::Legacy { session: "s-1".to_owned() }));
        assert!(modern.contains("Mcp-Name: echo\r\n") && !modern.contains("Mcp-Session-Id"));
        assert!(
            legacy.contains("Mcp-Session-Id: s-1\r\n") && !legacy.contains("Mcp-Name") && !legacy.contains("_meta")
        );
    }

    #[test]
    fn a_url_needs_scheme_port_and_path() {
        for url in ["127.0.0.1:80/mcp", "http://127.0.0.1/mcp", "http://127.0.0.1:80"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
