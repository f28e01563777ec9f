//! The `curl` line that `anypod up` prints: it works when pasted.

use anypod_proto::header;
use anypod_proto::meta;
use anypod_proto::method::Method;
use anypod_proto::version::Version;
use serde_json::{Value, json};

/// Calls the demo tool `add`.
pub(super) fn add(url: &str) -> String {
    let name = format!(" -H '{}: add'", header::NAME);
    let params = json!({ "name": "add", "arguments": { "a": 1, "b": 2 }, "_meta": request_meta() });
    line(url, Method::ToolsCall, &name, params)
}

/// Asks any server what it is.
pub(super) fn discover(url: &str) -> String {
    line(url, Method::Discover, "", json!({ "_meta": request_meta() }))
}

fn request_meta() -> Value {
    json!({
        meta::PROTOCOL_VERSION: Version::LATEST.as_str(),
        meta::CLIENT_CAPABILITIES: {},
    })
}

// Nothing in here has a single quote, which is what the shell's quotes need.
fn line(url: &str, method: Method, more: &str, params: Value) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method.as_str(), "params": params });
    format!(
        "curl -sS {url} -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
         -H '{}: {}' -H '{}: {method}'{more} -d '{body}'",
        header::PROTOCOL_VERSION,
        Version::LATEST,
        header::METHOD,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_splits_it_into_flags_headers_and_one_json_body() {
        let words = shell_words::split(&add("http://127.0.0.1:8080/mcp")).unwrap();
        assert_eq!(words[..3], ["curl", "-sS", "http://127.0.0.1:8080/mcp"]);
        let headers: Vec<&String> = words.iter().skip_while(|word| *word != "-H").collect();
        assert!(headers.contains(&&"mcp-name: add".to_owned()));
        assert!(headers.contains(&&"mcp-method: tools/call".to_owned()));
        assert!(headers.contains(&&"mcp-protocol-version: 2026-07-28".to_owned()));
        let body: Value = serde_json::from_str(&words[words.len() - 1]).unwrap();
        assert_eq!(body["params"]["arguments"], json!({ "a": 1, "b": 2 }));
        assert_eq!(body["params"]["_meta"][meta::PROTOCOL_VERSION], "2026-07-28");
    }
}
