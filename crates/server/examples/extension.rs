//! An extension of one's own, to be copied: a waiting list.
//!
//! The tool `seat` gives a party a table. When all are taken, a client that has the extension is put on a list, and one that
//! has not is told to come again, as it would be without all this.
//!
//! What an extension is made of, in the order in which it stands here:
//!
//! 1. an identifier, under which both sides declare it with each request;
//! 2. settings, typed: what the server says in `server/discover`, and what the client says of itself;
//! 3. a method with typed parameters and a typed result. It is about a ticket, so that `Mcp-Name` carries it and a balancer
//!    or a gateway sees it without reading the body;
//! 4. a result type: a call that is not complete is answered with a `resultType` of the extension's;
//! 5. what stands before tools and decides who gets such a result, and who the handler's;
//! 6. a notification, and the field of the filter of `subscriptions/listen` that asks for it;
//! 7. another one, about a request, before its answer.
//!
//! `docs/extensions.md` goes through it step by step. `cargo run --example extension` serves it on port 8080.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anypod_server::proto::jsonrpc::JsonObject;
use anypod_server::{
    BoxFuture, Cx, Error, Event, Extension, Intercept, Json, Listener, MethodResult, Params, Result, Server, State,
    Subscribed, Told, Tool, ToolCall, Topic, Topics, Verdict,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

// 1. A domain of yours, backwards, a slash, and a name.
pub(crate) const ID: &str = "com.example/waiting-list";

// 2. What the server says of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Offers {
    minutes_per_party: u32,
}

/// What a client says of it. What it leaves out has a default, so that `{}` is enough.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Wants {
    /// How long its people wait at most.
    patience_minutes: u32,
}

impl Default for Wants {
    fn default() -> Self {
        Self { patience_minutes: 60 }
    }
}

// 3. `waiting-list/place`. Clients that have not declared the extension are refused before this runs.
#[derive(Deserialize)]
struct Ticket {
    ticket: String,
}

#[derive(Serialize)]
struct Place {
    ticket: String,
    /// How many parties come before.
    ahead: usize,
}

async fn place(Params(Ticket { ticket }): Params<Ticket>, State(restaurant): State<Restaurant>) -> Result<Json<Place>> {
    match restaurant.ahead_of(&ticket) {
        Some(ahead) => Ok(Json(Place { ticket, ahead })),
        None => Err(Error::invalid_params(format_args!("nobody waits with the ticket {ticket}"))),
    }
}

// 4. In place of a tool's result: `{"resultType": "waiting", "ticket": …, "ahead": …}`.
#[derive(Serialize)]
#[serde(tag = "resultType", rename_all = "camelCase")]
enum Seating {
    Waiting(Place),
}

/// 5. Stands before every tool, and does something about those that are marked.
struct Queue(Restaurant);

/// The mark.
#[derive(Clone)]
struct Queues;

impl Intercept for Queue {
    fn before<'a>(&'a self, call: &'a ToolCall) -> BoxFuture<'a, Result<Verdict>> {
        Box::pin(async move {
            if call.mark::<Queues>().is_none() || self.0.has_table() {
                return Ok(Verdict::GoOn);
            }
            match call.cx().extension::<Wants>(ID)? {
                Some(wants) if self.0.wait_minutes() <= wants.patience_minutes => {
                    let waiting = Seating::Waiting(self.0.join());
                    Ok(Verdict::Answer(MethodResult::of(&waiting)?))
                }
                // Who has no patience, or lacks the extension, gets what the handler says. Where there is nothing to fall
                // back on, `Error::missing_extension(ID)` refuses the call and names what is missing.
                Some(_) | None => Ok(Verdict::GoOn),
            }
        })
    }
}

/// 6. Tells how a list moves. A topic is a ticket.
struct Moves(Restaurant);

/// The field of the filter: the tickets to hear of.
const FIELD: &str = "waitingTickets";

impl Topics for Moves {
    fn fields(&self) -> &[&str] {
        &[FIELD]
    }

    fn subscribe<'a>(&'a self, listener: &'a Listener, filter: &'a JsonObject) -> BoxFuture<'a, Result<Subscribed>> {
        Box::pin(async move {
            let (Some(named), Some(_)) = (filter.get(FIELD), listener.extension::<Wants>(ID)?) else {
                return Ok(Subscribed::default());
            };
            let named: Vec<String> = Deserialize::deserialize(named)
                .map_err(|error| Error::invalid_params(format_args!("params.notifications.{FIELD}: {error}")))?;
            // The client sees in the acknowledgement which of them are known.
            let topics: Vec<_> = named.into_iter().filter(|ticket| self.0.ahead_of(ticket).is_some()).collect();
            Ok(Subscribed { honoured: JsonObject::from_iter([(FIELD.to_owned(), json!(topics))]), topics })
        })
    }

    fn tell<'a>(&'a self, _: &'a Listener, ticket: &'a str) -> BoxFuture<'a, Result<Option<Told>>> {
        let params = match self.0.ahead_of(ticket) {
            Some(ahead) => json!({ "ticket": ticket, "ahead": ahead }),
            None => json!({ "ticket": ticket, "seated": true }),
        };
        let params = params.as_object().cloned().unwrap_or_default();
        let told = Told { method: "notifications/waiting-list/moved".to_owned(), params };
        Box::pin(std::future::ready(Ok(Some(told))))
    }
}

/// The extension, put together.
fn waiting_list(restaurant: &Restaurant) -> Extension {
    Extension::new(ID)
        .settings(Offers { minutes_per_party: MINUTES })
        .named_method("waiting-list/place", "ticket", place)
        .intercept(Queue(restaurant.clone()))
        .topics(Moves(restaurant.clone()))
}

/// What authors of tools write. To name the extension makes it a mistake to have the tool without it, found while the server
/// is built.
fn queued(tool: Tool) -> Tool {
    tool.needs_extension(ID).mark(Queues)
}

async fn seat(State(restaurant): State<Restaurant>, cx: Cx) -> Result<String> {
    let Some(left) = restaurant.take_table() else {
        let minutes = restaurant.wait_minutes();
        return Err(Error::tool(format_args!("all tables are taken, try in {minutes} minutes")));
    };
    // 7. Clients that have the extension read how many tables are left before they read the answer.
    let params = JsonObject::from_iter([("left".to_owned(), json!(left))]);
    cx.tell(ID, Told { method: "notifications/waiting-list/tables".to_owned(), params })?;
    Ok("This way, please.".to_owned())
}

async fn clear_table(State(restaurant): State<Restaurant>, cx: Cx) -> &'static str {
    for ticket in restaurant.clear_table() {
        // Listeners on every pod hear of it, if the pods share a bus or a store.
        cx.server().announce(Event::Topic(Topic { extension: ID.to_owned(), topic: ticket })).await;
    }
    "The table is free."
}

/// The server. `seat` has the extension, `clear_table` knows nothing of it.
pub(crate) fn server(tables: usize) -> Result<Server, anypod_server::BuildError> {
    let restaurant = Restaurant(Arc::new(Mutex::new(Book { tables, ..Book::default() })));
    Server::new("restaurant", "1.0.0")
        .extension(waiting_list(&restaurant))
        .tool(queued(Tool::new("seat", seat).description("Asks for a table")))
        .tool(Tool::new("clear_table", clear_table).description("Says that a party has left"))
        .state(restaurant)
        .build()
}

/// How long a party stays before the next one gets its table.
const MINUTES: u32 = 15;

/// Stands for the client of a database that all pods share: what one call leaves for the next must not sit in a pod.
#[derive(Clone)]
struct Restaurant(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    tables: usize,
    waiting: VecDeque<String>,
    tickets: usize,
}

impl Restaurant {
    fn with<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn has_table(&self) -> bool {
        self.with(|book| book.tables > 0)
    }

    /// Gives how many tables are left, if there was one.
    fn take_table(&self) -> Option<usize> {
        self.with(|book| {
            book.tables = book.tables.checked_sub(1)?;
            Some(book.tables)
        })
    }

    /// How long the next party waits.
    fn wait_minutes(&self) -> u32 {
        let ahead = self.with(|book| book.waiting.len());
        MINUTES.saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1))
    }

    fn join(&self) -> Place {
        self.with(|book| {
            book.tickets += 1;
            let (ticket, ahead) = (format!("T{}", book.tickets), book.waiting.len());
            book.waiting.push_back(ticket.clone());
            Place { ticket, ahead }
        })
    }

    fn ahead_of(&self, ticket: &str) -> Option<usize> {
        self.with(|book| book.waiting.iter().position(|waiting| waiting == ticket))
    }

    /// Gives a table to the first who waits, if anyone does. Tells whom that moves.
    fn clear_table(&self) -> Vec<String> {
        self.with(|book| {
            let moved = book.waiting.iter().cloned().collect();
            if book.waiting.pop_front().is_none() {
                book.tables += 1;
            }
            moved
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(server(2)?.listen("127.0.0.1:8080").await?)
}
