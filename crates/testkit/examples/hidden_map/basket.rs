//! A server of shopping baskets, once with a mistake and twice without.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anypod_server::{Args, BuildError, Json, Server, State, Tool};
use anypod_testkit::{BoxError, Client, Replica};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What is in which basket.
#[derive(Clone, Default)]
struct Baskets(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

#[derive(Deserialize, JsonSchema)]
struct Add {
    basket: String,
    item: String,
}

#[derive(Serialize, JsonSchema)]
struct Basket {
    items: Vec<String>,
}

async fn add(Args(Add { basket, item }): Args<Add>, State(baskets): State<Baskets>) -> Json<Basket> {
    let mut baskets = baskets.0.lock().unwrap_or_else(PoisonError::into_inner);
    let items = baskets.entry(basket).or_default();
    items.push(item);
    Json(Basket { items: items.clone() })
}

/// The mistake: every replica has a map of its own. On one machine, everything looks fine.
pub(crate) fn forgetful(replica: &Replica) -> Result<Server, BuildError> {
    let server = Server::new("baskets", "1.0.0").state(Baskets::default()).tool(Tool::new("add", add));
    replica.configure(server).build()
}

/// Repaired by a store: the map stands for a database, which is the same for all replicas.
pub(crate) fn stored(replica: &Replica) -> Result<Server, BuildError> {
    let database = replica.shared(Baskets::default);
    let server = Server::new("baskets", "1.0.0").state(Baskets::clone(&database)).tool(Tool::new("add", add));
    replica.configure(server).build()
}

#[derive(Deserialize, JsonSchema)]
struct AddTo {
    #[serde(default)]
    items: Vec<String>,
    item: String,
}

async fn add_to(Args(AddTo { mut items, item }): Args<AddTo>) -> Json<Basket> {
    items.push(item);
    Json(Basket { items })
}

/// Repaired without a store: the basket travels, as an argument and in the answer.
pub(crate) fn carried(replica: &Replica) -> Result<Server, BuildError> {
    replica.configure(Server::new("baskets", "1.0.0").tool(Tool::new("add", add_to))).build()
}

/// Two things into one basket, by its name.
pub(crate) async fn shop_by_name(client: Client) -> Result<(), BoxError> {
    client.call_tool("add", json!({ "basket": "mine", "item": "bread" })).await?;
    client.call_tool("add", json!({ "basket": "mine", "item": "milk" })).await?;
    Ok(())
}

/// Two things into one basket, which the caller carries.
pub(crate) async fn shop_by_hand(client: Client) -> Result<(), BoxError> {
    let basket = client.call_tool("add", json!({ "item": "bread" })).await?;
    let items = &basket.structured()["items"];
    client.call_tool("add", json!({ "items": items, "item": "milk" })).await?;
    Ok(())
}
