//! A travel desk: resources and a prompt about cities, and a tool that asks the person before it books.

use anypod_server::{
    Args, Cx, Error, Json, Partial, Prompt, Resource, ResourceTemplate, Result, ServerBuilder, State, Tool, Uri, Vars,
    form,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pod;
use crate::real;

/// A place to stay.
#[derive(Debug, Clone, Copy, Serialize)]
struct City {
    name: &'static str,
    about: &'static str,
    /// What a night costs, in euros.
    night: u32,
}

const CITIES: [City; 4] = [
    City { name: "Kyoto", about: "Temples, gardens and a river to walk along.", night: 140 },
    City { name: "Lisbon", about: "Hills, trams and the light of the Atlantic.", night: 110 },
    City { name: "Oslo", about: "A fjord, forests and museums on the water.", night: 170 },
    City { name: "Ouro Preto", about: "Baroque churches on steep streets.", night: 60 },
];

pub(super) fn offer(server: ServerBuilder) -> ServerBuilder {
    server
        .tool(Tool::new("book", book).description("Books a room; asks the person for the details"))
        .prompt(
            Prompt::new("plan_trip", plan_trip).description("Plans a stay in a city").complete("city", complete_city),
        )
        .resource(
            Resource::new("demo://cities", "cities", cities)
                .description("The cities and what a night costs there")
                .mime_type("application/json"),
        )
        .resource_template(
            ResourceTemplate::new("demo://cities/{city}", "city", about)
                .description("What there is in a city")
                .mime_type("text/plain")
                .complete("city", complete_city),
        )
}

fn find(name: &str) -> Option<City> {
    CITIES.into_iter().find(|city| city.name.eq_ignore_ascii_case(name))
}

#[derive(Deserialize, JsonSchema)]
struct Named {
    /// The name of the city
    city: String,
}

/// What the person fills in.
#[derive(Deserialize, JsonSchema)]
struct Stay {
    /// The name for the booking
    #[schemars(length(min = 1, max = 80))]
    name: String,
    /// How many nights
    #[schemars(range(min = 1, max = 30))]
    nights: u8,
    /// Which kind of room
    room: Room,
    /// Whether to have breakfast
    breakfast: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Room {
    /// For one
    Single,
    /// For two
    Double,
}

impl Stay {
    /// What it costs, in euros.
    fn price(&self, night: u32) -> u32 {
        let room = match self.room {
            Room::Single => night,
            Room::Double => night * 3 / 2,
        };
        let breakfast = if self.breakfast == Some(true) { 12 } else { 0 };
        u32::from(self.nights) * (room + breakfast)
    }
}

/// What a night costs, and the pod that said so.
#[derive(Serialize, Deserialize)]
struct Quote {
    night: u32,
    port: u16,
}

/// What came of it.
#[derive(Serialize, JsonSchema)]
struct Booking {
    /// The number of the booking; none if the person did not want one
    number: Option<String>,
    /// The name for the booking
    guest: Option<String>,
    /// What it costs, in euros
    price: Option<u32>,
    /// The port of the pod that was asked first
    quoted_by: u16,
    /// The port of the pod that went on with the person's answer
    finished_by: u16,
}

/// The answer to the question may reach another pod than the one that asked: the handler then runs again
/// there, and takes the quote from its journal instead of making a new one.
async fn book(Args(Named { city }): Args<Named>, State(pod): State<Pod>, cx: Cx) -> Result<Json<Booking>> {
    let Some(city) = find(&city) else {
        return Err(Error::tool(format!("no rooms in `{city}`; there are some in {}", names().join(", "))));
    };
    let quote = cx.step("quote", async || Ok::<_, Error>(Quote { night: city.night, port: pod.port })).await?;
    let question = format!("A night in {} is {} euros. What shall it be?", city.name, quote.night);
    let stay = cx.ask("stay", form::<Stay>(question)).await?.into_accepted();
    let booked = Booking { number: None, guest: None, price: None, quoted_by: quote.port, finished_by: pod.port };
    let Some(stay) = stay else { return Ok(Json(booked)) };
    let number = cx.step("book", async || reserve(&stay)).await?;
    let price = Some(stay.price(quote.night));
    Ok(Json(Booking { number: Some(number), guest: Some(stay.name), price, ..booked }))
}

/// What a real desk would do here must happen once only, hence the step around it.
fn reserve(stay: &Stay) -> Result<String> {
    let number = u32::from_ne_bytes(real::random().map_err(Error::internal)?);
    tracing::debug!(nights = stay.nights, "booked");
    Ok(format!("{number:08X}"))
}

fn names() -> [&'static str; CITIES.len()] {
    CITIES.map(|city| city.name)
}

async fn complete_city(partial: Partial) -> Vec<&'static str> {
    let typed = partial.value.to_lowercase();
    names().into_iter().filter(|name| name.to_lowercase().starts_with(&typed)).collect()
}

async fn plan_trip(Args(Named { city }): Args<Named>) -> Result<String> {
    let city = find(&city).ok_or_else(|| Error::invalid_params(format!("there is no city `{city}` here")))?;
    Ok(format!("Plan three days in {} for me. {} Then book a room with the tool `book`.", city.name, city.about))
}

async fn cities() -> Result<String> {
    Ok(serde_json::to_string(&CITIES)?)
}

async fn about(Vars(Named { city }): Vars<Named>, Uri(uri): Uri) -> Result<&'static str> {
    find(&city).map(|city| city.about).ok_or_else(|| Error::unknown_resource(uri))
}
