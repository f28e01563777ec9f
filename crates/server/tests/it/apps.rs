//! The Apps extension: pages, the tools that name them, and what hosts without it get.

use std::sync::Arc;
use std::time::Duration;

use anypod_server::proto::resources::ReadResourceResult;
use anypod_server::proto::tools::CallToolResult;
use anypod_server::store::Memory;
use anypod_server::{
    App, Apps, AsTask, Caching, Csp, Cx, Json, Permission, Resource, ResourceTemplate, Server, ServerBuilder, State,
    Tasks, Tool, Visibility,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::front::{REVISIONS, client::Client};
use crate::support::{call, logs::Logs, modern};

const PAGE: &str = "<!DOCTYPE html><title>Cart</title>";
const TYPE: &str = "text/html;profile=mcp-app";

#[derive(Serialize, JsonSchema)]
struct Cart {
    items: u32,
}

fn page() -> App {
    let csp = Csp {
        connect_domains: vec!["https://api.shop.example".to_owned()],
        resource_domains: vec!["https://*.cdn.example".to_owned()],
        ..Csp::default()
    };
    App::html("ui://shop/cart", "cart", PAGE)
        .csp(csp)
        .permission(Permission::ClipboardWrite)
        .permission(Permission::Camera)
        .domain("shop.host.example")
        .prefers_no_border()
        .title("Cart")
        .description("What is in the cart")
        .cache(Caching::public(Duration::from_secs(60)))
}

fn look() -> Value {
    json!({
        "csp": { "connectDomains": ["https://api.shop.example"], "resourceDomains": ["https://*.cdn.example"] },
        "permissions": { "camera": {}, "clipboardWrite": {} },
        "domain": "shop.host.example",
        "prefersBorder": false,
    })
}

/// Gives data without text.
async fn bare() -> CallToolResult {
    CallToolResult { structured_content: Some(json!({ "items": 2 })), ..CallToolResult::default() }
}

async fn shows(cx: Cx) -> String {
    cx.shows_apps().to_string()
}

fn server() -> Server {
    let page = page();
    Server::new("shop", "1.0.0")
        .tool(Tool::new("cart", async || Json(Cart { items: 2 })).app(&page))
        .tool(Tool::new("bare", bare).ui("ui://shop/cart"))
        .tool(Tool::new("refresh", bare).app(&page).visible_to(Visibility::App))
        .tool(Tool::new("silent", async || {}).app(&page))
        .tool(Tool::new("plain", async || {}))
        .tool(Tool::new("shows", shows))
        .extension(Apps::new().app(page))
        .build()
        .expect("it builds")
}

fn declared(mime_types: Value) -> Value {
    json!({ "extensions": { "io.modelcontextprotocol/ui": { "mimeTypes": mime_types } } })
}

fn meta_of<'a>(tools: &'a Value, name: &str) -> &'a Value {
    let tools = tools["tools"].as_array().expect("tools");
    &tools.iter().find(|tool| tool["name"] == name).expect("the tool")["_meta"]
}

#[tokio::test]
async fn tools_name_their_pages_and_pages_say_what_they_want() {
    let server = server();
    let discovered = modern("server/discover", json!({})).send(&server).await;
    assert_eq!(discovered.result()["capabilities"]["extensions"], json!({ "io.modelcontextprotocol/ui": {} }));
    let tools = modern("tools/list", json!({})).send(&server).await;
    assert_eq!(meta_of(tools.result(), "cart"), &json!({ "ui": { "resourceUri": "ui://shop/cart" } }));
    let refresh = json!({ "ui": { "resourceUri": "ui://shop/cart", "visibility": ["app"] } });
    assert_eq!(meta_of(tools.result(), "refresh"), &refresh);
    assert_eq!(meta_of(tools.result(), "plain"), &Value::Null);
    let listed = modern("resources/list", json!({})).send(&server).await;
    let listed = &listed.result()["resources"];
    let expected = json!([{
        "uri": "ui://shop/cart", "name": "cart", "title": "Cart", "description": "What is in the cart",
        "mimeType": TYPE, "_meta": { "ui": look() },
    }]);
    assert_eq!(listed, &expected);
    let read = modern("resources/read", json!({ "uri": "ui://shop/cart" })).send(&server).await;
    let contents = json!([{ "uri": "ui://shop/cart", "mimeType": TYPE, "text": PAGE, "_meta": { "ui": look() } }]);
    assert_eq!(read.result()["contents"], contents);
    assert_eq!((&read.result()["ttlMs"], &read.result()["cacheScope"]), (&json!(60_000), &json!("public")));
}

#[tokio::test]
async fn results_say_in_text_what_pages_show() {
    let (logs, _guard) = Logs::capture();
    let server = server();
    for capabilities in [json!({}), declared(json!([TYPE]))] {
        for tool in ["cart", "bare", "refresh"] {
            let answer = call(tool, json!({})).capable(capabilities.clone()).send(&server).await;
            let said = (answer.text(), &answer.result()["structuredContent"]);
            assert_eq!(said, (r#"{"items":2}"#, &json!({ "items": 2 })), "{tool}");
        }
    }
    call("plain", json!({})).send(&server).await;
    assert!(!logs.text().contains("gave no text"), "{}", logs.text());
    let silent = call("silent", json!({})).send(&server).await;
    assert_eq!(silent.result()["content"], json!([]));
    assert!(logs.text().contains("gave no text") && logs.text().contains("silent"), "{}", logs.text());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_becomes_a_task_says_the_same() {
    let (store, page) = (Arc::new(Memory::default()), page());
    let server = Server::new("shop", "1.0.0")
        .tool(Tool::new("bare", bare).app(&page).task(AsTask::always()))
        .extension(Tasks::new(store))
        .extension(Apps::new().app(page))
        .build()
        .expect("it builds");
    let (mut work, worker) = (JoinSet::new(), server.clone());
    work.spawn(async move { worker.work().await });
    let capable = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let created = call("bare", json!({})).capable(capable.clone()).send(&server).await;
    let task = created.result()["taskId"].as_str().expect("a task").to_owned();
    let look = async || modern("tasks/get", json!({ "taskId": task })).capable(capable.clone()).send(&server).await;
    let mut seen = look().await;
    while seen.result()["status"] == "working" {
        tokio::time::sleep(Duration::from_millis(10)).await;
        seen = look().await;
    }
    let result = &seen.result()["result"];
    assert_eq!(
        (&result["content"][0]["text"], &result["structuredContent"]["items"]),
        (&json!(r#"{"items":2}"#), &json!(2))
    );
}

#[tokio::test]
async fn a_handler_can_ask_whether_pages_are_shown() {
    let server = server();
    let ask =
        async |capabilities: Value| call("shows", json!({})).capable(capabilities).send(&server).await.text() == "true";
    assert!(ask(declared(json!([TYPE]))).await);
    assert!(ask(declared(json!(["image/png", "text/html; profile=mcp-app"]))).await);
    assert!(!ask(declared(json!(["text/html"]))).await);
    assert!(!ask(declared(json!("text/html;profile=mcp-app"))).await);
    assert!(!ask(json!({ "extensions": { "io.modelcontextprotocol/ui": {} } })).await);
    assert!(!ask(json!({})).await);
}

#[tokio::test]
async fn legacy_clients_find_pages_as_others_do() {
    let server = server();
    for revision in REVISIONS {
        let mut client = Client::new(revision);
        let opened = client.initialize(&server, declared(json!([TYPE]))).await;
        assert_eq!(opened["capabilities"]["extensions"], json!({ "io.modelcontextprotocol/ui": {} }), "{revision}");
        let tools = client.request(&server, 1, "tools/list", json!({})).await.json().await;
        assert_eq!(meta_of(&tools["result"], "cart")["ui"]["resourceUri"], "ui://shop/cart", "{revision}");
        let listed = client.request(&server, 2, "resources/list", json!({})).await.json().await;
        assert_eq!(listed["result"]["resources"][0]["_meta"]["ui"], look(), "{revision}");
        let params = json!({ "uri": "ui://shop/cart" });
        let read = client.request(&server, 3, "resources/read", params).await.json().await;
        let contents = &read["result"]["contents"][0];
        assert_eq!((&contents["mimeType"], &contents["_meta"]["ui"]), (&json!(TYPE), &look()), "{revision}");
        let called = client.call(&server, "bare").await.response().await;
        assert_eq!(called["result"]["content"][0]["text"], r#"{"items":2}"#, "{revision}");
        // What it declared does not outlast `initialize`.
        let shown = client.call(&server, "shows").await.response().await;
        assert_eq!(shown["result"]["content"][0]["text"], "false", "{revision}");
    }
}

#[tokio::test]
async fn a_page_can_be_written_by_a_handler() {
    #[derive(Clone)]
    struct Assets(&'static str);
    async fn whole() -> ReadResourceResult {
        let ui =
            json!({ "contents": [{ "uri": "ui://a/whole", "text": PAGE, "_meta": { "ui": { "domain": "here" } } }] });
        serde_json::from_value(ui).expect("a result")
    }
    let text = App::new("ui://a/text", "text", async |State(Assets(page)): State<Assets>| page).prefers_border();
    let bytes = App::new("ui://a/bytes", "bytes", async || PAGE.as_bytes().to_vec());
    let whole = App::new("ui://a/whole", "whole", whole).domain("there");
    let apps = || Apps::new().app(bytes).app(whole).app(text);
    let server = Server::new("a", "1").state(Assets(PAGE)).extension(apps()).build().expect("it builds");
    let read = async |uri: &str| {
        let answer = modern("resources/read", json!({ "uri": uri })).send(&server).await;
        let contents = &answer.result()["contents"][0];
        assert_eq!((&contents["uri"], &contents["mimeType"]), (&json!(uri), &json!(TYPE)));
        contents.clone()
    };
    let text = read("ui://a/text").await;
    assert_eq!((&text["text"], &text["_meta"]), (&json!(PAGE), &json!({ "ui": { "prefersBorder": true } })));
    let bytes = read("ui://a/bytes").await;
    assert_eq!((bytes["blob"].is_string(), &bytes["_meta"]), (true, &Value::Null));
    assert_eq!(read("ui://a/whole").await["_meta"]["ui"], json!({ "domain": "here" }));
    let stateless = App::new("ui://a/text", "text", async |State(Assets(page)): State<Assets>| page);
    let problem =
        Server::new("a", "1").extension(Apps::new().app(stateless)).build().expect_err("no state").to_string();
    assert!(problem.contains("State<"), "{problem}");
}

#[test]
fn mistakes_about_pages_are_found_while_building() {
    let with = |tool: Tool| Server::new("s", "1").extension(Apps::new().app(page())).tool(tool);
    let tool = || Tool::new("t", async || "x");
    let problem = |server: ServerBuilder| server.build().expect_err("a mistake").to_string();
    let refused = |server: ServerBuilder, words: &[&str]| {
        let problem = problem(server);
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
    };
    refused(with(tool().ui("ui://shop/crat")), &["tool `t`", "`ui://shop/crat`", "does not have"]);
    refused(with(tool().ui("https://shop.example/cart")), &["tool `t`", "https://shop.example/cart", "`ui://`"]);
    refused(Server::new("s", "1").tool(tool().ui("ui://shop/cart")), &["tool `t`", "io.modelcontextprotocol/ui"]);
    let by_hand = tool().with_meta(|meta| drop(meta.insert("ui".to_owned(), json!({ "resourceUri": 7 }))));
    refused(with(by_hand), &["tool `t`", "7"]);
    let plain = Resource::new("ui://shop/plain", "plain", async || PAGE).mime_type("text/html");
    refused(with(tool()).resource(plain), &["`ui://shop/plain`", TYPE]);
    let template = ResourceTemplate::new("ui://shop/of/{name}", "of", async || PAGE);
    let named = || tool().ui("ui://shop/of/ann");
    refused(with(named()).resource_template(template), &["tool `t`", "`ui://shop/of/ann`", TYPE]);
    let template = ResourceTemplate::new("ui://shop/of/{name}", "of", async || PAGE).mime_type(TYPE);
    with(named()).resource_template(template).build().expect("a page of a family");
    let app = |app: App| Server::new("s", "1").extension(Apps::new().app(app));
    refused(app(App::html("https://shop.example/cart", "cart", PAGE)), &["https://shop.example/cart", "`ui://`"]);
    refused(app(App::html("ui://shop/cart", "cart", "cart.html")), &["ui://shop/cart", "DOCTYPE"]);
    let csp = Csp { frame_domains: vec!["a; script-src *".to_owned()], ..Csp::default() };
    refused(app(page().csp(csp)), &["ui://shop/cart", "a; script-src *"]);
    let twice = Server::new("s", "1").extension(Apps::new().app(page()).app(page()));
    refused(twice, &["ui://shop/cart", "two have this name"]);
}
