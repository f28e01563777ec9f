//! A shop whose carts outlive a call.
//!
//! `create_cart` gives a handle, such as `cart_7Q…`, and the other tools take it among their arguments. The model holds on
//! to it, and can have several carts. Which pod takes a call makes no difference once all have the same store; with
//! `Handles::sealed` in place of `Handles::stored`, the carts travel in their handles and no store is needed.

use std::sync::Arc;
use std::time::Duration;

use anypod_server::store::Memory;
use anypod_server::{
    Args, Cx, Error, Handle, Handles, Held, Json, Result, Server, ServerBuilder, State, Tool, Ttl, form,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a handle stands for. It is stored as JSON, so that a later version of the program may add fields with defaults.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Cart {
    /// What is in it
    pub(crate) items: Vec<String>,
}

impl Held for Cart {
    const KIND: &str = "cart";
    const CREATED_BY: &str = "create_cart";
}

pub(crate) type Carts = State<Handles<Cart>>;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct This {
    pub(crate) cart: Handle<Cart>,
}

#[derive(Deserialize, JsonSchema)]
struct Item {
    /// The cart to change
    cart: Handle<Cart>,
    /// What to put in or take out
    item: String,
}

/// Every tool that changes a cart gives back the handle to go on with.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Changed {
    pub(crate) cart: Handle<Cart>,
    /// How many things are in it
    pub(crate) count: usize,
}

async fn create_cart(State(carts): Carts, cx: Cx) -> Result<Json<Changed>> {
    Ok(Json(Changed { cart: carts.create(&cx, Cart::default()).await?, count: 0 }))
}

async fn add_item(Args(Item { cart, item }): Args<Item>, State(carts): Carts, cx: Cx) -> Result<Json<Changed>> {
    // Runs again on what it has become if another call changes the cart at the same time.
    let add = |cart: &mut Cart| {
        cart.items.push(item.clone());
        cart.items.len()
    };
    let (count, cart) = carts.update(&cx, &cart, add).await?;
    Ok(Json(Changed { cart, count }))
}

async fn remove_item(Args(Item { cart, item }): Args<Item>, State(carts): Carts, cx: Cx) -> Result<Json<Changed>> {
    let take_out = |cart: &mut Cart| match cart.items.iter().position(|other| *other == item) {
        Some(at) => {
            cart.items.remove(at);
            Ok(cart.items.len())
        }
        None => Err(Error::tool(format_args!("there is no {item} in this cart"))),
    };
    let (count, cart) = carts.try_update(&cx, &cart, take_out).await?;
    Ok(Json(Changed { cart, count }))
}

async fn show_cart(Args(This { cart }): Args<This>, State(carts): Carts, cx: Cx) -> Result<Json<Cart>> {
    Ok(Json(carts.load(&cx, &cart).await?))
}

/// What the person is asked.
#[derive(Deserialize, JsonSchema)]
struct Address {
    /// Where it is to be sent
    address: String,
}

/// A handler that asks runs again from its start, so what it does to a cart is a step.
async fn check_out(Args(This { cart }): Args<This>, State(carts): Carts, cx: Cx) -> Result<String> {
    let Cart { items } = cx.step("load", || carts.load(&cx, &cart)).await?;
    let question = format!("Where do we send {}?", items.join(", "));
    let Some(Address { address }) = cx.ask("address", form(question)).await?.into_accepted() else {
        return Ok("Nothing was ordered, and the cart is as it was".to_owned());
    };
    cx.step("remove", || carts.remove(&cx, &cart)).await?;
    Ok(format!("{} things are on their way to {address}", items.len()))
}

/// The shop, whose carts are kept as that says.
pub(crate) fn shop(carts: Handles<Cart>) -> ServerBuilder {
    Server::new("shop", "1.0.0")
        .state(carts)
        .tool(Tool::new("create_cart", create_cart).description("Makes an empty cart"))
        .tool(Tool::new("add_item", add_item).description("Puts something into a cart"))
        .tool(Tool::new("remove_item", remove_item).description("Takes something out of a cart"))
        .tool(Tool::new("show_cart", show_cart).description("Shows what is in a cart"))
        .tool(Tool::new("check_out", check_out).description("Orders what is in a cart, which is gone then"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One process; a fleet shares a database.
    let carts = Handles::stored(Arc::new(Memory::default())).ttl(Ttl::sliding(Duration::from_secs(3600)));
    Ok(shop(carts).build()?.listen("127.0.0.1:8080").await?)
}
