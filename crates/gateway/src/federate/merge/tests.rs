//! Merged lists: as examples, and walked through page by page.

use anypod_proto::meta::{SERVER_INFO, UNAVAILABLE};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::{Names, Prefix};
use crate::federate::names::Resolved;
use crate::federate::unavailable::TTL_WHILE_UNAVAILABLE_MS;

const WHO: &str = r#"{"name":"anypod","version":"1"}"#;
const ALL: PageSize = PageSize { items: usize::MAX, bytes: usize::MAX };

fn naming(upstreams: &[&str]) -> Naming {
    Naming::new(&Upstreams::new(upstreams.iter().copied()), &Names::default())
}

fn part<'a>(pages: &[&'a str]) -> Part<'a> {
    Part { pages: pages.to_vec(), unavailable: None }
}

fn dead<'a>() -> Part<'a> {
    Part { pages: Vec::new(), unavailable: Some(Unavailable::Unreachable) }
}

fn whole(merged: &Merged) -> String {
    merged.page(None, ALL, None).unwrap().result(WHO, None)
}

/// The pages of an upstream with that many tools, `size` on each.
fn pages(names: &[String], size: usize) -> Vec<String> {
    let page = |names: &[String]| {
        let tools: Vec<_> = names.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}})).collect();
        json!({"resultType": "complete", "tools": tools, "ttlMs": 60_000, "cacheScope": "public"}).to_string()
    };
    if names.is_empty() { vec![page(&[])] } else { names.chunks(size).map(page).collect() }
}

fn texts(pages: &[String]) -> Part<'_> {
    Part { pages: pages.iter().map(String::as_str).collect(), unavailable: None }
}

/// The names on all pages, walked through as a client does: with cursors as bytes, from whichever replica answers.
fn walk(replicas: &[&Merged], size: PageSize, filter: Filter<'_>) -> Result<Vec<String>, Rejection> {
    let (mut names, mut cursor, mut turn) = (Vec::new(), None::<Vec<u8>>, 0);
    loop {
        let list = replicas[turn % replicas.len()];
        let position = cursor.map(|bytes| Position::decode(list.kind, &bytes).unwrap());
        let page = list.page(position.as_ref(), size, filter)?;
        let result: Value = serde_json::from_str(&page.result(WHO, None)).unwrap();
        let items = result[list.kind.member()].as_array().unwrap();
        assert!(items.len() <= size.items.max(1) && (turn == 0 || !items.is_empty()));
        names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        turn += 1;
        match page.next() {
            Some(next) => cursor = Some(next.encode()),
            None => return Ok(names),
        }
    }
}

#[test]
fn an_item_keeps_every_byte_but_its_names() {
    let one = r#"{"tools":[{"title":"X","name" : "x" ,"_meta":{"name":"x","ui":{"resourceUri":"ui://x"}},"icons":[{"src":"https://i.example/x"}],"n":1E+2}],"ttlMs":1,"cacheScope":"public"}"#;
    let other = r#"{"tools":[{"name":"y","inputSchema":{"properties":{"name":{}}}},{"n\u0061me":"\u0078"}],"ttlMs":1,"cacheScope":"public"}"#;
    let merged = Merged::new(ListKind::Tools, &naming(&["a", "b"]), &[part(&[one]), part(&[other])]);
    let items = r#"[{"title":"X","name" : "a__x" ,"_meta":{"name":"x","ui":{"resourceUri":"ui://a+x"}},"icons":[{"src":"https://i.example/x"}],"n":1E+2},{"name":"y","inputSchema":{"properties":{"name":{}}}},{"n\u0061me":"b__x"}]"#;
    assert_eq!(
        whole(&merged),
        format!(
            r#"{{"_meta":{{"{SERVER_INFO}":{WHO}}},"resultType":"complete","tools":{items},"ttlMs":1,"cacheScope":"public"}}"#
        )
    );
    assert_eq!(merged.notes(), []);
}

#[test]
fn resources_and_templates_bear_their_upstream_in_the_uri() {
    let naming = naming(&["a", "b"]);
    let list = r#"{"resources":[{"uri":"file:///x","name":"x"},{"uri":"ui://x","name":"x"}]}"#;
    let merged = Merged::new(ListKind::Resources, &naming, &[part(&[list]), part(&[list])]);
    let result: Value = serde_json::from_str(&whole(&merged)).unwrap();
    let uris: Vec<_> =
        result["resources"].as_array().unwrap().iter().map(|item| item["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, ["a+file:///x", "ui://a+x", "b+file:///x", "ui://b+x"]);
    assert!(merged.directory().is_none());

    let list = r#"{"resourceTemplates":[{"uriTemplate":"file:///{+path}","name":"x"}]}"#;
    let merged = Merged::new(ListKind::ResourceTemplates, &naming, &[part(&[]), part(&[list])]);
    let result: Value = serde_json::from_str(&whole(&merged)).unwrap();
    assert_eq!(result["resourceTemplates"], json!([{"uriTemplate": "b+file:///{+path}", "name": "x"}]));
}

#[test]
fn a_dead_upstream_costs_its_own_items_and_says_so() {
    let list = r#"{"tools":[{"name":"x"}],"ttlMs":60000,"cacheScope":"public"}"#;
    for (broken, reason) in [
        (dead(), Unavailable::Unreachable),
        (part(&[r#"{"tools":[{"name":"x"}]}"#, r#"{"tools":3}"#]), Unavailable::Unreadable),
        (part(&["nonsense"]), Unavailable::Unreadable),
    ] {
        let merged = Merged::new(ListKind::Tools, &naming(&["a", "b"]), &[part(&[list]), broken]);
        let result: Value = serde_json::from_str(&whole(&merged)).unwrap();
        assert_eq!(result["tools"], json!([{"name": "x"}]));
        assert_eq!(result["_meta"][UNAVAILABLE], json!([{"upstream": "b", "reason": reason.as_str()}]));
        assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(TTL_WHILE_UNAVAILABLE_MS), &json!("public")));
        assert!(!merged.directory().unwrap().is_complete());
    }
}

#[test]
fn an_earlier_list_of_a_dead_upstream_stands_in_and_is_not_kept_for_long() {
    let list = r#"{"tools":[{"name":"x"}],"ttlMs":60000,"cacheScope":"public"}"#;
    let earlier = Part { pages: vec![list], unavailable: Some(Unavailable::TimedOut) };
    let merged = Merged::new(ListKind::Tools, &naming(&["a", "b"]), &[part(&[list]), earlier]);
    let result: Value = serde_json::from_str(&whole(&merged)).unwrap();
    assert_eq!(result["tools"], json!([{"name": "a__x"}, {"name": "b__x"}]));
    assert_eq!(result["_meta"][UNAVAILABLE][0]["upstream"], "b");
    assert_eq!(result["ttlMs"], TTL_WHILE_UNAVAILABLE_MS);
}

#[test]
fn the_smallest_time_counts_and_private_if_any_is() {
    let list = |ttl: u64, scope: &str| format!(r#"{{"tools":[],"ttlMs":{ttl},"cacheScope":"{scope}"}}"#);
    for (pages, ttl_ms, scope) in [
        ([list(9, "public"), list(4, "public"), list(7, "public")], 4, CacheScope::Public),
        ([list(9, "public"), list(7, "private"), list(8, "public")], 7, CacheScope::Private),
        ([list(9, "public"), list(7, "public"), r#"{"tools":[]}"#.to_owned()], 0, CacheScope::Private),
    ] {
        let parts = [part(&[&pages[0], &pages[1]]), part(&[]), part(&[&pages[2]])];
        let merged = Merged::new(ListKind::Tools, &naming(&["a", "b", "c"]), &parts);
        assert_eq!(merged.caching(), Caching { ttl_ms, scope });
    }
    let nothing = Merged::new(ListKind::Tools, &naming(&["a"]), &[part(&[])]);
    assert_eq!(nothing.caching(), Caching::default(), "nobody said that it may be kept");
}

#[test]
fn what_is_wrong_with_an_item_costs_that_item() {
    let list = r#"{"tools":[{"name":"x"},{"title":"nameless"},{"name":"x","title":"twin"},7,{"name":"y"}]}"#;
    let merged = Merged::new(ListKind::Tools, &naming(&["a", "b"]), &[part(&[list]), part(&[])]);
    let result: Value = serde_json::from_str(&whole(&merged)).unwrap();
    assert_eq!(result["tools"], json!([{"name": "x"}, {"name": "y"}]));
    assert_eq!(merged.notes(), [Note::Dropped { upstream: 0, items: 3 }]);
}

#[test]
fn what_has_no_public_name_is_not_listed() {
    let names = Names { prefix: Prefix::Never, ..Names::default() };
    let naming = Naming::new(&Upstreams::new(["a", "b"]), &names);
    let list = r#"{"tools":[{"name":"x"}]}"#;
    let merged = Merged::new(ListKind::Tools, &naming, &[part(&[list]), part(&[list])]);
    let result: Value = serde_json::from_str(&whole(&merged)).unwrap();
    assert_eq!(result["tools"], json!([{"name": "x"}]));
    assert_eq!(merged.notes(), [Note::Hidden { upstream: 1, own: "x".to_owned() }]);
}

#[test]
fn a_filtered_list_is_private_and_its_pages_are_full() {
    let names: Vec<String> = (0..10).map(|at| format!("t{at}")).collect();
    let pages = pages(&names, 10);
    let merged = Merged::new(ListKind::Tools, &naming(&["a", "b"]), &[texts(&pages), part(&[])]);
    let size = PageSize { items: 2, ..ALL };
    let is_even = |name: &str| name.ends_with(['0', '2', '4', '6']);
    let first = merged.page(None, size, Some(&is_even)).unwrap();
    assert_eq!(first.caching().scope, CacheScope::Private);
    assert_eq!(merged.page(None, size, None).unwrap().caching().scope, CacheScope::Public);
    assert_eq!(walk(&[&merged], size, Some(&is_even)).unwrap(), ["t0", "t2", "t4", "t6"]);
    let second = merged.page(first.next().as_ref(), size, Some(&is_even)).unwrap();
    assert!(second.next().is_none(), "what follows is denied, and nothing tells that it is there");
    let nothing = merged.page(None, size, Some(&|_| false)).unwrap();
    assert!(nothing.next().is_none() && nothing.result(WHO, None).contains(r#""tools":[]"#));
}

#[test]
fn a_page_is_bounded_in_bytes_but_has_an_item() {
    let names: Vec<String> = (0..5).map(|at| format!("t{at}")).collect();
    let pages = pages(&names, 5);
    let merged = Merged::new(ListKind::Tools, &naming(&["a", "b"]), &[texts(&pages), part(&[])]);
    let item = r#"{"name":"t0","inputSchema":{"type":"object"}}"#.len();
    let sizes = |bytes| merged.page(None, PageSize { bytes, ..ALL }, None).unwrap().items.len();
    assert_eq!([0, item, 2 * item - 1, 2 * item, 99 * item].map(sizes), [1, 1, 1, 2, 5]);
    assert_eq!(walk(&[&merged], PageSize { items: 0, bytes: 0 }, None).unwrap(), names);
}

#[test]
fn a_sealed_cursor_is_on_the_page_as_it_is_given() {
    let merged = Merged::new(ListKind::Prompts, &naming(&["a"]), &[part(&[r#"{"prompts":[{"name":"x"}]}"#])]);
    let text = merged.page(None, ALL, None).unwrap().result(WHO, Some("sealed"));
    assert!(
        text.ends_with(r#""prompts":[{"name":"x"}],"nextCursor":"sealed","ttlMs":0,"cacheScope":"private"}"#),
        "{text}"
    );
}

#[test]
fn every_tool_of_every_upstream_is_listed_once_and_leads_to_it() {
    let own: [Vec<String>; 4] = [
        (0..120).map(|at| format!("tool_{at}")).collect(),
        vec!["tool_7".to_owned()],
        (100..140).map(|at| format!("tool_{at}")).collect(),
        Vec::new(),
    ];
    let upstreams = ["big", "one", "some", "dead"];
    for upstream_page in [1, 7, 40, 200] {
        let pages: Vec<_> = own.iter().map(|names| pages(names, upstream_page)).collect();
        let mut parts: Vec<_> = pages.iter().map(|pages| texts(pages)).collect();
        parts[3] = dead();
        let merged = Merged::new(ListKind::Tools, &naming(&upstreams), &parts);
        let directory = merged.directory().unwrap();
        for items in [1, 3, 50, 161, 1000] {
            let listed = walk(&[&merged], PageSize { items, ..ALL }, None).unwrap();
            let led: Vec<_> = listed
                .iter()
                .map(|name| match directory.resolve(name) {
                    Resolved::Known { upstream, own } => (upstream, own.to_owned()),
                    other => panic!("{name}: {other:?}"),
                })
                .collect();
            let expected: Vec<_> = own
                .iter()
                .enumerate()
                .flat_map(|(at, names)| names.iter().map(move |name| (at, name.clone())))
                .collect();
            assert_eq!(led, expected);
        }
        let listed = walk(&[&merged], ALL, None).unwrap();
        assert_eq!(listed.iter().filter(|name| name.contains("__")).count(), 2 + 2 * 20);
    }
}

#[test]
fn replicas_that_do_not_see_the_same_still_list_what_both_see_once() {
    let a: Vec<String> = (0..9).map(|at| format!("a{at}")).collect();
    let (b, more): (Vec<String>, Vec<String>) = (vec!["b".to_owned()], (0..9).map(|at| format!("c{at}")).collect());
    let (a, b, more) = (pages(&a, 4), pages(&b, 4), pages(&more, 4));
    let naming = naming(&["m", "a", "b"]);
    let one = Merged::new(ListKind::Tools, &naming, &[dead(), texts(&a), texts(&b)]);
    let other = Merged::new(ListKind::Tools, &naming, &[texts(&more), texts(&a), texts(&b)]);
    let seen = walk(&[&one, &other], PageSize { items: 2, ..ALL }, None).unwrap();
    assert_eq!(seen, ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "b"]);

    let first = other.page(None, PageSize { items: 2, ..ALL }, None).unwrap();
    let rest = one.page(first.next().as_ref(), ALL, None).unwrap();
    assert_eq!(rest.items.len(), 10, "the rest of the upstream that is away is missing, and nothing else");
}

#[test]
fn a_cursor_behind_what_is_gone_is_unknown() {
    let list = r#"{"tools":[{"name":"x"},{"name":"y"}]}"#;
    let merged = Merged::new(ListKind::Tools, &naming(&["a", "b"]), &[part(&[list]), part(&[])]);
    for (upstream, own) in [("a", "gone"), ("b", "x"), ("removed", "x"), ("", "")] {
        let position = Position { kind: ListKind::Tools, upstream: upstream.into(), own: own.into() };
        assert!(matches!(merged.page(Some(&position), ALL, None), Err(Rejection::UnknownCursor)), "{upstream} {own}");
    }
    let last = Position { kind: ListKind::Tools, upstream: "a".into(), own: "y".into() };
    let page = merged.page(Some(&last), ALL, None).unwrap();
    assert!(page.items.is_empty() && page.next().is_none());
}

proptest! {
    #[test]
    fn any_lists_come_through_any_pages_once_and_in_order(
        own in proptest::collection::vec(proptest::collection::hash_set("[ab_]{1,4}|.{0,3}", 0..12), 1..4),
        upstream_page in 1..6_usize,
        items in 0..6_usize,
        bytes in 0..300_usize,
    ) {
        let own: Vec<Vec<String>> =
            own.into_iter().map(|names| names.into_iter().filter(|name| !name.is_empty()).collect()).collect();
        let pages: Vec<_> = own.iter().map(|names| pages(names, upstream_page)).collect();
        let parts: Vec<_> = pages.iter().map(|pages| texts(pages)).collect();
        let merged = Merged::new(ListKind::Tools, &naming(&["a", "b", "a-b"][..own.len()]), &parts);
        let directory = merged.directory().unwrap();
        let listed = walk(&[&merged], PageSize { items, bytes }, None).unwrap();
        let expected: Vec<_> = own
            .iter()
            .enumerate()
            .flat_map(|(at, names)| names.iter().map(move |name| directory.public(at, name).unwrap().to_owned()))
            .collect();
        prop_assert_eq!(listed, expected);
    }

    #[test]
    fn any_text_is_a_part_or_none(text in ".*|\\{\"tools\":\\[(\\{\"name\":\"[a-z]\"\\},?){0,3}\\]\\}") {
        let merged = Merged::new(ListKind::Tools, &naming(&["a"]), &[part(&[&text])]);
        let result: Value = serde_json::from_str(&whole(&merged)).unwrap();
        prop_assert!(result["tools"].is_array());
    }
}
