//! The JSON Schema of `anypod.toml`, for editors.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

/// The JSON Schema of `anypod.toml`, for editors. It says which keys there are and of which type; the rest is for
/// [`Config::check`].
pub fn schema() -> &'static Value {
    &SCHEMA
}

fn generate() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>().to_value();
    schema["title"] = "anypod.toml".into();
    adapt(&mut schema);
    schema
}

/// Takes out what TOML does not have: `null`. A paragraph of a doc becomes a line.
fn adapt(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(kept) = object.get_mut("anyOf").and_then(without_null) {
                object.remove("anyOf");
                if let Value::Object(kept) = kept {
                    object.extend(kept);
                }
            }
            if let Some(Value::Array(types)) = object.get("type")
                && let [kept, null] = types.as_slice()
                && null == "null"
            {
                object["type"] = kept.clone();
            }
            if let Some(Value::String(doc)) = object.get_mut("description") {
                *doc = doc.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
            }
            object.values_mut().for_each(adapt);
        }
        Value::Array(values) => values.iter_mut().for_each(adapt),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is left of two alternatives of which one is null.
fn without_null(alternatives: &mut Value) -> Option<Value> {
    match alternatives.as_array()?.as_slice() {
        [kept, null] if null["type"] == "null" => Some(kept.clone()),
        [..] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_no_null_and_knows_every_table() {
        let text = schema().to_string();
        assert!(!text.contains("null"), "{text}");
        let tables = ["Listener", "Upstream", "Route", "Limits", "Fleet", "Observe", "ServerTls", "ClientTls", "Rule"];
        for table in tables {
            assert_eq!(schema()["$defs"][table]["additionalProperties"], false, "{table}");
        }
    }
}
