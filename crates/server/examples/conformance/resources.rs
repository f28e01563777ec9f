//! Resources: text, bytes, and a family of them.

use anypod_server::{Partial, Resource, ResourceTemplate, ServerBuilder, Vars};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::content::PNG;

pub(crate) fn offer(server: ServerBuilder) -> ServerBuilder {
    server
        .resource(
            Resource::new("test://static-text", "static-text", text)
                .description("A text that never changes")
                .mime_type("text/plain"),
        )
        .resource(
            Resource::new("test://static-binary", "static-binary", binary)
                .description("A picture that never changes")
                .mime_type("image/png"),
        )
        .resource(
            Resource::new("test://watched-resource", "watched-resource", text)
                .description("A text to subscribe to")
                .mime_type("text/plain"),
        )
        .resource_template(
            ResourceTemplate::new("test://template/{id}/data", "template-data", data)
                .description("What belongs to an id")
                .mime_type("application/json")
                .complete("id", ids),
        )
}

async fn text() -> &'static str {
    "This is the content of the static text resource."
}

async fn binary() -> Vec<u8> {
    PNG.to_vec()
}

#[derive(Deserialize, JsonSchema)]
struct Key {
    id: String,
}

async fn data(Vars(Key { id }): Vars<Key>) -> String {
    json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") }).to_string()
}

async fn ids(partial: Partial) -> Vec<&'static str> {
    ["1", "12", "123"].into_iter().filter(|id| id.starts_with(&partial.value)).collect()
}
