//! Servers and their pods.

use anypod_proto::header::{HOP, LAST_EVENT_ID, METHOD, NAME, PARAM_PREFIX, PROTOCOL_VERSION, SESSION_ID};
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue, Uri};

use super::{Findings, bounds, key, repeated, routes, urls};
use crate::config::document::Key;
use crate::config::{EraChoice, Sessions, Upstream};

/// The longest name of an upstream.
const LONGEST_NAME: usize = 32;
/// The headers that the gateway writes itself, besides `Mcp-Param-*`.
const OWN_HEADERS: [HeaderName; 14] = [
    HOST,
    ACCEPT,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONNECTION,
    TRANSFER_ENCODING,
    TE,
    UPGRADE,
    PROTOCOL_VERSION,
    METHOD,
    NAME,
    SESSION_ID,
    LAST_EVENT_ID,
    HOP,
];

pub(super) fn check(upstreams: &[Upstream], found: &mut Findings<'_>) {
    let list = key("upstream");
    if upstreams.is_empty() {
        found.add(
            &list,
            "there is no upstream: write [[upstream]], and below it name = \"server\" and pods = [\"http://10.0.0.5:9000/mcp\"]",
        );
    }
    for (at, upstream) in upstreams.iter().enumerate() {
        one(upstream, &list.index(at), found);
    }
    let names: Vec<_> = upstreams.iter().map(|upstream| &upstream.name).collect();
    for (at, _) in repeated(&names) {
        found.add(
            &list.index(at).name("name"),
            format!(
                "two upstreams are named {:?}: one upstream with all `pods` serves one server, or rename one",
                names[at]
            ),
        );
    }
}

fn one(upstream: &Upstream, here: &Key, found: &mut Findings<'_>) {
    if !is_name(&upstream.name) {
        let text = format!(
            "{:?} is no name of an upstream: lower-case letters, digits and `-`, a letter first, at most {LONGEST_NAME}",
            upstream.name
        );
        found.add(&here.name("name"), text);
    }
    pods(upstream, here, found);
    command(upstream, here, found);
    if upstream.sessions == Sessions::Pinned && upstream.era == EraChoice::Modern {
        found.add(
            &here.name("sessions"),
            "`sessions` = \"pinned\" is for legacy servers, and `era` says that this one is modern: it has no sessions",
        );
    }
    headers(upstream, here, found);
    routes::globs(&upstream.idempotent, &here.name("idempotent"), found);
    bounds::upstream(upstream, here, found);
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= LONGEST_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(allowed)
}

/// Exactly one of the four ways to say where the pods are, and each pod a URL.
fn pods(upstream: &Upstream, here: &Key, found: &mut Findings<'_>) {
    let ways = [
        ("pods", !upstream.pods.is_empty()),
        ("dns", upstream.dns.is_some()),
        ("pods-file", upstream.pods_file.is_some()),
        ("command", !upstream.command.is_empty()),
    ];
    let given: Vec<_> = ways.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    match given.as_slice() {
        [_] => {}
        [] => found.add(
            here,
            format!("upstream {:?} has no pods: write one of `pods`, `dns`, `pods-file` and `command`", upstream.name),
        ),
        [first, more @ ..] => more.iter().for_each(|name| {
            let text = format!("`{name}` and `{first}` both say where the pods of {:?} are: keep one", upstream.name);
            found.add(&here.name(name), text);
        }),
    }
    for (at, pod) in upstream.pods.iter().enumerate() {
        if let Err(what) = urls::check(pod) {
            found.add(&here.name("pods").index(at), what);
        }
    }
    for (at, _) in repeated(&upstream.pods) {
        found.add(&here.name("pods").index(at), format!("{:?} stands there twice: leave one out", upstream.pods[at]));
    }
    if let Some(url) = &upstream.dns {
        dns(url, &here.name("dns"), found);
    }
}

fn dns(url: &str, here: &Key, found: &mut Findings<'_>) {
    if let Err(what) = urls::check(url) {
        found.add(here, what);
        return;
    }
    let uri: Option<Uri> = url.parse().ok().filter(|uri: &Uri| uri.scheme().is_some());
    let Some(host) = uri.as_ref().and_then(Uri::host) else {
        found.add(here, "`dns` is a URL with a host name, such as \"http://server.default.svc:9000/mcp\"");
        return;
    };
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if literal.parse::<std::net::IpAddr>().is_ok() {
        found.add(here, format!("{host} is an address, which resolves to itself: write pods = [{url:?}]"));
    }
}

/// A program has no use for what concerns connections.
fn command(upstream: &Upstream, here: &Key, found: &mut Findings<'_>) {
    if upstream.command.is_empty() {
        if !upstream.environment.is_empty() {
            found.add(&here.name("environment"), "`environment` is for `command`, and there is none");
        }
        return;
    }
    if upstream.command[0].is_empty() {
        found.add(&here.name("command").index(0), "the program is empty: write command = [\"PROGRAM\", \"ARGUMENT\"]");
    }
    if upstream.command.iter().any(|word| word.contains('\0')) {
        found.add(&here.name("command"), "no program takes arguments with a zero character in them");
    }
    if upstream.sessions == Sessions::Pinned {
        found.add(
            &here.name("sessions"),
            "`sessions` = \"pinned\" is for servers over HTTP: a program on stdio has the one session of its process, which \
             no other replica of the gateway can reach",
        );
    }
    let for_connections = [
        ("headers", !upstream.headers.is_empty()),
        ("authorities", upstream.authorities.is_some()),
        ("authorization-file", upstream.authorization_file.is_some()),
        ("identity", upstream.identity.is_some()),
        ("http2", upstream.http2),
    ];
    for (name, _) in for_connections.into_iter().filter(|(_, given)| *given) {
        found.add(
            &here.name(name),
            format!("`{name}` is for servers over HTTP, and this one is a `command`: leave it out"),
        );
    }
    for name in upstream.environment.keys() {
        if name.is_empty() || name.contains(['=', '\0']) {
            found.add(&here.name("environment").name(name), format!("{name:?} is no name of a variable"));
        }
    }
    if upstream.environment.values().any(|value| value.contains('\0')) {
        found.add(&here.name("environment"), "no variable takes a value with a zero character in it");
    }
}

/// Values may be secrets: no text repeats them.
fn headers(upstream: &Upstream, here: &Key, found: &mut Findings<'_>) {
    for (name, value) in &upstream.headers {
        let place = here.name("headers").name(name);
        let Ok(parsed) = name.parse::<HeaderName>() else {
            found.add(&place, format!("{name:?} is no name of a header"));
            continue;
        };
        if OWN_HEADERS.contains(&parsed) || parsed.as_str().starts_with(PARAM_PREFIX) {
            found.add(&place, format!("the gateway writes {name:?} itself: leave it out"));
        }
        if HeaderValue::from_str(value).is_err() {
            found.add(&place, format!("the value of {name:?} has characters that no header may have"));
        }
        if parsed == AUTHORIZATION && upstream.authorization_file.is_some() {
            found.add(
                &here.name("authorization-file"),
                "every request carries the `authorization` of `headers`, the gateway's own as well: keep one of the two",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_can_stand_in_names_and_uris() {
        for (name, sound) in [
            ("a", true),
            ("weather-2", true),
            (&"a".repeat(32), true),
            (&"a".repeat(33), false),
            ("", false),
            ("2a", false),
            ("-a", false),
            ("Weather", false),
            ("we_ather", false),
            ("wétter", false),
        ] {
            assert_eq!(is_name(name), sound, "{name:?}");
        }
    }
}
