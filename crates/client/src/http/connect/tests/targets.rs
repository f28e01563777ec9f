//! What may stand where a server's URL is wanted.

use crate::error::Error;
use crate::http::connect::Target;

fn refused(text: &str) -> String {
    match Target::parse(text).unwrap_err() {
        Error::Misuse(text) => text,
        error => panic!("{error:?}"),
    }
}

#[test]
fn a_url_is_where_requests_go() {
    let target = Target::parse("https://example.com:8443/a/mcp?b=c").unwrap();
    assert_eq!(target.uri(), "https://example.com:8443/a/mcp?b=c");
    assert_eq!(target.origin(), "https://example.com:8443");
    assert_eq!(target.to_string(), "https://example.com:8443/a/mcp?b=c");
    assert!(target.is_https() && !target.is_local());
}

#[test]
fn a_socket_is_named_with_the_path_behind_it_or_without() {
    for (text, uri, shown) in [
        ("unix:/run/a.sock", "http://localhost/mcp", "unix:/run/a.sock:/mcp"),
        ("unix:///run/a.sock", "http://localhost/mcp", "unix:/run/a.sock:/mcp"),
        ("unix:/run/a.sock:/b/c", "http://localhost/b/c", "unix:/run/a.sock:/b/c"),
        ("unix:a.sock:/", "http://localhost/", "unix:a.sock:/"),
    ] {
        let target = Target::parse(text).unwrap();
        assert_eq!(target.uri(), uri, "{text}");
        assert_eq!(target.to_string(), shown);
        assert!(target.is_local() && target.origin().starts_with("unix:"));
    }
    assert!(refused("unix:").contains("names no socket"));
    assert!(refused("unix::/mcp").contains("names no socket"));
    assert!(refused("http+unix://%2Frun%2Fa.sock/mcp").contains("unix:/path/to/socket:/mcp"));
}

#[test]
fn refuses_what_is_no_url_and_says_why() {
    assert!(refused("localhost:8080/mcp").contains("is no URL"));
    assert!(refused("localhost:8080").contains("does not begin with http://"));
    assert!(refused("ftp://example.com/mcp").contains("does not begin with http://"));
    assert!(refused("/mcp").contains("does not begin with http://"));
    assert!(refused("http:///mcp").contains("is no URL"));
    assert!(refused("").contains("is no URL"));
}

#[test]
fn credentials_in_a_url_are_refused_and_not_repeated() {
    let text = refused("https://user:secret@example.com/mcp");
    assert!(text.contains("has credentials in it") && !text.contains("secret"), "{text}");
    assert!(!refused("ftp://user:secret@example.com/mcp").contains("secret"));
}

#[test]
fn knows_what_is_on_this_machine() {
    for url in ["http://localhost:1", "http://LOCALHOST.", "http://a.localhost", "http://127.9.9.9", "https://[::1]:2"]
    {
        assert!(Target::parse(url).unwrap().is_local(), "{url}");
    }
    for url in ["http://localhost.example", "http://notlocalhost", "http://10.0.0.1", "http://[2001:db8::1]"] {
        assert!(!Target::parse(url).unwrap().is_local(), "{url}");
    }
}
