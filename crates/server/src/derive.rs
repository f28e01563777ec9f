//! JSON Schemas derived from Rust types.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::handle::take_origins;

/// The schema of arguments: an object, also where the type allows more than objects. That of a type which is
/// never one is left alone, for the check of schemas to refuse.
pub(crate) fn input<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    let allows_objects = match &schema["type"] {
        Value::Null => true,
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "object"),
        kind => kind == "object",
    };
    if allows_objects && let Some(schema) = schema.as_object_mut() {
        schema.insert("type".to_owned(), json!("object"));
    }
    schema
}

/// The schema of a result, as it is serialized.
pub(crate) fn output<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema of a form: flat, and with only the keywords that forms have.
///
/// An optional field is one that is not required; a form has no `null`.
pub(crate) fn form<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    take_origins(&mut schema);
    let fields = schema["properties"].as_object().cloned().unwrap_or_default();
    let fields: Map<_, _> = fields.into_iter().map(|(name, field)| (name, form_field(field))).collect();
    let mut form = json!({ "type": "object", "properties": fields });
    if let Some(required) = schema.get("required") {
        form["required"] = required.clone();
    }
    form
}

fn form_field(mut field: Value) -> Value {
    // `Option<T>` of an inlined type: the branch that is not `null`, under the outer annotations.
    if let Some(branches) = field.get("anyOf").and_then(Value::as_array)
        && let Some(inner) = branches.iter().find(|branch| branch["type"] != "null").cloned()
    {
        let outer = field.as_object().cloned().unwrap_or_default();
        field = inner;
        for (keyword, value) in outer.into_iter().filter(|(keyword, _)| keyword != "anyOf") {
            field[keyword] = value;
        }
    }
    let Some(object) = field.as_object_mut() else { return field };
    if let Some(types) = object.get("type").and_then(Value::as_array)
        && let Some(kind) = types.iter().find(|kind| *kind != "null").cloned()
    {
        object.insert("type".to_owned(), kind);
    }
    if let Some(values) = object.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(choices) = object.get_mut("oneOf").and_then(Value::as_array_mut) {
        for choice in choices {
            let title = choice.get("title").or(choice.get("description")).unwrap_or(&choice["const"]).clone();
            *choice = json!({ "const": choice["const"], "title": title });
        }
        object.insert("type".to_owned(), json!("string"));
    }
    // `int32` and the like are formats of numbers, which forms do not have.
    if object.get("type").is_some_and(|kind| kind == "integer" || kind == "number") {
        object.remove("format");
    }
    field
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only its schema matters")]
    struct Booking {
        /// Who comes.
        name: String,
        seats: u8,
        window: Option<bool>,
        class: Option<Class>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Class {
        /// The cheap one
        Second,
        /// The quiet one
        First,
    }

    #[test]
    fn forms_are_flat_and_know_no_null() {
        let form = form::<Booking>();
        let typed: anypod_proto::elicitation::RequestedSchema = serde_json::from_value(form.clone()).unwrap();
        assert_eq!(typed.properties.0.len(), 4);
        assert_eq!(form["required"], json!(["name", "seats"]));
        assert_eq!(form["properties"]["window"]["type"], "boolean");
        assert_eq!(
            form["properties"]["class"]["oneOf"],
            json!([{ "const": "second", "title": "The cheap one" }, { "const": "first", "title": "The quiet one" }])
        );
    }

    #[test]
    fn forms_show_their_fields_in_the_order_of_the_struct() {
        let typed: anypod_proto::elicitation::RequestedSchema = serde_json::from_value(form::<Booking>()).unwrap();
        let names: Vec<_> = typed.properties.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["name", "seats", "window", "class"]);
    }
}
