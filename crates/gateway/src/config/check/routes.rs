//! What stands at which path, who may call it, and how often.

use std::collections::BTreeSet;

use anypod_proto::method::{Method, TaskMethod};
use anypod_server::Server;

use super::{Findings, arguments, bounds, key, repeated};
use crate::config::conform::{nearest, quoted};
use crate::config::document::Key;
use crate::config::{Config, EraChoice, Mode, Names, Rate, Route, Rule, Sessions, Token, Upstream};
use crate::federate::is_delimiter;

/// Paths that every listener answers by itself.
const OWN_PATHS: [&str; 2] = ["/healthz", "/readyz"];
/// The least bound of names: a hash of eight characters, and some of the name before it.
const LEAST_LONGEST: usize = 16;
/// The longest delimiter.
const LONGEST_DELIMITER: usize = 8;
/// The longest glob, in bytes.
pub(super) const LONGEST_GLOB: usize = 512;

pub(super) fn check(config: &Config, found: &mut Findings<'_>) {
    let list = key("route");
    for (at, route) in config.route.iter().enumerate() {
        let here = list.index(at);
        path(&route.path, &here.name("path"), found);
        upstreams(route, &config.upstream, &here, found);
        guard(route, &here, found);
        tokens(&route.token, &here.name("token"), found);
        rules(route, &here.name("rule"), found);
        rates(&route.rate, &here.name("rate"), found);
        names(route, &here.name("names"), found);
        extensions(route, &here.name("methods"), found);
        bounds::cache(&route.cache, &here.name("cache"), found);
    }
    let paths: Vec<_> = config.route.iter().map(|route| &route.path).collect();
    for (at, _) in repeated(&paths) {
        found.add(
            &list.index(at).name("path"),
            format!("two routes have the path {:?}: one with both `upstreams` federates them", paths[at]),
        );
    }
}

fn path(path: &str, here: &Key, found: &mut Findings<'_>) {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@%".contains(&byte);
    let tidy = !path.contains("//") && (path == "/" || !path.ends_with('/'));
    if !path.starts_with('/') || !path.bytes().all(allowed) || !tidy {
        found.add(
            here,
            format!("{} is no path: write one such as \"/mcp\", without `?`, `#` and a `/` at the end", quoted(path)),
        );
    } else if OWN_PATHS.contains(&path) {
        found.add(here, format!("the gateway tells at {path} how it is: choose another path"));
    }
}

fn upstreams(route: &Route, known: &[Upstream], here: &Key, found: &mut Findings<'_>) {
    let list = here.name("upstreams");
    if route.upstreams.is_empty() && !known.is_empty() {
        found.add(&list, format!("the route {:?} leads nowhere: name its upstreams", route.path));
    }
    for (at, name) in route.upstreams.iter().enumerate() {
        let Some(upstream) = known.iter().find(|upstream| upstream.name == *name) else {
            found.add(&list.index(at), unknown(name, known));
            continue;
        };
        if upstream.sessions == Sessions::Pinned && route.upstreams.len() > 1 {
            found.add(
                &list.index(at),
                format!(
                    "{name:?} has `sessions` = \"pinned\", so a client's session is on one pod of this one server, and cannot \
                     be that of several: give it a route of its own"
                ),
            );
        }
        if let Some(why) = unchecking(upstream).filter(|_| route.mode == Mode::Trust) {
            found.add(
                &here.name("mode"),
                format!(
                    "`mode` = \"trust\" leaves it to the upstream to hold headers against bodies, and {name:?} {why}: write \
                     \"verify\""
                ),
            );
        }
    }
    for (at, _) in repeated(&route.upstreams) {
        found.add(&list.index(at), format!("{:?} stands there twice: leave one out", route.upstreams[at]));
    }
}

fn unknown(name: &str, known: &[Upstream]) -> String {
    let names = || known.iter().map(|upstream| upstream.name.as_str());
    match nearest(name, names()) {
        Some(meant) => format!("there is no upstream {}: did you mean \"{meant}\"?", quoted(name)),
        None => format!("there is no upstream {}: there are {}", quoted(name), names().collect::<Vec<_>>().join(", ")),
    }
}

/// Why an upstream does not check headers.
fn unchecking(upstream: &Upstream) -> Option<&'static str> {
    match upstream.era {
        EraChoice::Legacy => Some("is legacy, which knows none of these headers"),
        EraChoice::Auto | EraChoice::Modern if !upstream.command.is_empty() => {
            Some("speaks stdio, which has no headers")
        }
        EraChoice::Auto | EraChoice::Modern => None,
    }
}

/// Hosts and origins, by the rules of the server that is to compare them.
fn guard(route: &Route, here: &Key, found: &mut Findings<'_>) {
    let server = || Server::new("check", "0");
    for (at, host) in route.hosts.iter().enumerate() {
        if let Err(error) = server().allow_host(host).build() {
            found.add(&here.name("hosts").index(at), error.to_string());
        }
    }
    for (at, origin) in route.origins.iter().enumerate() {
        if let Err(error) = server().allow_origin(origin).build() {
            found.add(&here.name("origins").index(at), error.to_string());
        }
    }
    if route.any_host_unchecked && !route.hosts.is_empty() {
        found.add(
            &here.name("any-host-unchecked"),
            "`any-host-unchecked` lets every host in, so `hosts` means nothing: keep one of the two",
        );
    }
}

fn tokens(tokens: &[Token], here: &Key, found: &mut Findings<'_>) {
    for (at, token) in tokens.iter().enumerate() {
        let here = here.index(at);
        if token.principal.trim().is_empty() {
            found.add(&here.name("principal"), "`principal` is empty: write whose token it is");
        }
        let is_digest = token.sha256.len() == 64 && token.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digest {
            // What stands there may be the token itself.
            found.add(
                &here.name("sha256"),
                "`sha256` is not 64 hexadecimal digits: write what `printf %s TOKEN | sha256sum` prints",
            );
        }
    }
    let digests: Vec<_> = tokens.iter().map(|token| token.sha256.to_ascii_lowercase()).collect();
    for (at, first) in repeated(&digests) {
        let text = format!("this is also the token of {:?}: each has one principal", tokens[first].principal);
        found.add(&here.index(at).name("sha256"), text);
    }
}

fn rules(route: &Route, here: &Key, found: &mut Findings<'_>) {
    let principals: BTreeSet<_> = route.token.iter().map(|token| token.principal.as_str()).collect();
    for (at, rule) in route.rule.iter().enumerate() {
        let here = here.index(at);
        globs(&rule.principals, &here.name("principals"), found);
        methods(&rule.methods, &here.name("methods"), found);
        globs(&rule.names, &here.name("names"), found);
        arguments::check(rule, route.mode, &here, found);
        for (at, principal) in rule.principals.iter().enumerate() {
            if !principal.contains('*') && !principals.contains(principal.as_str()) {
                found.add(
                    &here.name("principals").index(at),
                    format!("no token belongs to {}: write a [[route.token]] for it", quoted(principal)),
                );
            }
        }
        if let Some(part) = believed(rule).filter(|_| route.mode == Mode::Trust) {
            found.add(
                &here.name(part),
                format!(
                    "`mode` = \"trust\" believes headers, so whoever writes another name into the body evades a rule on \
                     `{part}` where the upstream does not check: write mode = \"verify\", or leave the rule to the upstream"
                ),
            );
        }
    }
}

/// What a rule takes from headers, if it does.
fn believed(rule: &Rule) -> Option<&'static str> {
    match (rule.names.is_empty(), rule.methods.is_empty()) {
        (false, _) => Some("names"),
        (true, false) => Some("methods"),
        (true, true) => None,
    }
}

fn rates(rates: &[Rate], here: &Key, found: &mut Findings<'_>) {
    for (at, rate) in rates.iter().enumerate() {
        let here = here.index(at);
        bounds::rate(rate, &here, found);
        methods(&rate.methods, &here.name("methods"), found);
        globs(&rate.names, &here.name("names"), found);
    }
}

fn names(route: &Route, here: &Key, found: &mut Findings<'_>) {
    let Names { prefix: _, delimiter, longest } = &route.names;
    let place = here.name("delimiter");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if delimiter.is_empty() || delimiter.len() > LONGEST_DELIMITER || !delimiter.bytes().all(allowed) {
        found.add(
            &place,
            format!(
                "{} cannot stand in a name: a delimiter is 1 to {LONGEST_DELIMITER} letters, digits, `_`, `-` and `.`",
                quoted(delimiter)
            ),
        );
    } else {
        for name in route.upstreams.iter().filter(|name| !is_delimiter(delimiter, name)) {
            found.add(
                &place,
                format!(
                    "the delimiter {delimiter:?} is part of the upstream {name:?}, or would not be seen to end it: rename it, or choose another"
                ),
            );
        }
    }
    if longest.is_some_and(|longest| longest < LEAST_LONGEST) {
        found.add(
            &here.name("longest"),
            format!("`longest` is at least {LEAST_LONGEST}, so that a hash and some of the name fit in"),
        );
    }
}

/// Whose methods of extensions are. Those of the protocol, and of tasks, say so themselves.
fn extensions(route: &Route, here: &Key, found: &mut Findings<'_>) {
    for (method, upstream) in &route.methods {
        let here = here.name(method);
        if is_method(method) {
            glob(method, &here, found);
        } else {
            found.add(&here, format!("{} fits no method: write one such as \"com.example/*\"", quoted(method)));
        }
        if Method::parse(method).is_some() || TaskMethod::parse(method).is_some() {
            found.add(
                &here,
                format!("{} goes where what it names is: leave it out, `methods` is for extensions", quoted(method)),
            );
        }
        if !route.upstreams.contains(upstream) {
            let names = route.upstreams.join(", ");
            found.add(
                &here,
                format!("{} is no upstream of the route {:?}: write one of {names}", quoted(upstream), route.path),
            );
        }
    }
}

fn methods(list: &[String], here: &Key, found: &mut Findings<'_>) {
    globs(list, here, found);
    for (at, glob) in list.iter().enumerate() {
        if !glob.is_empty() && !is_method(glob) {
            found.add(&here.index(at), format!("{} fits no method: write one such as \"tools/*\"", quoted(glob)));
        }
    }
}

/// Whether a method can look like this; what globs cannot have is for [`glob`] to say.
fn is_method(glob: &str) -> bool {
    glob.chars().all(|char| char.is_ascii_alphanumeric() || "/*_-.$".contains(char) || "{}[]".contains(char))
}

/// Globs know `*`, which stands for any characters, and nothing else.
pub(super) fn globs(list: &[String], here: &Key, found: &mut Findings<'_>) {
    for (at, one) in list.iter().enumerate() {
        glob(one, &here.index(at), found);
    }
}

fn glob(glob: &str, here: &Key, found: &mut Findings<'_>) {
    if glob.is_empty() || glob.len() > LONGEST_GLOB || glob.chars().any(char::is_control) {
        found.add(here, format!("{} fits nothing: a glob has 1 to {LONGEST_GLOB} visible characters", quoted(glob)));
    } else if glob.contains(['{', '}']) {
        found.add(
            here,
            format!("{} has braces, and no name has: `*` stands for any characters; list the others", quoted(glob)),
        );
    }
}
