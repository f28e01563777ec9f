//! Handles: what they stand for, for whom, on which pod and for how long.

pub(crate) mod distant;
mod kept;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anypod_server::proto::seal::{KEY_LEN, Ring};
use anypod_server::store::{Memory, Options, Store};
use anypod_server::{Args, Cx, Error, Handles, Held, Json, Principal, Result, Server, State, Tool, Ttl, form};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::logs::Logs;
use crate::support::{Answer, World, alice, call, modern, ring};
use cart::{Cart, Carts, Changed, This, shop};
use distant::Distant;
use kept::Kept;

#[path = "../../examples/cart.rs"]
#[expect(dead_code, reason = "`main` is for who runs the example")]
mod cart;

const UNKNOWN: &str = "this cart has expired or does not exist: call `create_cart` for another";
const MALFORMED: &str = "this is no handle of kind `cart`, which begins with `cart_`: pass on what `create_cart` gave, with \
                         every character";
const HOUR: Duration = Duration::from_secs(3600);

/// Empties the cart, and then thinks better of it.
async fn spoil(Args(This { cart }): Args<This>, State(carts): Carts, cx: Cx) -> Result<Json<Changed>> {
    let spoil = |cart: &mut Cart| -> Result<usize> {
        cart.items.clear();
        Err(Error::tool("better not"))
    };
    let (count, cart) = carts.try_update(&cx, &cart, spoil).await?;
    Ok(Json(Changed { cart, count }))
}

async fn remove(Args(This { cart }): Args<This>, State(carts): Carts, cx: Cx) -> Result<String> {
    Ok(carts.remove(&cx, &cart).await?.to_string())
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

/// Asks between two steps.
async fn welcome(State(carts): Carts, cx: Cx) -> Result<Json<Changed>> {
    let cart = cx.step("create", || carts.create(&cx, Cart::default())).await?;
    let name =
        cx.ask("name", form::<Name>("Who are you?")).await?.into_accepted().map_or_else(String::new, |it| it.name);
    let greet = |cart: &mut Cart| {
        cart.items.push(format!("a card for {name}"));
        cart.items.len()
    };
    let (count, cart) = cx.step("greet", || carts.update(&cx, &cart, greet)).await?;
    Ok(Json(Changed { cart, count }))
}

/// A pod of the example's shop with these carts, and with tools that the example can do without.
fn pod(world: &World, carts: Handles<Cart>) -> Server {
    pod_of("shop", world, ring(), carts)
}

fn pod_of(audience: &str, world: &World, ring: Ring, carts: Handles<Cart>) -> Server {
    shop(carts)
        .audience(audience)
        .outside(world.outside())
        .keys(ring)
        .tool(Tool::new("spoil", spoil))
        .tool(Tool::new("remove", remove))
        .tool(Tool::new("welcome", welcome))
        .build()
        .expect("it builds")
}

/// Two pods that share a store.
fn fleet(world: &World, store: &Arc<dyn Store>, ttl: Ttl) -> [Server; 2] {
    [(); 2].map(|()| pod(world, Handles::stored(Arc::clone(store)).ttl(ttl)))
}

/// A server with each of these stores, and one whose carts travel.
fn with_each(world: &World, stores: &[Kept]) -> Vec<Server> {
    let stored = stores.iter().map(|kept| Handles::stored(Arc::clone(&kept.store)));
    stored.chain([Handles::sealed()]).map(|carts| pod(world, carts)).collect()
}

async fn ask(server: &Server, caller: Option<Principal>, tool: &str, arguments: Value) -> Answer {
    let request = call(tool, arguments);
    match caller {
        Some(caller) => request.principal(caller).send(server).await,
        None => request.send(server).await,
    }
}

fn cart_of(answer: &Answer) -> String {
    let cart = answer.result()["structuredContent"]["cart"].as_str();
    cart.unwrap_or_else(|| panic!("no cart in {}", answer.response())).to_owned()
}

/// A cart of Alice's.
async fn created(server: &Server) -> String {
    cart_of(&ask(server, Some(alice()), "create_cart", json!({})).await)
}

/// Puts something in, and gives the handle to go on with.
async fn added(server: &Server, cart: &str, item: &str) -> String {
    cart_of(&ask(server, Some(alice()), "add_item", json!({ "cart": cart, "item": item })).await)
}

/// What is in it.
async fn shown(server: &Server, cart: &str) -> Value {
    let answer = ask(server, Some(alice()), "show_cart", json!({ "cart": cart })).await;
    answer.result()["structuredContent"]["items"].clone()
}

/// What the model reads when it did not work.
async fn failure(server: &Server, caller: Option<Principal>, tool: &str, arguments: Value) -> String {
    let answer = ask(server, caller, tool, arguments).await;
    assert_eq!(answer.result()["isError"], true, "{}", answer.response());
    answer.text().to_owned()
}

#[tokio::test]
async fn what_one_pod_has_stored_every_pod_has() {
    let world = World::default();
    for Kept { store, .. } in &Kept::each(&world, Options::default()).await {
        let [one, other] = fleet(&world, store, Ttl::forever());
        let cart = created(&one).await;
        assert_eq!((cart.len(), &cart[..5]), (37, "cart_"));
        assert_eq!(added(&other, &cart, "tea").await, cart);
        assert_eq!(added(&one, &cart, "milk").await, cart);
        assert_eq!(shown(&other, &cart).await, json!(["tea", "milk"]));
        assert_ne!(created(&other).await, cart);
    }
}

#[tokio::test]
async fn a_fixed_time_ends_whatever_is_done_and_a_sliding_one_begins_anew() {
    let world = World::default();
    for Kept { store, .. } in &Kept::each(&world, Options::default()).await {
        let [fixed, _] = fleet(&world, store, Ttl::fixed(HOUR));
        let [slides, _] = fleet(&world, store, Ttl::sliding(HOUR));
        let (a, b) = (created(&fixed).await, created(&slides).await);
        for _ in 0..2 {
            world.advance(1200);
            added(&fixed, &a, "tea").await;
            shown(&slides, &b).await;
        }
        world.advance(1200);
        assert_eq!(failure(&fixed, Some(alice()), "show_cart", json!({ "cart": a })).await, UNKNOWN);
        added(&slides, &b, "tea").await;
        world.advance(3599);
        assert_eq!(shown(&slides, &b).await, json!(["tea"]));
        world.advance(3600);
        for tool in ["show_cart", "add_item", "spoil"] {
            assert_eq!(failure(&slides, Some(alice()), tool, json!({ "cart": b, "item": "x" })).await, UNKNOWN);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn sealed_values_have_the_same_times_and_loading_them_does_not_count() {
    let world = World::default();
    let fixed = pod(&world, Handles::sealed().ttl(Ttl::fixed(HOUR)));
    let slides = pod(&world, Handles::sealed().ttl(Ttl::sliding(HOUR)));
    let (a, b) = (created(&fixed).await, created(&slides).await);
    world.advance(2400);
    let (a, b) = (added(&fixed, &a, "tea").await, added(&slides, &b, "tea").await);
    world.advance(1199);
    assert_eq!(shown(&fixed, &a).await, json!(["tea"]));
    world.advance(1);
    assert_eq!(failure(&fixed, Some(alice()), "show_cart", json!({ "cart": a })).await, UNKNOWN);
    assert_eq!(shown(&slides, &b).await, json!(["tea"]));
    world.advance(2400);
    assert_eq!(failure(&slides, Some(alice()), "add_item", json!({ "cart": b, "item": "x" })).await, UNKNOWN);
    let kept = pod(&world, Handles::sealed().ttl(Ttl::forever()));
    let c = created(&kept).await;
    world.advance(u64::from(u32::MAX));
    assert_eq!(shown(&kept, &c).await, json!([]));
}

#[tokio::test]
async fn to_anyone_else_there_is_nothing_behind_a_handle() {
    let world = World::default();
    let stores = Kept::each(&world, Options::default()).await;
    for server in with_each(&world, &stores) {
        let cart = created(&server).await;
        let bob = Principal::new("https://id.example", "bob");
        let other_issuer = Principal::new("https://other.example", "alice");
        for caller in [Some(bob), Some(other_issuer), None] {
            for tool in ["show_cart", "add_item", "spoil"] {
                let arguments = json!({ "cart": cart, "item": "x" });
                assert_eq!(failure(&server, caller.clone(), tool, arguments).await, UNKNOWN);
            }
            assert_eq!(ask(&server, caller, "remove", json!({ "cart": cart })).await.text(), "false");
        }
        assert_eq!(shown(&server, &cart).await, json!([]));
        // Anonymous callers have carts too, which nobody else has.
        let cart = cart_of(&ask(&server, None, "create_cart", json!({})).await);
        ask(&server, None, "show_cart", json!({ "cart": cart })).await.result();
        assert_eq!(failure(&server, Some(alice()), "show_cart", json!({ "cart": cart })).await, UNKNOWN);
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_changes_lose_nothing() {
    let store = Arc::new(Distant::default());
    let pods = fleet(&World::default(), &(Arc::clone(&store) as Arc<dyn Store>), Ttl::default());
    let cart = created(&pods[0]).await;
    let mut calls = JoinSet::new();
    for number in 0..40 {
        let (server, cart) = (pods[number % 2].clone(), cart.clone());
        calls.spawn(async move { added(&server, &cart, &number.to_string()).await });
    }
    assert_eq!(calls.join_all().await.len(), 40);
    assert!(store.late.load(Ordering::Relaxed) >= 39, "they did not meet");
    let mut items: Vec<u32> = serde_json::from_value::<Vec<String>>(shown(&pods[1], &cart).await)
        .expect("texts")
        .iter()
        .map(|item| item.parse().expect("a number"))
        .collect();
    items.sort_unstable();
    assert_eq!(items, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn concurrent_changes_of_what_is_in_a_file_lose_nothing() {
    let world = World::default();
    let [_, in_file] = &Kept::each(&world, Options::default()).await;
    let pods = fleet(&world, &in_file.store, Ttl::default());
    let cart = created(&pods[0]).await;
    let mut calls = JoinSet::new();
    for number in 0..8 {
        let (server, cart) = (pods[number % 2].clone(), cart.clone());
        calls.spawn(async move { added(&server, &cart, &number.to_string()).await });
    }
    calls.join_all().await;
    assert_eq!(shown(&pods[1], &cart).await.as_array().map(Vec::len), Some(8));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_others_always_get_ahead_of_ends() {
    let store = Arc::new(Distant::default());
    let [one, other] = fleet(&World::default(), &(Arc::clone(&store) as Arc<dyn Store>), Ttl::default());
    let cart = created(&one).await;
    store.busy.store(true, Ordering::Relaxed);
    assert_eq!(
        failure(&one, Some(alice()), "add_item", json!({ "cart": cart, "item": "tea" })).await,
        "others are changing this cart at the same time, and nothing was changed by this call: call again"
    );
    assert_eq!(store.late.load(Ordering::Relaxed), 12);
    assert_eq!(shown(&other, &cart).await, json!([]));
}

#[tokio::test]
async fn a_change_that_fails_changes_nothing() {
    let world = World::default();
    let stores = Kept::each(&world, Options::default()).await;
    for server in with_each(&world, &stores) {
        let cart = added(&server, &created(&server).await, "tea").await;
        assert_eq!(failure(&server, Some(alice()), "spoil", json!({ "cart": cart })).await, "better not");
        assert_eq!(shown(&server, &cart).await, json!(["tea"]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sealed_value_travels_to_every_pod_that_has_the_ring() {
    let world = World::default();
    let [one, other] = [(); 2].map(|()| pod(&world, Handles::sealed()));
    let empty = created(&one).await;
    let cart = added(&other, &empty, "tea").await;
    assert_eq!(shown(&one, &cart).await, json!(["tea"]));
    assert!(cart.starts_with("cart_") && cart != empty);
    assert_eq!(shown(&one, &empty).await, json!([]), "an older handle stands for the older value");
    let another_ring = Ring::from_keys([8; KEY_LEN], []);
    for stranger in [
        pod_of("shop", &world, another_ring, Handles::sealed()),
        pod_of("market", &world, ring(), Handles::sealed()),
        pod(&world, Handles::stored(Arc::new(Memory::default()))),
    ] {
        assert_eq!(failure(&stranger, Some(alice()), "show_cart", json!({ "cart": cart })).await, UNKNOWN);
    }
    let rotated = ring().rotate([8; KEY_LEN], 1);
    assert_eq!(shown(&pod_of("shop", &world, rotated, Handles::sealed()), &cart).await, json!(["tea"]));
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_its_size() {
    let world = World::default();
    let long = "x".repeat(600);
    let options = Options { text_bytes: 100, ..Options::default() };
    let small = Kept::each(&world, options).await;
    let [in_memory, in_file] = &Kept::each(&world, Options::default()).await;
    let stored = |kept: &Kept| Handles::stored(Arc::clone(&kept.store));
    for (carts, most) in [
        (Handles::sealed(), 512),
        (Handles::sealed().most_bytes(300), 300),
        (stored(in_memory).most_bytes(200), 200),
        (stored(in_file).most_bytes(200), 200),
        (stored(&small[0]), 100),
        (stored(&small[1]), 100),
    ] {
        let server = pod(&world, carts);
        let cart = created(&server).await;
        assert_eq!(
            failure(&server, Some(alice()), "add_item", json!({ "cart": cart, "item": long })).await,
            format!(
                "this makes the cart too large: it would have 614 bytes, and {most} fit; nothing was changed, try with less"
            )
        );
        assert_eq!(shown(&server, &cart).await, json!([]));
    }
    // However much the author allows, a token holds no more than it does.
    let server = pod(&world, Handles::sealed().most_bytes(usize::MAX));
    let item = "x".repeat(50_000);
    let text =
        failure(&server, Some(alice()), "add_item", json!({ "cart": created(&server).await, "item": item })).await;
    assert!(text.contains("50014 bytes, and 49103 fit"), "{text}");
}

#[tokio::test]
async fn what_is_removed_is_gone_unless_it_travels() {
    let world = World::default();
    let remove = async |server: &Server, cart: &str| {
        ask(server, Some(alice()), "remove", json!({ "cart": cart })).await.text().to_owned()
    };
    for Kept { store, .. } in &Kept::each(&world, Options::default()).await {
        let [one, other] = fleet(&world, store, Ttl::default());
        let cart = created(&one).await;
        assert_eq!(remove(&other, &cart).await, "true");
        assert_eq!(failure(&one, Some(alice()), "show_cart", json!({ "cart": cart })).await, UNKNOWN);
        assert_eq!(remove(&one, &cart).await, "false");
        assert_eq!(remove(&one, "no handle").await, "false");
    }
    let sealed = pod(&world, Handles::sealed());
    let cart = created(&sealed).await;
    assert_eq!(remove(&sealed, &cart).await, "true");
    assert_eq!(shown(&sealed, &cart).await, json!([]));
}

#[tokio::test(start_paused = true)]
async fn schemas_say_where_handles_come_from() {
    let server = pod(&World::default(), Handles::sealed());
    let list = modern("tools/list", json!({})).send(&server).await;
    let tools = list.result()["tools"].as_array().expect("a list").clone();
    let tool = |name: &str| tools.iter().find(|tool| tool["name"] == name).expect("the tool").clone();
    let described = json!({
        "type": "string",
        "title": "Handle `cart_…` from `create_cart`",
        "description": "A handle that begins with `cart_`. `create_cart` gives one; when a later result gives another, \
                        that one counts. Pass it on unchanged.",
    });
    assert_eq!(tool("show_cart")["inputSchema"]["properties"]["cart"], described);
    assert_eq!(tool("create_cart")["outputSchema"]["properties"]["cart"], described);
    // What the author writes on the field stands beside it.
    let cart = tool("add_item")["inputSchema"]["properties"]["cart"].clone();
    assert_eq!((&cart["title"], &cart["description"]), (&described["title"], &json!("The cart to change")));
}

#[tokio::test]
async fn what_never_was_a_handle_is_called_that() {
    let world = World::default();
    let stores = Kept::each(&world, Options::default()).await;
    for server in with_each(&world, &stores) {
        let cart = created(&server).await;
        let order = cart.replace("cart_", "order_");
        for text in ["", "cart_", "tea", &cart[..20], &cart[5..], &order, "cart_AAAAAAAAAAAAAAAAAAAA\u{0}A", "cart_ä"]
        {
            assert_eq!(
                failure(&server, Some(alice()), "show_cart", json!({ "cart": text })).await,
                MALFORMED,
                "{text}"
            );
        }
        for text in [
            "cart_00000000000000000000000000000000".to_owned(),
            format!("{cart}A"),
            format!("cart_{}", "A".repeat(90_000)),
        ] {
            assert_eq!(failure(&server, Some(alice()), "show_cart", json!({ "cart": text })).await, UNKNOWN, "{text}");
        }
    }
}

#[tokio::test]
async fn a_value_of_an_older_program_is_told_from_one_that_is_gone() {
    /// The same kind, before there were items.
    #[derive(Serialize, Deserialize)]
    struct Older {
        things: u32,
    }
    impl Held for Older {
        const KIND: &str = "cart";
        const CREATED_BY: &str = "create_cart";
    }
    async fn create(State(carts): State<Handles<Older>>, cx: Cx) -> Result<String> {
        Ok(carts.create(&cx, Older { things: 3 }).await?.as_str().to_owned())
    }
    let world = World::default();
    let [in_memory, in_file] = &Kept::each(&world, Options::default()).await;
    let stored = |kept: &Kept| (Handles::stored(Arc::clone(&kept.store)), Handles::stored(Arc::clone(&kept.store)));
    let all: [(Handles<Older>, Handles<Cart>); 3] =
        [stored(in_memory), stored(in_file), (Handles::sealed(), Handles::sealed())];
    for (before, carts) in all {
        let older = Server::new("shop", "0.9.0").outside(world.outside()).keys(ring()).state(before);
        let older = older.tool(Tool::new("create_cart", create)).build().expect("it builds");
        let cart = ask(&older, Some(alice()), "create_cart", json!({})).await.text().to_owned();
        assert_eq!(
            failure(&pod(&world, carts), Some(alice()), "show_cart", json!({ "cart": cart })).await,
            "this cart was made by another version of the server, which this one cannot read: call `create_cart` for \
             another"
        );
    }
}

#[tokio::test]
async fn a_caller_has_so_many_and_no_more() {
    let options = Options { values_of_owner: 2, ..Options::default() };
    let world = World::default();
    for Kept { store, .. } in &Kept::each(&world, options).await {
        let [one, other] = fleet(&world, store, Ttl::default());
        let cart = created(&one).await;
        created(&other).await;
        assert_eq!(
            failure(&one, Some(alice()), "create_cart", json!({})).await,
            "there are as many things of this caller as may be kept, so no other cart fits: go on with one that is there, or \
             remove what is not needed any more"
        );
        ask(&one, Some(Principal::new("https://id.example", "bob")), "create_cart", json!({})).await.result();
        ask(&one, Some(alice()), "remove", json!({ "cart": cart })).await.result();
        created(&other).await;
    }
}

#[tokio::test(start_paused = true)]
async fn callers_are_asked_to_wait_while_the_store_is_away() {
    let store = Arc::new(Distant::default());
    let [one, _] = fleet(&World::default(), &(Arc::clone(&store) as Arc<dyn Store>), Ttl::default());
    let cart = created(&one).await;
    store.away.store(true, Ordering::Relaxed);
    for tool in ["create_cart", "show_cart", "add_item", "remove"] {
        let refused = ask(&one, Some(alice()), tool, json!({ "cart": cart, "item": "x" })).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, Some("2")), "{tool}");
    }
    store.away.store(false, Ordering::Relaxed);
    assert_eq!(shown(&one, &cart).await, json!([]));
}

#[tokio::test(start_paused = true)]
async fn no_log_has_a_handle() {
    let (logs, _guard) = Logs::capture();
    let world = World::default();
    let store = Arc::new(Distant::default());
    let [stored, _] = fleet(&world, &(Arc::clone(&store) as Arc<dyn Store>), Ttl::default());
    for server in [stored, pod(&world, Handles::sealed())] {
        let cart = created(&server).await;
        for tool in ["add_item", "show_cart", "spoil", "remove", "show_cart"] {
            ask(&server, Some(alice()), tool, json!({ "cart": cart, "item": "x" })).await;
        }
        ask(&server, None, "show_cart", json!({ "cart": cart })).await;
        store.away.store(true, Ordering::Relaxed);
        ask(&server, Some(alice()), "show_cart", json!({ "cart": cart })).await;
        assert!(logs.text().contains("what handles stand for cannot be had"), "{}", logs.text());
        assert!(!logs.text().contains(&cart[5..]), "{}", logs.text());
    }
    assert!(logs.text().contains("a handle did not open"), "{}", logs.text());
}

#[tokio::test]
async fn a_step_makes_one_handle_however_often_the_handler_runs() {
    let world = World::default();
    let capable = json!({ "elicitation": { "form": {} } });
    let welcome = || call("welcome", json!({})).capable(capable.clone()).principal(alice());
    let named = json!({ "name": { "action": "accept", "content": { "name": "Ann" } } });
    for Kept { store, .. } in &Kept::each(&world, Options::default()).await {
        let [one, other] = fleet(&world, store, Ttl::default());
        let round = welcome().send(&one).await;
        let cart = cart_of(&welcome().resume(&round, named.clone()).send(&other).await);
        assert_eq!(shown(&one, &cart).await, json!(["a card for Ann"]));
        assert_eq!(store.status().await.expect("it is there").values, 1);
    }
    let sealed = [(); 2].map(|()| pod(&world, Handles::sealed()));
    let round = welcome().send(&sealed[0]).await;
    let cart = cart_of(&welcome().resume(&round, named).send(&sealed[1]).await);
    assert_eq!(shown(&sealed[0], &cart).await, json!(["a card for Ann"]));
}

#[tokio::test]
async fn what_is_over_is_deleted_though_nobody_else_looks_after_the_store() {
    let world = World::default();
    for Kept { store, .. } in &Kept::each(&world, Options::default()).await {
        let [one, _] = fleet(&world, store, Ttl::fixed(HOUR));
        for _ in 0..10 {
            for _ in 0..100 {
                created(&one).await;
            }
            world.advance(3600);
        }
        let kept = store.status().await.expect("it is there").values;
        assert!(kept < 400, "{kept}");
    }
}

#[tokio::test]
async fn the_example_sells_what_is_in_a_cart() {
    let world = World::default();
    let stores = Kept::each(&world, Options::default()).await;
    for server in with_each(&world, &stores) {
        let cart = created(&server).await;
        let cart = added(&server, &added(&server, &cart, "tea").await, "milk").await;
        let arguments = json!({ "cart": cart, "item": "sugar" });
        let refused = failure(&server, Some(alice()), "remove_item", arguments).await;
        assert_eq!(refused, "there is no sugar in this cart");
        let arguments = json!({ "cart": cart, "item": "tea" });
        let cart = cart_of(&ask(&server, Some(alice()), "remove_item", arguments).await);
        assert_eq!(shown(&server, &cart).await, json!(["milk"]));
        let capable = json!({ "elicitation": { "form": {} } });
        let check_out = || call("check_out", json!({ "cart": cart })).capable(capable.clone()).principal(alice());
        let round = check_out().send(&server).await;
        let declined = check_out().resume(&round, json!({ "address": { "action": "decline" } })).send(&server).await;
        assert_eq!(declined.text(), "Nothing was ordered, and the cart is as it was");
        let address = json!({ "address": { "action": "accept", "content": { "address": "Main Street 1" } } });
        let ordered = check_out().resume(&round, address).send(&server).await;
        assert_eq!(ordered.text(), "1 things are on their way to Main Street 1");
    }
}

#[test]
fn a_server_without_the_tool_that_creates_what_others_take_is_not_built() {
    let problem = |tool: Tool| {
        let server = Server::new("shop", "1.0.0").state(Handles::<Cart>::sealed()).tool(tool);
        server.build().expect_err("nothing creates carts").to_string()
    };
    let wanted = "handles of kind `cart`, which come from a tool `create_cart` that the server does not have";
    let found = problem(Tool::new("show", async |Args(This { cart })| cart.as_str().to_owned()));
    assert!(found.starts_with("tool `show`: ") && found.ends_with(wanted), "{found}");
    let gives = async |State(carts): Carts, cx: Cx| -> Result<Json<Vec<Changed>>> {
        Ok(Json(vec![Changed { cart: carts.create(&cx, Cart::default()).await?, count: 0 }]))
    };
    let found = problem(Tool::new("make", gives));
    assert!(found.starts_with("tool `make`: ") && found.ends_with(wanted), "{found}");
}
