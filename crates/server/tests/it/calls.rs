//! Tools, prompts, resources, templates, completion and lists, as a client sees them.

use std::time::Duration;

use anypod_server::proto::method::Method;
use anypod_server::{
    Args, Caching, Cx, Error, Limits, Partial, Prompt, Resource, ResourceTemplate, Result, Server, ServerBuilder, Tool,
    Uri, Vars,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::fixture::{base, full, server};
use crate::support::{Answer, Modern, World, alice, call, modern};

fn read(uri: &str) -> Modern {
    modern("resources/read", json!({ "uri": uri }))
}

fn get(name: &str, arguments: Value) -> Modern {
    modern("prompts/get", json!({ "name": name, "arguments": arguments }))
}

fn complete(reference: Value, argument: &str, value: &str) -> Modern {
    modern("completion/complete", json!({ "ref": reference, "argument": { "name": argument, "value": value } }))
}

fn caching(answer: &Answer) -> (&Value, &Value) {
    (&answer.result()["ttlMs"], &answer.result()["cacheScope"])
}

// Discovery

#[tokio::test]
async fn discover_says_what_the_server_has_and_no_more() {
    let answer = modern("server/discover", json!({})).send(&server()).await;
    let result = answer.result();
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    let capabilities: Vec<_> = result["capabilities"].as_object().expect("an object").keys().collect();
    assert_eq!(capabilities, ["logging", "completions", "prompts", "resources", "tools"]);
    let bare = Server::new("bare", "1").instructions("Do nothing.").build().expect("it builds");
    let answer = modern("server/discover", json!({})).send(&bare).await;
    assert_eq!(
        (&answer.result()["capabilities"], &answer.result()["instructions"]),
        (&json!({}), &json!("Do nothing."))
    );
}

// Unknown things

#[tokio::test]
async fn what_does_not_exist_is_invalid_params_that_say_what() {
    let server = server();
    let template = json!({ "type": "ref/resource", "uri": "film://{title}" });
    for (request, data) in [
        (call("nope", json!({})), json!({ "name": "nope" })),
        (call("Echo", json!({})), json!({ "name": "Echo" })),
        (get("nope", json!({})), json!({ "name": "nope" })),
        (read("note://nope"), json!({ "uri": "note://nope" })),
        (read("book://dune"), json!({ "uri": "book://dune" })),
        (complete(json!({ "type": "ref/prompt", "name": "nope" }), "topic", ""), json!({ "name": "nope" })),
        (complete(json!({ "type": "ref/prompt", "name": "essay" }), "nope", ""), json!({ "name": "nope" })),
        (complete(template, "title", ""), json!({ "uri": "film://{title}" })),
    ] {
        let answer = request.send(&server).await;
        answer.assert_refused(400, -32602);
        assert_eq!(answer.data(), &data);
    }
    let odd = complete(json!({ "type": "ref/other", "name": "x" }), "topic", "").send(&server).await;
    odd.assert_refused(400, -32602);
}

#[tokio::test]
async fn a_refusal_does_not_repeat_all_of_a_long_name() {
    let long = "x".repeat(1 << 20);
    let server = server();
    for request in [
        call(&long, json!({})),
        get(&long, json!({})),
        complete(json!({ "type": "ref/resource", "uri": long }), "x", ""),
        complete(json!({ "type": "ref/prompt", "name": long }), "x", ""),
    ] {
        let answer = request.send(&server).await;
        answer.assert_refused(400, -32602);
        assert!(answer.body.len() < 2000, "{}", answer.body.len());
    }
}

// Prompts

#[tokio::test]
async fn a_prompt_is_rendered_with_its_arguments() {
    let server = server();
    let answer = get("essay", json!({ "topic": "tides", "tone": "warm" })).send(&server).await;
    assert_eq!(answer.result()["messages"][0]["content"]["text"], "Write about tides, Some(Warm).");
    let list = modern("prompts/list", json!({})).send(&server).await;
    let arguments = &list.result()["prompts"][0]["arguments"];
    assert_eq!((&arguments[0]["name"], &arguments[0]["description"]), (&json!("topic"), &json!("What it is about.")));
    assert_eq!((&arguments[1]["name"], &arguments[1]["required"]), (&json!("tone"), &json!(false)));
}

#[tokio::test]
async fn arguments_of_a_prompt_that_make_no_sense_are_the_callers_mistake() {
    let server = server();
    for (arguments, named) in [
        (json!({}), "topic"),
        (json!({ "tone": "warm" }), "topic"),
        (json!({ "topic": 5 }), "topic"),
        (json!({ "topic": null }), "topic"),
        (json!({ "topic": "x", "tone": "loud" }), "loud"),
    ] {
        let answer = get("essay", arguments.clone()).send(&server).await;
        assert_eq!(answer.error()["code"], -32602, "{arguments}: {}", answer.response());
        assert!(answer.error().to_string().contains(named), "{}", answer.error());
    }
    let none = modern("prompts/get", json!({ "name": "essay" })).send(&server).await;
    assert_eq!(none.error()["code"], -32602);
}

#[tokio::test]
async fn arguments_of_a_prompt_are_read_from_text() {
    #[derive(Deserialize, JsonSchema)]
    struct Review {
        remarks: u8,
        strict: Option<bool>,
    }
    let review = async |Args(Review { remarks, strict }): Args<Review>| format!("{remarks} {strict:?}");
    let server = base(&World::default()).prompt(Prompt::new("review", review)).build().unwrap();
    let answer = get("review", json!({ "remarks": "5", "strict": "true", "other": [1] })).send(&server).await;
    assert_eq!(answer.result()["messages"][0]["content"]["text"], "5 Some(true)");
    let many = get("review", json!({ "remarks": "many" })).send(&server).await;
    assert_eq!(many.error()["code"], -32602);
    assert!(many.error().to_string().contains("many"), "{}", many.error());
}

// Resources

#[tokio::test]
async fn resources_are_text_or_bytes() {
    let server = server();
    let text = read("note://one").send(&server).await;
    let expected = json!([{ "uri": "note://one", "mimeType": "text/plain", "text": "the first note" }]);
    assert_eq!(text.result()["contents"], expected);
    let bytes = read("note://bytes").send(&server).await;
    let expected = json!([{ "uri": "note://bytes", "mimeType": "application/octet-stream", "blob": "AJ+Slg==" }]);
    assert_eq!(bytes.result()["contents"], expected);
}

#[tokio::test]
async fn variables_of_a_template_are_decoded_and_typed() {
    let server = server();
    let page = read("book://war%20and%20peace/7").send(&server).await;
    let contents = &page.result()["contents"][0];
    assert_eq!(
        (&contents["text"], &contents["uri"]),
        (&json!("war and peace, page 7"), &json!("book://war%20and%20peace/7"))
    );
    for nothing in ["book://dune/seven", "book://dune/-1", "book://dune/99999999999", "book://dune/1/2"] {
        let answer = read(nothing).send(&server).await;
        answer.assert_refused(400, -32602);
        assert_eq!(answer.data(), &json!({ "uri": nothing }));
    }
}

#[tokio::test]
async fn an_exact_resource_comes_before_templates_and_those_in_their_order() {
    let server = base(&World::default())
        .resource_template(ResourceTemplate::new("x://{a}", "first", async |Uri(uri): Uri| format!("first {uri}")))
        .resource_template(ResourceTemplate::new("x://{+b}", "second", async |Uri(uri): Uri| format!("second {uri}")))
        .resource(Resource::new("x://exact", "exact", async || "exact"))
        .build()
        .expect("it builds");
    for (uri, text) in [("x://exact", "exact"), ("x://a", "first x://a"), ("x://a/b", "second x://a/b")] {
        assert_eq!(read(uri).send(&server).await.result()["contents"][0]["text"], text);
    }
}

// Completion

#[tokio::test]
async fn completes_prompts_and_templates() {
    let server = server();
    let book = json!({ "type": "ref/resource", "uri": "book://{book}/{page}" });
    let titles = complete(book.clone(), "book", "du").send(&server).await;
    let expected = json!({ "values": ["dune", "dubliners"], "total": 2, "hasMore": false });
    assert_eq!(titles.result()["completion"], expected);
    let pages = complete(book, "page", "").send(&server).await;
    assert_eq!(pages.result()["completion"]["values"], json!([]), "nothing is suggested, which is no error");
    let topics = complete(json!({ "type": "ref/prompt", "name": "essay" }), "topic", "t").send(&server).await;
    let completion = &topics.result()["completion"];
    assert_eq!(completion["values"].as_array().expect("values").len(), 100);
    assert_eq!((&completion["total"], &completion["hasMore"]), (&json!(150), &json!(true)));
}

// Lists

fn many(world: &World, page: usize) -> ServerBuilder {
    let mut limits = Limits::default();
    limits.page_items = page;
    let names = ["zeta", "alpha", "mid", "beta", "omega"];
    names.into_iter().fold(base(world).limits(limits), |builder, name| {
        builder
            .tool(Tool::new(name, async || "t"))
            .prompt(Prompt::new(name, async || "p"))
            .resource(Resource::new(format!("x:{name}"), name, async || "r"))
            .resource_template(ResourceTemplate::new(format!("{name}:{{v}}"), name, async || "r"))
    })
}

const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("prompts/list", "prompts"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
];

fn names(answer: &Answer, member: &str) -> Vec<String> {
    let items = answer.result()[member].as_array().expect("items");
    items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn pages_go_on_at_another_pod_without_gap_or_overlap() {
    let world = World::default();
    for (method, member) in LISTS {
        for page in [1, 2, 3, 5, 100] {
            let pods = [many(&world, page).build().expect("it builds"), many(&world, page).build().expect("it builds")];
            let (mut all, mut cursor) = (Vec::new(), None);
            for turn in 0.. {
                let params = cursor.map_or(json!({}), |cursor: Value| json!({ "cursor": cursor }));
                let answer = modern(method, params).send(&pods[turn % 2]).await;
                let some = names(&answer, member);
                assert!(!some.is_empty() && some.len() <= page);
                all.extend(some);
                cursor = answer.result().get("nextCursor").cloned();
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(all, ["zeta", "alpha", "mid", "beta", "omega"], "{method} by {page}");
        }
    }
}

#[tokio::test]
async fn a_cursor_that_does_not_belong_here_is_invalid() {
    let world = World::default();
    let server = many(&world, 2).build().expect("it builds");
    let first = modern("tools/list", json!({})).principal(alice()).send(&server).await;
    let cursor = first.result()["nextCursor"].as_str().expect("a cursor").to_owned();
    let next = |method: &str, cursor: &str| modern(method, json!({ "cursor": cursor }));
    assert_eq!(next("tools/list", &cursor).principal(alice()).send(&server).await.status, 200);
    let others = [
        next("prompts/list", &cursor).principal(alice()),
        next("tools/list", &cursor),
        next("tools/list", &cursor).principal(anypod_server::Principal::new("https://id.example", "bob")),
        next("tools/list", "").principal(alice()),
        next("tools/list", "2").principal(alice()),
        next("tools/list", &format!("{cursor}A")).principal(alice()),
    ];
    for other in others {
        other.send(&server).await.assert_refused(400, -32602);
    }
    world.advance(86_400);
    next("tools/list", &cursor).principal(alice()).send(&server).await.assert_refused(400, -32602);
}

#[tokio::test]
async fn a_cursor_to_what_a_newer_release_dropped_is_invalid() {
    let world = World::default();
    let first = modern("tools/list", json!({})).send(&many(&world, 2).build().expect("it builds")).await;
    let newer = base(&world).tool(Tool::new("zeta", async || "t")).build().expect("it builds");
    let next = modern("tools/list", json!({ "cursor": first.result()["nextCursor"] })).send(&newer).await;
    next.assert_refused(400, -32602);
}

#[tokio::test]
async fn two_of_one_name_cannot_be_built() {
    let world = World::default();
    let template = || ResourceTemplate::new("x://{a}", "x", async || "r");
    for builder in [
        base(&world).tool(Tool::new("t", async || "1")).tool(Tool::new("t", async || "2")),
        base(&world).prompt(Prompt::new("p", async || "1")).prompt(Prompt::new("p", async || "2")),
        base(&world).resource(Resource::new("x:1", "a", async || "1")).resource(Resource::new(
            "x:1",
            "b",
            async || "2",
        )),
        base(&world).resource_template(template()).resource_template(template()),
    ] {
        assert!(builder.build().expect_err("two of one name").to_string().contains("two have this name"));
    }
}

// Caching

#[tokio::test]
async fn nothing_may_be_cached_unless_it_is_said() {
    let server = server();
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("prompts/list", json!({})),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({ "uri": "note://one" })),
        ("resources/read", json!({ "uri": "book://dune/1" })),
    ] {
        let answer = modern(method, params).send(&server).await;
        assert_eq!(caching(&answer), (&json!(0), &json!("private")), "{method}");
    }
}

#[tokio::test]
async fn hints_are_set_per_method_and_per_resource() {
    let hour = Caching::public(Duration::from_secs(3600));
    let template =
        ResourceTemplate::new("y://{a}", "y", async || "r").cache(Caching::private(Duration::from_millis(7)));
    let mut limits = Limits::default();
    limits.page_items = 2;
    let server = full(&World::default())
        .limits(limits)
        .cache(Method::ToolsList, hour)
        .cache(Method::Discover, Caching::private(Duration::from_secs(5)))
        .resource_template(template)
        .build()
        .expect("it builds");
    let first = modern("tools/list", json!({})).send(&server).await;
    let second = modern("tools/list", json!({ "cursor": first.result()["nextCursor"] })).send(&server).await;
    for page in [first, second] {
        assert_eq!(caching(&page), (&json!(3_600_000), &json!("public")), "all pages have one scope");
    }
    let discover = modern("server/discover", json!({})).send(&server).await;
    assert_eq!(caching(&discover), (&json!(5000), &json!("private")));
    assert_eq!(caching(&read("note://bytes").send(&server).await), (&json!(60_000), &json!("public")));
    assert_eq!(caching(&read("y://z").send(&server).await), (&json!(7), &json!("private")));
    assert_eq!(caching(&modern("prompts/list", json!({})).send(&server).await), (&json!(0), &json!("private")));
}

// Definitions

#[derive(Deserialize, JsonSchema)]
struct Empty {}

#[tokio::test]
async fn definitions_are_listed_as_they_were_given() {
    let schema = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "not": { "required": ["x"] } });
    let server = base(&World::default())
        .tool(Tool::new("a", async |Args(Empty {}): Args<Empty>| "a").title("A").description("Does a"))
        .tool(Tool::new("b", async || "b").input_schema(schema.clone()))
        .tool(Tool::new("c", async || "c"))
        .build()
        .expect("it builds");
    let list = modern("tools/list", json!({})).send(&server).await;
    let tools = &list.result()["tools"];
    assert_eq!((&tools[0]["title"], &tools[0]["description"]), (&json!("A"), &json!("Does a")));
    assert_eq!(tools[1]["inputSchema"], schema);
    assert_eq!(tools[2]["inputSchema"]["type"], "object");
    assert_eq!(call("b", json!({ "x": 1 })).send(&server).await.result()["isError"], true);
    assert_eq!(call("b", json!({ "y": 1 })).send(&server).await.text(), "b");
}

#[tokio::test]
async fn a_handler_whose_calls_do_not_hold_what_it_takes_is_found_when_the_server_is_built() {
    #[derive(Deserialize, JsonSchema)]
    struct Id {
        #[expect(dead_code, reason = "only its schema matters")]
        id: u64,
    }
    let world = World::default();
    let server = || base(&world);
    let prompt = || Prompt::new("p", async |_: Args<Id>| "p");
    let template = |handler| ResourceTemplate::new("x://{id}", "x", async || "r").complete("id", handler);
    let suggest = async |_: Vars<Id>| vec!["1"];
    for (builder, named) in [
        (server().tool(Tool::new("t", async |_: Vars<Id>| "t")), ["tool `t`", "`Vars`"]),
        (server().tool(Tool::new("t", async |_: Uri| "t")), ["tool `t`", "`Uri`"]),
        (server().tool(Tool::new("t", async |_: Partial| "t")), ["tool `t`", "`Partial`"]),
        (server().tool(Tool::new("t", async |_: Args<Vec<u8>>| "t")), ["tool `t`", "object"]),
        (server().prompt(Prompt::new("p", async |_: Vars<Id>| "p")), ["prompt `p`", "`Vars`"]),
        (server().prompt(prompt().complete("id", async |_: Args<Id>| vec!["1"])), ["prompt `p`", "`Args`"]),
        (server().resource(Resource::new("x:1", "x", async |_: Args<Id>| "r")), ["resource `x:1`", "`Args`"]),
        (server().resource(Resource::new("x:1", "x", async |_: Vars<Id>| "r")), ["resource `x:1`", "`Vars`"]),
        (server().resource_template(template(suggest)), ["resource template `x://{id}`", "`Vars`"]),
    ] {
        let error = builder.build().expect_err(named[0]).to_string();
        assert!(named.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_work_is_found_when_the_server_is_built() {
    let world = World::default();
    let tool = |schema: Value| base(&world).tool(Tool::new("t", async || "t").input_schema(schema));
    let annotated = |name: &str, kind: &str| {
        tool(json!({ "type": "object", "properties": { "a": { "type": kind, "x-mcp-header": name } } }))
    };
    let broken = [
        tool(json!({ "type": "array" })),
        tool(json!({ "type": "object", "$ref": "https://example.com/schema" })),
        tool(json!({ "$schema": "http://json-schema.org/draft-04/schema#", "type": "object" })),
        tool(json!({ "type": "object", "properties": { "a": { "type": "unheard" } } })),
        annotated("A", "number"),
        annotated("", "string"),
        annotated("a b", "string"),
        base(&world).tool(Tool::new("no spaces", async || "t")),
        base(&world).tool(Tool::new("no/slashes", async || "t")),
        base(&world).tool(Tool::new("", async || "t")),
        base(&world).tool(Tool::new("t", async |anypod_server::State(_): anypod_server::State<String>| "t")),
        base(&world).tool(Tool::new("t", async || "t").single_use()),
        base(&world).resource(Resource::new("no scheme", "x", async || "r")),
        base(&world).resource(Resource::new("note://a b", "x", async || "r")),
        base(&world).resource(Resource::new("1note://a", "x", async || "r")),
        base(&world).resource_template(ResourceTemplate::new("x://{", "x", async || "r")),
        base(&world).prompt(Prompt::new("p", async || "p").complete("nothing", async || vec!["x"])),
        Server::new("s", "1").replicas(2),
    ];
    for (at, builder) in broken.into_iter().enumerate() {
        assert!(builder.build().is_err(), "{at}");
    }
    assert!(base(&world).replicas(2).build().is_ok(), "replicas with a ring understand each other");
}

#[tokio::test]
async fn a_file_is_not_reached_by_climbing_out_of_its_directory() {
    let builder = ["file:///srv/{name}", "FILE:///any/{+name}", "note://{+name}"]
        .into_iter()
        .fold(base(&World::default()), |builder, template| {
            builder.resource_template(ResourceTemplate::new(template, "file", async |uri: Uri| uri.0))
        });
    let server = builder.build().expect("it builds");
    for good in ["file:///srv/a..b", "file:///srv/..a", "FILE:///any/a/b", "note://a/../b"] {
        assert_eq!(read(good).send(&server).await.result()["contents"][0]["text"], good);
    }
    for climbing in ["file:///srv/..", "file:///srv/..%2Fkey", "file:///srv/%2e%2E%5Ckey", "FILE:///any/a/../../key"] {
        let refused = read(climbing).send(&server).await;
        assert_eq!(refused.assert_refused(400, -32602).data(), &json!({ "uri": climbing }));
    }
}

#[tokio::test]
async fn what_depends_on_answers_is_not_for_caches() {
    let server = server();
    let asks = || read("note://asks").capable(json!({ "elicitation": {} }));
    let question = asks().send(&server).await;
    let answer = json!({ "action": "accept", "content": { "name": "Ann" } });
    let done = asks().resume(&question, json!({ "name": answer })).send(&server).await;
    assert_eq!(done.result()["contents"][0]["text"], "Ann");
    assert_eq!((&done.result()["ttlMs"], &done.result()["cacheScope"]), (&json!(0), &json!("private")));
}

#[tokio::test]
async fn a_handler_can_go_on_with_the_trace_of_its_caller() {
    let follow = async |cx: Cx| {
        let trace = cx.trace();
        format!("{:?} {:?} {:?}", trace.parent.map(|parent| parent.to_string()), trace.state, trace.baggage)
    };
    let server = base(&World::default()).tool(Tool::new("follow", follow)).build().expect("it builds");
    let parent = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
    let traced = |parent: &str| {
        let call = call("follow", json!({})).meta("traceparent", json!(parent));
        call.meta("tracestate", json!("vendor=1")).meta("baggage", json!("user=7"))
    };
    let all = traced(parent).send(&server).await;
    assert_eq!(all.text(), format!("Some({parent:?}) Some(\"vendor=1\") Some(\"user=7\")"));
    // The state of a vendor means nothing without the trace; baggage stands alone.
    assert_eq!(traced("00-00-00-00").send(&server).await.text(), "None None Some(\"user=7\")");
}

#[tokio::test]
async fn a_handler_does_not_send_codes_that_the_specification_keeps_for_itself() {
    let fail = async |Args(Code { code }): Args<Code>| -> Result<&'static str> { Err(Error::protocol(code, "no")) };
    let server = base(&World::default()).tool(Tool::new("fail", fail)).build().expect("it builds");
    for (chosen, sent) in
        [(-32002, -32602), (-32042, -32603), (-32099, -32603), (-32021, -32603), (-31999, -31999), (7, 7)]
    {
        let answer = call("fail", json!({ "code": chosen })).send(&server).await;
        assert_eq!((&answer.error()["code"], &answer.error()["message"]), (&json!(sent), &json!("no")));
    }
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Code {
    code: i32,
}
