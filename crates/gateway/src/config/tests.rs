//! What is refused, where, and what is said about it; the examples and the pages that are generated.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

use super::document::Key;
use super::schema::schema;
use super::shape::{Kind, Shape};
use super::*;

/// What every refused text below builds on: right in itself.
const SOUND: &str = "[[upstream]]\nname = \"a\"\npods = [\"http://a/mcp\"]\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("anypod.toml"))
}

/// The problems as they are written.
fn refused(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(config) => panic!("{text} is taken as {config:?}"),
        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
    }
}

/// Asserts that the one problem of a text stands in this line and says this.
fn says(text: &str, line: usize, expected: &str) {
    let problems = refused(text);
    let [problem] = problems.as_slice() else { panic!("{text}\nhas {problems:#?}") };
    assert!(problem.starts_with(&format!("anypod.toml:{line}:")), "{problem}\nshould be in line {line} of\n{text}");
    assert!(problem.contains(expected), "{problem}\nshould say {expected}");
}

/// The same for what stands below [`SOUND`], counted from there.
fn below(text: &str, line: usize, expected: &str) {
    says(&format!("{SOUND}{text}"), line + 3, expected);
}

/// The same for a route that leads to `a`; its first line is the third.
fn in_route(text: &str, line: usize, expected: &str) {
    below(&format!("[[route]]\npath = \"/mcp\"\nupstreams = [\"a\"]\n{text}"), line, expected);
}

#[test]
fn the_least_that_can_be_written_is_enough() {
    let config = parse(SOUND).unwrap();
    assert_eq!(config.listener[0].address, "127.0.0.1:8080");
    assert_eq!(config.route, [Route::new("/mcp", ["a"])]);
    assert_eq!(config.upstream, [Upstream { pods: vec!["http://a/mcp".to_owned()], ..Upstream::new("a") }]);
    assert_eq!(config.limits, Limits::default());
}

#[test]
fn urls_alone_make_one_upstream_and_one_route() {
    let config = Config::of_upstreams(&["http://a/mcp".to_owned(), "unix:/run/b.sock".to_owned()]);
    assert_eq!(config.check(), Ok(()));
    assert_eq!(
        (config.upstream.len(), config.upstream[0].pods.len(), config.upstream[0].name.as_str()),
        (1, 2, "server")
    );
    assert_eq!(config.route, [Route::new("/mcp", ["server"])]);
    let error = Config::of_upstreams(&["ftp://a".to_owned()]).check().unwrap_err();
    let [problem] = error.problems() else { panic!("{error}") };
    assert!(problem.text().contains("ftp://a") && problem.place().is_none(), "{problem}");
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    says("[[upstream]]\nname = \"a\npods = []\n", 2, "");
    assert!(refused(&"= \n".repeat(100)).len() <= 5);
}

#[test]
fn an_unknown_key_is_told_with_what_was_meant() {
    below("pod = []\n", 1, "unknown key \"pod\" in [[upstream]]: did you mean \"pods\"?");
    below("resolve_every = \"1s\"\n", 1, "did you mean \"resolve-every\"?");
    below("replicas = 2\n", 1, "it belongs into [fleet]");
    below("effect = \"deny\"\n", 1, "it belongs into [[route.rule]]");
    below(
        "[fleet]\nfrobnicate = 1\n",
        2,
        "unknown key \"frobnicate\" in [fleet]: known are key-file, replicas, advertise, peers",
    );
    below("[route]\n", 1, "[[route]]");
    says("[[upstreams]]\nname = \"a\"\npods = [\"http://a/mcp\"]\n", 1, "did you mean \"upstream\"?");
}

#[test]
fn a_wrong_type_is_told_with_what_to_write() {
    below("connections = \"many\"\n", 1, "`connections` is a text: write a whole number");
    below("connections = -1\n", 1, "`connections` is -1: write a whole number from 0 on");
    below("http2 = 1\n", 1, "`http2` is a whole number: write true or false");
    below(
        "era = \"legcay\"\n",
        1,
        "`era` is \"legcay\": did you mean \"legacy\"? write \"auto\", \"modern\" or \"legacy\"",
    );
    below("[upstream.health]\nevery = \"10m\"\n", 2, "\"10m\" is no time: write a whole number and a unit");
    below("[upstream.health]\nevery = 10\n", 2, "write a time in quotes, such as \"10s\"");
    below("headers = [\"a\"]\n", 1, "write it with one bracket");
    below("headers.authorization = 1\n", 1, "`authorization` is a whole number: write a text in quotes");
    below("[[fleet]]\nreplicas = 1\n", 1, "there is one [fleet] only");
    below("[fleet]\nreplicas = 70000\n", 2, "70000");
    says("[[upstream]]\npods = [\"http://a/mcp\", 5]\nname = \"a\"\n", 2, "`pods` is a whole number: write a text");
    says("[[upstream]]\npods = [\"http://a/mcp\"]\n", 1, "[[upstream]] has no `name`: Its name: lower-case letters");
}

#[test]
fn every_problem_is_told_and_in_order() {
    let text = "[[upstream]]\nname = \"A\"\npod = [\"ftp://a\", \"http://b/mcp\"]\n[[route]]\npath = \"mcp\"\nupstreams = [\"b\"]\n\
                [limits]\nrequests = 0\nstreams = 0\n";
    let problems = refused(text);
    let lines: Vec<_> = problems.iter().map(|problem| problem.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["2", "3", "3", "5", "6", "8", "9"], "{problems:#?}");
    // Where types are wrong nothing else can be told, but every one of them is.
    assert_eq!(
        refused(&text.replace("requests = 0", "requests = true").replace("streams = 0", "streams = []")).len(),
        3
    );
}

#[test]
fn upstreams_are_held_against_what_can_run() {
    let nothing = refused("# nothing\n");
    assert!(nothing[0].starts_with("anypod.toml: there is no upstream: write [[upstream]]"), "{nothing:#?}");
    below(SOUND, 2, "two upstreams are named \"a\"");
    says(
        "[[upstream]]\nname = \"a\"\n",
        1,
        "upstream \"a\" has no pods: write one of `pods`, `dns`, `pods-file` and `command`",
    );
    below("dns = \"http://b/mcp\"\n", 1, "`dns` and `pods` both say where the pods of \"a\" are: keep one");
    says("[[upstream]]\nname = \"a\"\npods = [\"http://a/mcp\",\n\"http://a/mcp\"]\n", 4, "stands there twice");
    let way = |line: &str, expected: &str| says(&format!("[[upstream]]\nname = \"a\"\n{line}\n"), 3, expected);
    way("pods = [\"a:9000\"]", "a pod is http://HOST:PORT/PATH");
    way("dns = \"unix:/run/a.sock\"", "`dns` is a URL with a host name");
    way("dns = \"http://10.0.0.1:80/mcp\"", "write pods = [\"http://10.0.0.1:80/mcp\"]");
    way("command = [\"\"]", "the program is empty");
    below("environment = { A = \"b\" }\n", 1, "`environment` is for `command`");
    let command = |line: &str, expected: &str| {
        says(&format!("[[upstream]]\nname = \"a\"\ncommand = [\"a\"]\n{line}\n"), 4, expected);
    };
    command("sessions = \"pinned\"", "a program on stdio has the one session of its process");
    command("headers = { a = \"b\" }", "`headers` is for servers over HTTP");
    command("http2 = true", "`http2` is for servers over HTTP");
    command("environment = { \"A=B\" = \"c\" }", "is no name of a variable");
    below("era = \"modern\"\nsessions = \"pinned\"\n", 2, "it has no sessions");
    below("headers = { \"a b\" = \"c\" }\n", 1, "is no name of a header");
    below("headers = { host = \"c\" }\n", 1, "the gateway writes \"host\" itself");
    below("headers = { Mcp-Param-City = \"c\" }\n", 1, "the gateway writes");
    below("idempotent = [\"\"]\n", 1, "fits nothing");
}

#[test]
fn routes_are_held_against_upstreams() {
    let route = |text: &str, line: usize, expected: &str| below(&format!("[[route]]\n{text}"), line, expected);
    route("path = \"/mcp\"\nupstreams = [\"a\", \"b\"]\n", 3, "there is no upstream \"b\": there are a");
    route("path = \"/mcp\"\nupstreams = [\"a\", \"a\"]\n", 3, "stands there twice");
    route("path = \"/mcp\"\nupstreams = []\n", 3, "leads nowhere");
    for path in ["mcp", "/mcp/", "/a?b", "/a b", "//a", "/ä", ""] {
        route(&format!("path = \"{path}\"\nupstreams = [\"a\"]\n"), 2, "is no path");
    }
    route("path = \"/healthz\"\nupstreams = [\"a\"]\n", 2, "choose another path");
    let one = "[[route]]\npath = \"/mcp\"\nupstreams = [\"a\"]\n";
    below(&format!("{one}{one}"), 5, "two routes have the path \"/mcp\"");
}

#[test]
fn a_pinned_session_is_of_one_server() {
    let text = |upstreams: &str| {
        format!(
            "{SOUND}sessions = \"pinned\"\n{}[[route]]\npath = \"/mcp\"\nupstreams = {upstreams}\n",
            SOUND.replace("\"a\"", "\"b\"")
        )
    };
    assert!(parse(&text("[\"a\"]")).is_ok());
    says(&text("[\"b\", \"a\"]"), 10, "give it a route of its own");
}

#[test]
fn hosts_and_origins_could_match() {
    in_route("hosts = [\"mcp.example.com\", \"https://mcp.example.com\"]\n", 4, "a host is a name such as");
    in_route("origins = [\"app.example.com\"]\n", 4, "an origin is a scheme and a host");
    in_route("hosts = [\"a\"]\nany-host-unchecked = true\n", 5, "keep one of the two");
}

#[test]
fn a_token_is_a_digest_and_has_one_principal() {
    let token = |principal: &str, digest: &str| {
        format!("[[route.token]]\nprincipal = \"{principal}\"\nsha256 = \"{digest}\"\n")
    };
    let digest = "5E".repeat(32);
    in_route(&token("alice", "sesame"), 6, "`sha256` is not 64 hexadecimal digits: write what `printf");
    assert!(
        !refused(&format!("{SOUND}[[route]]\npath = \"/\"\nupstreams = [\"a\"]\n{}", token("alice", "sesame")))[0]
            .contains("sesame")
    );
    in_route(&token(" ", &digest), 5, "`principal` is empty");
    in_route(
        &(token("alice", &digest) + &token("bob", &digest.to_lowercase())),
        9,
        "this is also the token of \"alice\"",
    );
}

#[test]
fn rules_and_rates_could_apply() {
    in_route(
        "[[route.rule]]\neffect = \"deny\"\nprincipals = [\"alice\", \"*\"]\n",
        6,
        "no token belongs to \"alice\"",
    );
    in_route("[[route.rule]]\neffect = \"deny\"\nmethods = [\"tools call\"]\n", 6, "fits no method");
    in_route("[[route.rule]]\neffect = \"deny\"\nnames = [\"{a,b}\"]\n", 6, "has braces");
    in_route("[[route.rule]]\nnames = [\"a\"]\n", 4, "[[route.rule]] has no `effect`");
    for rate in ["0", "-1.5", "nan", "inf", "1e10"] {
        in_route(&format!("[[route.rate]]\nper-second = {rate}\n"), 5, "write how many requests a second");
    }
    in_route("[[route.rate]]\nper-second = 1\nburst = 0\n", 6, "no request would ever pass");
}

#[test]
fn rules_on_arguments_are_looked_at_and_could_fit() {
    let rule = |mode: &str, text: &str| format!("mode = \"{mode}\"\n[[route.rule]]\neffect = \"deny\"\n{text}\n");
    let sound = "arguments = { \"/table\" = [\"secret*\", \"\"], \"/a~1b/~0\" = [\"{\"] }";
    let text = format!("{SOUND}[[route]]\npath = \"/mcp\"\nupstreams = [\"a\"]\n{}", rule("parse", sound));
    assert_eq!(parse(&text).unwrap().route[0].rule[0].arguments.len(), 2);
    for mode in ["verify", "trust"] {
        in_route(&rule(mode, sound), 7, "write mode = \"parse\" in this [[route]]");
    }
    let parse = |text: &str, line: usize, expected: &str| in_route(&rule("parse", text), line, expected);
    for pointer in ["table", "", "/a~", "/a~2"] {
        parse(&format!("arguments = {{ \"{pointer}\" = [\"x\"] }}"), 7, "is no JSON Pointer to an argument");
    }
    parse("arguments = { \"/table\" = [] }", 7, "no value fits \"/table\": write [\"*\"] for any");
    parse(&format!("arguments = {{ \"/table\" = [\"{}\"] }}", "x".repeat(513)), 7, "is too long");
    parse("methods = [\"resources/*\"]\narguments = { \"/table\" = [\"x\"] }", 8, "have arguments: write one of them");
    parse("arguments = { \"/table\" = \"x\" }", 7, "`/table` is a text: write a list of texts");
    parse("arguments = { \"/table\" = [1] }", 7, "is a whole number: write a text");
    parse("arguments = [\"x\"]", 7, "write it with one bracket");
    parse("argument = { \"/table\" = [\"x\"] }", 7, "did you mean \"arguments\"?");
}

#[test]
fn trust_leaves_nothing_to_headers_that_nobody_checks() {
    in_route("mode = \"trust\"\n[[route.rule]]\neffect = \"deny\"\nnames = [\"a\"]\n", 7, "evades a rule on `names`");
    in_route(
        "mode = \"trust\"\n[[route.rule]]\neffect = \"deny\"\nmethods = [\"tools/*\"]\n",
        7,
        "evades a rule on `methods`",
    );
    let principals = "mode = \"trust\"\n[[route.rule]]\neffect = \"deny\"\nprincipals = [\"*\"]\n";
    assert!(parse(&format!("{SOUND}[[route]]\npath = \"/mcp\"\nupstreams = [\"a\"]\n{principals}")).is_ok());
    let route = "[[route]]\npath = \"/mcp\"\nupstreams = [\"a\"]\nmode = \"trust\"\n";
    below(&format!("era = \"legacy\"\n{route}"), 5, "\"a\" is legacy, which knows none of these headers");
    says(
        &format!("[[upstream]]\nname = \"a\"\ncommand = [\"a\"]\n{route}"),
        7,
        "\"a\" speaks stdio, which has no headers",
    );
}

#[test]
fn names_can_be_told_apart() {
    in_route("[route.names]\ndelimiter = \"\"\n", 5, "cannot stand in a name");
    in_route("[route.methods]\n\"x y\" = \"a\"\n", 5, "fits no method: write one such as \"com.example/*\"");
    in_route("[route.methods]\n\"{x}/*\" = \"a\"\n", 5, "has braces");
    in_route("[route.methods]\n\"tools/call\" = \"a\"\n", 5, "`methods` is for extensions");
    in_route("[route.methods]\n\"tasks/get\" = \"a\"\n", 5, "`methods` is for extensions");
    in_route("[route.methods]\n\"x/*\" = \"b\"\n", 5, "is no upstream of the route \"/mcp\": write one of a");
    in_route("[route.names]\ndelimiter = \" / \"\n", 5, "cannot stand in a name");
    in_route("[route.names]\nlonge = 64\n", 5, "did you mean");
    in_route("[route.names]\nlongest = 15\n", 5, "`longest` is at least 16");
    let text = "[[upstream]]\nname = \"a-b\"\npods = [\"http://a/mcp\"]\n[[route]]\npath = \"/mcp\"\nupstreams = [\"a-b\"]\n\
                names = { delimiter = \"-\" }\n";
    says(text, 7, "the delimiter \"-\" is part of the upstream \"a-b\"");
}

#[test]
fn listeners_do_not_take_each_others_ports() {
    let listeners = |more: &str| format!("{more}\n[[listener]]\naddress = \"127.0.0.1:8080\"\n{SOUND}");
    says(&listeners("[[listener]]\naddress = \"0.0.0.0:8080\""), 4, "127.0.0.1:8080 is taken by 0.0.0.0:8080");
    says(&listeners("admin = \"127.0.0.1:8080\""), 1, "is taken by");
    says(&listeners("admin = \"8080\""), 1, "\"8080\" is no address: write HOST:PORT");
    assert!(parse(&listeners("admin = \"127.0.0.1:9090\"\n[[listener]]\naddress = \"[::1]:8080\"")).is_ok());
    says(&format!("listener = []\n{SOUND}"), 1, "nobody can connect");
}

#[test]
fn replicas_need_keys_that_all_share() {
    below("[fleet]\nreplicas = 2\n", 2, "`anypod keys new --out anypod.keys` makes them");
    below("[fleet]\npeers = [\"http://10.0.0.7:8080\"]\n", 2, "write key-file = \"anypod.keys\" in [fleet]");
    below("[fleet]\nreplicas = 0\n", 2, "1 or more");
    for url in ["10.0.0.7:8080", "https://a", "unix:/run/a", "http://", "http://a:b@c"] {
        below(&format!("[fleet]\nadvertise = \"{url}\"\n"), 2, "is no URL under which replicas reach each other");
    }
    let keyed = format!(
        "{SOUND}[fleet]\nkey-file = \"k\"\nreplicas = 2\npeers = [\"http://10.0.0.7:8080\", \"http://10.0.0.7:8080\"]\n"
    );
    says(&keyed, 7, "is among the peers already");
}

#[test]
fn no_bound_stops_everything() {
    let limits = Shape::of(schema()).key("limits").unwrap();
    for (name, shape) in limits
        .keys()
        .filter(|(name, _)| !["drain", "drain-delay", "whole-body-bytes", "read-ahead-bytes"].contains(name))
    {
        let zero = if shape.kind() == Kind::Time { "\"0s\"" } else { "0" };
        below(&format!("[limits]\n{name} = {zero}\n"), 2, &format!("`{name}` is 0"));
    }
    below("[limits]\nbody-bytes = 9223372036854775807\n", 2, "write a number from 1 to 1099511627776");
    below("[limits]\nheader-bytes = 1024\n", 2, "write a number from 8192 to");
    below("connections = 0\n", 1, "`connections` is 0");
    below("authorization-file = \"own\"\nheaders.Authorization = \"x\"\n", 1, "keep one of the two");
    below("[upstream.health]\nfailures = 0\n", 2, "no pod would ever be well");
    below("[upstream.health]\npause = \"1h\"\n", 1, "`longest-pause` is 30s, which is less than `pause`, 1h");
    below("[upstream.timeouts]\nhead = \"0s\"\n", 2, "nothing would ever be in time");
    in_route("[route.cache]\nbytes = 0\n", 5, "write enabled = false");
    in_route("[route.cache]\nlongest = \"0s\"\n", 5, "write enabled = false");
}

#[test]
fn a_secret_is_in_no_message() {
    let text = "[[upstream]]\nname = \"a\"\npods = [\"http://user:sesame@a/mcp\"]\nheaders = { authorization = \"sesame\\u0007\" }\n\
                [fleet]\nadvertise = \"http://user:sesame@a\"\n[observe]\notlp = \"http://user:sesame@a\"\n";
    let problems = refused(text);
    assert_eq!(problems.len(), 4, "{problems:#?}");
    assert!(problems.iter().all(|problem| !problem.contains("sesame")), "{problems:#?}");
}

#[test]
fn paths_are_relative_to_the_file() {
    let text = "[[listener]]\naddress = \"unix:a.sock\"\ntls = { certificate = \"c\", key = \"/k\" }\n\
                [[upstream]]\nname = \"a\"\npods = [\"unix:b.sock:/mcp\", \"unix:/c.sock:/mcp\", \"http://d/mcp\"]\n\
                [[upstream]]\nname = \"b\"\ncommand = [\"./run\", \"./x\"]\n[[upstream]]\nname = \"c\"\ncommand = [\"run\"]\n\
                [observe]\naccess-log = \"-\"\n";
    let config = Config::parse(text, Path::new("/etc/anypod/anypod.toml")).unwrap();
    assert_eq!(config.listener[0].address, "unix:/etc/anypod/a.sock");
    assert_eq!(config.files(), [PathBuf::from("/etc/anypod/c"), PathBuf::from("/k")]);
    assert_eq!(config.upstream[0].pods, ["unix:/etc/anypod/b.sock:/mcp", "unix:/c.sock:/mcp", "http://d/mcp"]);
    assert_eq!(config.upstream[1].command, ["/etc/anypod/./run", "./x"]);
    assert_eq!(config.upstream[2].command, ["run"]);
    assert_eq!(config.observe.access_log.as_deref(), Some(Path::new("-")));
}

#[test]
fn what_cannot_work_as_meant_is_warned_of() {
    assert_eq!(parse(SOUND).unwrap().warnings(), [""; 0]);
    let text = format!(
        "[[listener]]\naddress = \"0.0.0.0:8080\"\n[fleet]\nreplicas = 2\nkey-file = \"k\"\n{SOUND}{}[[route]]\npath = \"/mcp\"\n\
         upstreams = [\"a\"]\n",
        SOUND.replace("\"a\"", "\"b\"")
    );
    let warnings = parse(&text).unwrap().warnings();
    let [advertise, hosts, unused] = warnings.as_slice() else { panic!("{warnings:#?}") };
    assert!(advertise.contains("`advertise`") && hosts.contains("`hosts`") && unused.ends_with("the upstream b"));
}

proptest! {
    #[test]
    fn whatever_is_written_is_taken_or_refused_with_places_in_it(
        (at, cut, put) in (0usize..2000, 0usize..12, "[\\[\\]=\"\\n{}a-z0-9ä., ]{0,8}"),
    ) {
        let sound = fs::read_to_string(docs().join("examples/policy.toml")).unwrap();
        let chars: Vec<char> = sound.chars().collect();
        let (before, after) = chars.split_at(at.min(chars.len()));
        let text: String = before.iter().copied().chain(put.chars()).chain(after.iter().skip(cut).copied()).collect();
        if let Err(error) = parse(&text) {
            let lines: Vec<_> = text.split('\n').map(|line| line.chars().count()).collect();
            for place in error.problems().iter().filter_map(Problem::place) {
                prop_assert!(place.line <= lines.len() && place.column <= lines[place.line - 1] + 1, "{place:?} in {text}");
            }
            prop_assert_eq!(error.to_string().lines().count(), error.problems().len());
        }
    }
}

/// The folder of the pages.
fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[test]
fn every_example_is_taken() {
    let mut read = 0;
    for entry in fs::read_dir(docs().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        // The files that they name are not there.
        let config =
            Config::parse(&fs::read_to_string(&path).unwrap(), &path).unwrap_or_else(|error| panic!("{error}"));
        let shown = config.show().unwrap();
        assert!(shown.contains("[[route]]"), "{shown}");
        read += 1;
    }
    assert!(read >= 6, "{read}");
}

#[test]
fn the_pages_say_what_the_types_say() {
    let how = "is stale: cargo run -p anypod-gateway --example document";
    for (name, text) in [("gateway-configuration.md", reference()), ("anypod.schema.json", format!("{:#}\n", schema()))]
    {
        let page = fs::read_to_string(docs().join(name)).unwrap_or_default();
        assert!(page == text, "docs/{name} {how}");
    }
}

/// Every key with its shape, by its path.
fn all<'s>(shape: Shape<'s>, key: &Key, found: &mut Vec<(String, Shape<'s>)>) {
    for (name, here) in shape.keys() {
        let key = key.name(name);
        found.push((key.to_string(), here));
        let inner = if matches!(here.kind(), Kind::List(_)) { here.element().unwrap() } else { here };
        all(inner, &key, found);
    }
}

/// A default as prose has it: `64 KiB`, `1,024`, `5 min`.
fn prose(default: &Value, kind: &Kind) -> String {
    match (default, kind) {
        (Value::String(text), Kind::Time) if text.ends_with('d') => format!("{} days", text.trim_end_matches('d')),
        (Value::String(text), Kind::Time) => {
            let digits = text.trim_end_matches(|char: char| char.is_alphabetic());
            format!("{digits} {}", &text[digits.len()..])
        }
        (Value::String(text), _) => format!("`{text}`"),
        (Value::Number(number), _) => {
            let number = number.as_u64().unwrap();
            match number {
                0 => "0".to_owned(),
                number if number % (1 << 20) == 0 => format!("{} MiB", number >> 20),
                number if number % (1 << 10) == 0 && number >= 64 << 10 => format!("{} KiB", number >> 10),
                number if number >= 1000 => format!("{},{:03}", number / 1000, number % 1000),
                number => number.to_string(),
            }
        }
        (other, _) => other.to_string(),
    }
}

#[test]
fn every_key_is_documented_with_its_default() {
    let mut keys = Vec::new();
    all(Shape::of(schema()), &Key::default(), &mut keys);
    assert!(keys.len() > 90, "{}", keys.len());
    let mut wrong = BTreeSet::new();
    for (key, shape) in keys {
        if shape.doc().is_empty() || shape.choices().any(|(_, doc)| doc.is_empty()) {
            wrong.insert(format!("{key} is not documented"));
        }
        match shape.default() {
            None | Some(Value::Array(_) | Value::Object(_) | Value::Null) => {}
            Some(default) => {
                let expected = prose(default, &shape.kind());
                let doc = shape.doc();
                let said = doc.split_once("Default ").is_some_and(|(_, said)| said.starts_with(&expected));
                if !said {
                    wrong.insert(format!("{key} should say `Default {expected}`: {doc}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
