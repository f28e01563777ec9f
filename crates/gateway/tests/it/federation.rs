//! Several servers behind one address.

use std::collections::BTreeMap;

use anypod_client::Client;
use anypod_client::proto::completion::{
    CompletionArgument, CompletionReference, PromptReference, ResourceTemplateReference,
};
use anypod_client::proto::version::Era;
use anypod_gateway::config::{EraChoice, Upstream};
use anypod_server::{Limits, Resource, Server, ServerBuilder, Tool};
use anypod_testkit::script::{self, Expect, Reply, Script};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::{Fleet, Pod, Seen, Sent, config, fixture, person, ring, soon, text, upstream, upstream_at};

const TASKS: &str = "io.modelcontextprotocol/tasks";

/// A server whose tools say whose they are: so many, and one that others have as well.
fn many(name: &'static str, count: usize) -> Server {
    let mut limits = Limits::default();
    limits.page_items = 10;
    let says = |tool: String| {
        let said = format!("{name}:{tool}");
        Tool::new(tool, move || std::future::ready(said.clone()))
    };
    let server = Server::new(name, "1.0.0").keys(ring(2)).limits(limits).tool(says("shared".to_owned()));
    let server = server.resource(Resource::new("note://one", "one", move || std::future::ready(format!("of {name}"))));
    let add = |server: ServerBuilder, n| server.tool(says(format!("{name}_{n}")));
    (1..count).fold(server, add).build().unwrap()
}

/// An upstream that nobody serves; no other process is given its port while the socket lives.
fn dead() -> (Upstream, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/mcp", socket.local_addr().unwrap());
    (upstream_at("dead", EraChoice::Modern, &[url]), socket)
}

/// Three servers, one of them legacy, and one that is dead.
async fn three() -> (Fleet, Vec<Pod>, TcpSocket) {
    let mut pods = Vec::new();
    for (name, count) in [("large", 120), ("small", 1), ("old", 40)] {
        pods.push(Pod::start(many(name, count)).await);
    }
    let (dead, socket) = dead();
    let upstreams = [
        upstream("large", EraChoice::Modern, [&pods[0]]),
        upstream("small", EraChoice::Auto, [&pods[1]]),
        upstream("old", EraChoice::Legacy, [&pods[2]]),
        dead,
    ];
    (Fleet::of(config(upstreams)).await, pods, socket)
}

async fn tools(client: &Client) -> Vec<String> {
    soon(client.tools().into_future()).await.unwrap().into_iter().map(|tool| tool.name).collect()
}

#[tokio::test]
async fn every_tool_is_listed_once_and_every_call_reaches_its_server() {
    let (fleet, _pods, _socket) = three().await;
    for era in [Era::Modern, Era::Legacy] {
        let client = fleet.client(era);
        let listed = tools(&client).await;
        let mut expected: Vec<_> = ["large", "small", "old"].map(|name| format!("{name}__shared")).into();
        expected.extend((1..120).map(|n| format!("large_{n}")));
        expected.extend((1..40).map(|n| format!("old_{n}")));
        let count = |names: &[String]| {
            names.iter().fold(BTreeMap::new(), |mut counted, name| {
                *counted.entry(name.clone()).or_insert(0) += 1;
                counted
            })
        };
        assert_eq!(count(&listed), count(&expected), "{era:?}");
        for name in &listed {
            let (server, own) = match name.split_once("__") {
                Some((server, own)) => (server, own),
                None => (name.split('_').next().unwrap(), name.as_str()),
            };
            let result = soon(client.call(name, json!({})).into_future()).await.unwrap();
            assert_eq!(text(&result), format!("{server}:{own}"), "{era:?}");
        }
    }
    assert!(fleet.way.sent().iter().all(|sent| *sent > 100));
}

#[tokio::test]
async fn a_replica_that_has_listed_nothing_finds_the_server_of_a_tool() {
    let (mut fleet, _pods, _socket) = three().await;
    for name in ["large_77", "old_39", "small__shared"] {
        fleet.restart().await;
        let result = Sent::call(name, json!({})).to(fleet.at(1)).await.result();
        assert_eq!(result["content"][0]["text"].as_str().unwrap().split(':').next(), name.split('_').next());
    }
    for name in ["shared", "large_120", "small_large_1"] {
        assert_eq!(Sent::call(name, json!({})).to(fleet.at(1)).await.refusal(), (400, -32602), "{name}");
    }
    // It may well be there, where nobody can see it.
    assert_eq!(Sent::call("dead__shared", json!({})).to(fleet.at(1)).await.status, 503);
}

#[tokio::test]
async fn what_a_dead_server_would_have_is_said_to_be_missing() {
    let (fleet, _pods, _socket) = three().await;
    for method in ["tools/list", "server/discover", "resources/list"] {
        let result = Sent::modern(method, json!({})).to(fleet.at(0)).await.result();
        let missing = &result["_meta"][anypod_client::proto::meta::UNAVAILABLE];
        assert_eq!(*missing, json!([{ "upstream": "dead", "reason": "the server cannot be reached" }]), "{method}");
        assert!(result["ttlMs"].as_u64().unwrap() <= 1000, "{result}");
    }
}

#[tokio::test]
async fn resources_bear_the_name_of_their_server() {
    let (fleet, _pods, _socket) = three().await;
    for era in [Era::Modern, Era::Legacy] {
        let client = fleet.client(era);
        let listed = soon(client.resources().into_future()).await.unwrap();
        let mut uris: Vec<_> = listed.into_iter().map(|resource| resource.uri).collect();
        uris.sort();
        assert_eq!(uris, ["large+note://one", "old+note://one", "small+note://one"]);
        for uri in uris {
            let read = serde_json::to_value(soon(client.read(&uri).into_future()).await.unwrap()).unwrap();
            let server = uri.split('+').next().unwrap();
            assert_eq!(
                (&read["contents"][0]["uri"], &read["contents"][0]["text"]),
                (&json!(uri), &json!(format!("of {server}")))
            );
        }
    }
    for uri in ["note://one", "nobody+note://one"] {
        assert_eq!(
            Sent::modern("resources/read", json!({ "uri": uri })).to(fleet.at(0)).await.refusal(),
            (400, -32602)
        );
    }
}

/// Two servers alike, one of them legacy.
async fn twins() -> (Fleet, Vec<Seen>, Vec<Pod>) {
    let (mut seen, mut pods) = (Vec::new(), Vec::new());
    for name in ["new", "old"] {
        seen.push(Seen::default());
        pods.push(Pod::start(fixture(name, seen.last().unwrap()).build().unwrap()).await);
    }
    let upstreams = [upstream("new", EraChoice::Modern, [&pods[0]]), upstream("old", EraChoice::Legacy, [&pods[1]])];
    (Fleet::of(config(upstreams)).await, seen, pods)
}

#[tokio::test]
async fn prompts_templates_and_completions_are_those_of_their_server() {
    let (fleet, _seen, _pods) = twins().await;
    for era in [Era::Modern, Era::Legacy] {
        let client = fleet.client(era);
        let prompts = soon(client.prompts().into_future()).await.unwrap();
        assert_eq!(prompts.len(), 4);
        let templates = soon(client.resource_templates().into_future()).await.unwrap();
        let templates: Vec<_> = templates.into_iter().map(|template| template.uri_template).collect();
        assert_eq!(templates, ["new+book://{book}/{page}", "old+book://{book}/{page}"]);
        for server in ["new", "old"] {
            let name = format!("{server}__essay");
            let prompt = soon(client.prompt(&name, [("text", "bees")]).into_future()).await.unwrap();
            let prompt = serde_json::to_value(prompt).unwrap();
            assert_eq!(prompt["messages"][0]["content"]["text"], "Write about bees.");
            let by_name = CompletionReference::Prompt(PromptReference { name, title: None });
            let uri = format!("{server}+book://{{book}}/{{page}}");
            let by_uri = CompletionReference::Resource(ResourceTemplateReference { uri });
            for (reference, argument) in [(by_name, "text"), (by_uri, "book")] {
                let argument = CompletionArgument { name: argument.to_owned(), value: "du".to_owned() };
                let said = soon(client.complete(reference, argument, None).into_future()).await.unwrap();
                let said = serde_json::to_value(said).unwrap();
                assert_eq!(said["completion"]["values"], json!(["dune", "dubliners"]), "{server} {era:?}");
            }
            let read = soon(client.read(&format!("{server}+book://emma/7")).into_future()).await.unwrap();
            let read: Value = serde_json::to_value(read).unwrap();
            assert_eq!(read["contents"][0]["text"], "emma, page 7");
            assert_eq!(read["contents"][0]["uri"], format!("{server}+book://emma/7"));
        }
    }
}

#[tokio::test]
async fn the_tools_of_several_servers_ask_by_way_of_any_replica() {
    let (fleet, seen, _pods) = twins().await;
    for era in [Era::Modern, Era::Legacy] {
        let client = fleet.client_of(person("Ann"), era);
        for name in ["new__ask", "old__ask"] {
            assert_eq!(text(&soon(client.call(name, json!({})).into_future()).await.unwrap()), "Hello, Ann!");
        }
    }
    assert_eq!([seen[0].calls("ask"), seen[1].calls("ask")], [2, 2]);
}

#[tokio::test]
async fn a_cursor_opens_on_every_replica_and_for_its_list_only() {
    let mut pods = Vec::new();
    for name in ["one", "two"] {
        pods.push(Pod::start(many(name, 300)).await);
    }
    let upstreams = [upstream("one", EraChoice::Modern, [&pods[0]]), upstream("two", EraChoice::Modern, [&pods[1]])];
    let mut fleet = Fleet::of(config(upstreams)).await;
    let first = Sent::modern("tools/list", json!({})).to(fleet.at(0)).await.result();
    let cursor = first["nextCursor"].as_str().expect("more than a page").to_owned();
    fleet.restart().await;
    let second = Sent::modern("tools/list", json!({ "cursor": cursor })).to(fleet.at(1)).await.result();
    let count = |page: &Value| page["tools"].as_array().unwrap().len();
    assert_eq!(count(&first) + count(&second), 600);
    assert!(second.get("nextCursor").is_none());
    for (method, cursor) in [("prompts/list", cursor.as_str()), ("tools/list", &cursor[1..]), ("tools/list", "10")] {
        let answer = Sent::modern(method, json!({ "cursor": cursor })).to(fleet.at(0)).await;
        assert_eq!(answer.refusal(), (400, -32602), "{method} {cursor}");
    }
}

/// A server that declares these extensions, and answers whatever else it is asked with its name.
async fn extended(name: &'static str, extensions: &[&str]) -> script::Server {
    let extensions: serde_json::Map<_, _> = extensions.iter().map(|id| ((*id).to_owned(), json!({}))).collect();
    let discovered = json!({
        "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 60_000, "cacheScope": "public",
        "capabilities": { "extensions": extensions },
    });
    Script::new()
        .always(Expect::method("server/discover"), Reply::result(&discovered))
        .always(Expect::any(), Reply::result(&json!({ "resultType": "complete", "by": name })))
        .serve()
        .await
        .unwrap()
}

#[tokio::test]
async fn methods_of_extensions_go_to_the_server_that_has_the_extension_or_where_it_is_configured() {
    let servers = [
        extended("plain", &[TASKS]).await,
        extended("crm", &["com.example/crm", "com.example/notes"]).await,
        extended("shop", &["org.other/shop", "org.other/notes"]).await,
    ];
    let upstreams = ["plain", "crm", "shop"].into_iter().zip(&servers);
    let upstreams = upstreams.map(|(name, server)| upstream_at(name, EraChoice::Modern, &[server.url()]));
    let mut config = config(upstreams);
    let asks = |method: &'static str| Sent::modern(method, json!({ "q": "tasks" }));
    let fleet = Fleet::of(config.clone()).await;
    for (method, server) in [("crm/find", "crm"), ("shop/cart/add", "shop"), ("org.other/notes/list", "shop")] {
        assert_eq!(asks(method).to(fleet.at(1)).await.result()["by"], server, "{method}");
    }
    for method in ["notes/list", "find"] {
        let answer = asks(method).to(fleet.at(0)).await;
        assert_eq!(answer.refusal(), (404, -32601), "{method}");
        let error = &answer.json()["error"];
        let how = format!("methods = {{ \"{method}\" = \"crm\" }} in its [[route]]");
        assert!(error["message"].as_str().unwrap().contains(&how), "{error}");
        assert_eq!(error["data"]["upstreams"], json!(["crm", "shop"]));
    }
    let configured = [("notes/*", "plain"), ("notes/li*", "crm"), ("notes/last", "shop"), ("crm/*", "shop")];
    config.route[0].methods = configured.map(|(method, name)| (method.to_owned(), name.to_owned())).into();
    let fleet = Fleet::of(config.clone()).await;
    for (method, server) in [
        ("notes/add", "plain"),
        ("notes/list", "crm"),
        ("notes/last", "shop"),
        ("crm/find", "shop"),
        ("shop/x", "shop"),
    ] {
        assert_eq!(asks(method).to(fleet.at(0)).await.result()["by"], server, "{method}");
    }
    // Of two that declare something, the only one that does; of none, nobody.
    config.route[0].methods.clear();
    config.route[0].upstreams = vec!["plain".to_owned(), "crm".to_owned()];
    let fleet = Fleet::of(config.clone()).await;
    assert_eq!(asks("find").to(fleet.at(0)).await.result()["by"], "crm");
    config.upstream[1].pods = config.upstream[0].pods.clone();
    let fleet = Fleet::of(config).await;
    assert_eq!(asks("find").to(fleet.at(0)).await.refusal(), (404, -32601));
}

#[tokio::test]
async fn a_task_of_no_upstream_is_answered_as_by_a_server_that_has_no_such_task() {
    let servers = [extended("plain", &[TASKS]).await, extended("crm", &["com.example/crm"]).await];
    let upstreams = ["plain", "crm"].into_iter().zip(&servers);
    let upstreams = upstreams.map(|(name, server)| upstream_at(name, EraChoice::Modern, &[server.url()]));
    let mut config = config(upstreams);
    let fleet = Fleet::of(config.clone()).await;
    let asks = |method: &'static str, id: &str| {
        Sent::modern(method, json!({ "taskId": id, "inputResponses": {} })).with("mcp-name", id)
    };
    let declares = format!(r#""form":{{}}}},"extensions":{{"{TASKS}":{{}}}}"#);
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        for id in ["x", "x+1"] {
            let answer = asks(method, id).written_with(r#""form":{}}"#, &declares).to(fleet.at(0)).await;
            assert_eq!(answer.refusal(), (400, -32602), "{method} {id}");
            // Whoever has not said so is not told more than that.
            let answer = asks(method, id).to(fleet.at(0)).await;
            assert_eq!(answer.refusal(), (400, -32021), "{method} {id}");
        }
        assert_eq!(asks(method, "plain+1").to(fleet.at(0)).await.result()["by"], "plain");
    }
    // Where none of them has tasks, there is no such method.
    config.upstream[0].pods = config.upstream[1].pods.clone();
    let fleet = Fleet::of(config).await;
    assert_eq!(asks("tasks/get", "x").to(fleet.at(0)).await.refusal(), (404, -32601));
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_may_have_the_extension() {
    let server = extended("plain", &[]).await;
    let (dead, _socket) = dead();
    let fleet = Fleet::of(config([upstream_at("plain", EraChoice::Modern, &[server.url()]), dead])).await;
    assert_eq!(Sent::modern("crm/find", json!({})).to(fleet.at(0)).await.status, 503);
}
