//! Arguments of a tool as a person types them, typed by the tool's schema.
//!
//! A word is `key=text`, `key=@file` or `key:=json`. The schema says what a text becomes; what it does not know, or
//! does not take, is refused here, before anything is sent.

mod fit;
mod schema;
mod word;

use anypod_proto::jsonrpc::{JsonObject, JsonValue};

use self::schema::Schema;
pub(crate) use self::word::Word;
use self::word::Written;
use crate::usage::Usage;

/// How similar a name must be to be meant, from 0 to 1.
const SIMILAR: f64 = 0.6;

/// What the words say, on top of `given`, for a tool with this input schema.
///
/// # Errors
/// If the schema does not know an argument, if a text does not become what it wants, or if a required one is missing.
/// What is in `given` is taken as it is.
pub(crate) fn build(schema: &JsonObject, given: Option<JsonObject>, words: Vec<Word>) -> Result<JsonObject, Usage> {
    let root = JsonValue::Object(schema.clone());
    let schema = Schema::new(&root);
    let checked = given.is_none();
    let mut arguments = given.unwrap_or_default();
    let mut filled: Vec<Vec<String>> = Vec::new();
    for word in words {
        let path = schema.split(&word.key)?;
        let wanted = schema.at(&path, &word.key)?;
        let again = filled.contains(&path);
        let value = match word.written {
            Written::Json(value) => fit::check(&wanted, value, &word.key)?,
            Written::Text(text) if wanted.is_list() => {
                let kept = if again { find(&arguments, &path).cloned() } else { None };
                fit::add(&wanted, kept, &text, &word.key)?
            }
            Written::Text(_) if again => return Err(Usage::new(format!("argument {}: given twice", word.key))),
            Written::Text(text) => fit::read(&wanted, &text, &word.key)?,
        };
        place(&mut arguments, &path, value, &word.key)?;
        filled.push(path);
    }
    if checked {
        fit::complete(&schema, &arguments, "")?;
    }
    Ok(arguments)
}

/// The arguments that a schema asks for, as they are typed, such as `a=<integer> [b=<string>]`.
pub(crate) fn usage(schema: &JsonObject) -> String {
    let root = JsonValue::Object(schema.clone());
    let schema = Schema::new(&root);
    let required = schema.required();
    let shown = schema.properties().map(|(name, wanted)| match required.contains(&name) {
        true => format!("{name}=<{}>", wanted.describe()),
        false => format!("[{name}=<{}>]", wanted.describe()),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The name that was probably meant.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The one sees letters that changed places, the other a beginning.
    let alike =
        |known| strsim::normalized_damerau_levenshtein(name, known).max(strsim::jaro_winkler(name, known) - 0.1);
    let similar = known.into_iter().map(|known| (alike(known), known));
    let similar = similar.filter(|(similar, _)| *similar >= SIMILAR);
    similar.max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, known)| known)
}

fn find<'a>(arguments: &'a JsonObject, path: &[String]) -> Option<&'a JsonValue> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(arguments.get(first)?, |value, key| value.get(key))
}

/// Puts a value where its path leads, through objects that are made on the way.
fn place(arguments: &mut JsonObject, path: &[String], value: JsonValue, key: &str) -> Result<(), Usage> {
    let (last, way) = path.split_last().expect("a key has a part");
    let mut object = arguments;
    for part in way {
        let inner = object.entry(part.clone()).or_insert_with(|| JsonValue::Object(JsonObject::new()));
        object = inner
            .as_object_mut()
            .ok_or_else(|| Usage::new(format!("argument {key}: `{part}` was given before, and is no object")))?;
    }
    object.insert(last.clone(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> JsonObject {
        let schema = json!({
            "type": "object",
            "properties": {
                "count": { "type": "integer", "minimum": 1, "maximum": 9 },
                "ratio": { "type": "number" },
                "name": { "type": "string", "minLength": 2, "maxLength": 40 },
                "loud": { "type": "boolean" },
                "room": { "type": "string", "enum": ["single", "double"] },
                "tags": { "type": "array", "items": { "type": "string" } },
                "sizes": { "type": "array", "items": { "type": "integer" }, "maxItems": 3 },
                "guest": { "$ref": "#/$defs/Guest" },
                "either": { "anyOf": [{ "type": "integer" }, { "type": "string" }, { "type": "null" }] },
                "maybe": { "type": ["integer", "null"] },
                "fixed": { "const": 7 },
                "dotted.name": { "type": "string" },
                "any": {},
                "loop": { "$ref": "#/properties/loop" },
                "far": { "$ref": "https://elsewhere.example/schema" },
            },
            "$defs": { "Guest": {
                "type": "object",
                "properties": { "age": { "type": "integer" }, "self": { "$ref": "#/$defs/Guest" } },
                "required": ["age"],
            } },
        });
        schema.as_object().unwrap().clone()
    }

    fn typed(words: &[&str]) -> Result<JsonValue, String> {
        let read = |path: &str| match path {
            "letter" => Ok("from a file\n".to_owned()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        let words = words.iter().map(|word| Word::parse(word, read)).collect::<Result<_, _>>();
        let built = words.and_then(|words| build(&schema(), None, words));
        built.map(JsonValue::Object).map_err(|usage| usage.to_string())
    }

    #[test]
    fn texts_become_what_the_schema_wants() {
        let table = [
            (&["count=3"][..], json!({ "count": 3 })),
            (&["ratio=3"], json!({ "ratio": 3 })),
            (&["ratio=-1.5e3"], json!({ "ratio": -1500.0 })),
            (&["name=42"], json!({ "name": "42" })),
            (&["name=a=b"], json!({ "name": "a=b" })),
            (&["name="], json!(null)),
            (&["name:=\"raw\""], json!({ "name": "raw" })),
            (&["name=@letter"], json!({ "name": "from a file\n" })),
            (&["name=@@home"], json!({ "name": "@home" })),
            (&["name=me@home"], json!({ "name": "me@home" })),
            (&["loud=true", "count=1"], json!({ "loud": true, "count": 1 })),
            (&["room=double"], json!({ "room": "double" })),
            (&["tags=a"], json!({ "tags": ["a"] })),
            (&["tags=a", "tags=b"], json!({ "tags": ["a", "b"] })),
            (&["tags=[\"a\",\"b\"]", "tags=c"], json!({ "tags": ["a", "b", "c"] })),
            (&["tags=[x"], json!({ "tags": ["[x"] })),
            (&["tags:=[]"], json!({ "tags": [] })),
            (&["sizes=1", "sizes=2"], json!({ "sizes": [1, 2] })),
            (&["guest.age=40"], json!({ "guest": { "age": 40 } })),
            (&["guest.age=40", "guest.self.age=2"], json!({ "guest": { "age": 40, "self": { "age": 2 } } })),
            (&["guest={\"age\":1}"], json!({ "guest": { "age": 1 } })),
            (&["either=5"], json!({ "either": 5 })),
            (&["either=five"], json!({ "either": "five" })),
            (&["either:=null"], json!({ "either": null })),
            (&["maybe=null"], json!({ "maybe": null })),
            (&["fixed=7"], json!({ "fixed": 7 })),
            (&["dotted.name=x"], json!({ "dotted.name": "x" })),
            (&["any=5"], json!({ "any": 5 })),
            (&["any=five"], json!({ "any": "five" })),
            (&["any={\"a\":[1]}"], json!({ "any": { "a": [1] } })),
            (&["any.deep=x"], json!({ "any": { "deep": "x" } })),
            (&["loop=x"], json!({ "loop": "x" })),
            (&["far=x"], json!({ "far": "x" })),
        ];
        for (words, expected) in table {
            match expected.is_null() {
                true => assert!(typed(words).is_err(), "{words:?}"),
                false => assert_eq!(typed(words), Ok(expected), "{words:?}"),
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_name_and_what_is_wanted() {
        let table = [
            (&["cuont=1"][..], "there is no argument `cuont`; did you mean `count`?"),
            (&["guest.aeg=1"], "there is no argument `guest.aeg`; did you mean `guest.age`?"),
            (&["zzz=1"], "there is no argument `zzz`; the tool takes count, ratio, name"),
            (&["count=many"], "argument count: `many` is no integer from 1 to 9"),
            (&["count=1.5"], "argument count: `1.5` is no integer from 1 to 9"),
            (&["count=10"], "argument count: `10` is no integer from 1 to 9"),
            (&["count=99999999999999999999999"], "argument count:"),
            (&["ratio=NaN"], "argument ratio: `NaN` is no number"),
            (&["loud=yes"], "argument loud: `yes` is neither true nor false"),
            (&["room=doubel"], "argument room: `doubel` is none of single, double; did you mean `double`?"),
            (&["name=x"], "argument name: `x` is no string of 2 to 40 characters"),
            (&["sizes=1", "sizes=b"], "argument sizes: `b` is no integer"),
            (&["sizes=[1,2,3,4]"], "argument sizes:"),
            (&["guest=old"], "argument guest: `old` is no object: write guest.age=… or guest:={…}"),
            (&["guest:={}"], "argument guest: `age` is missing"),
            (&["guest.self.age=1"], "argument guest: `age` is missing"),
            (&["count:=\"1\""], "argument count: `\"1\"` is no integer from 1 to 9"),
            (&["count:=nothing"], "argument count: what is after := is no JSON"),
            (&["count=1", "count=2"], "argument count: given twice"),
            (&["count.more=1"], "there is no argument `count.more`"),
            (&["fixed=8"], "argument fixed: `8` is none of 7"),
            (&["count"], "`count` is no argument: write key=text, key=@file or key:=json"),
            (&["=1"], "`=1` is no argument"),
            (&["name=@gone"], "argument name: cannot read gone"),
        ];
        for (words, expected) in table {
            let said = typed(words).unwrap_err();
            assert!(said.starts_with(expected), "{words:?}: {said}");
        }
    }

    #[test]
    fn a_required_argument_that_is_missing_is_named_with_its_type() {
        let mut schema = schema();
        schema.insert("required".to_owned(), json!(["count", "name"]));
        let said = |given: Option<JsonObject>, words: &[&str]| {
            let words = words.iter().map(|word| Word::parse(word, |_| Ok(String::new())).unwrap()).collect();
            build(&schema, given, words).map_err(|usage| usage.to_string())
        };
        assert_eq!(said(None, &["name=Ada"]).unwrap_err(), "argument count is missing: an integer from 1 to 9");
        assert!(said(Some(JsonObject::new()), &["name=Ada"]).is_ok(), "JSON is sent as it is given");
    }

    #[test]
    fn further_names_are_taken_where_the_schema_says_so() {
        let schema = json!({ "properties": { "a": {} }, "additionalProperties": { "type": "integer" } });
        let word = |word: &str| vec![Word::parse(word, |_| Ok(String::new())).unwrap()];
        let build = |words| build(schema.as_object().unwrap(), None, words);
        assert_eq!(build(word("more=1")).unwrap()["more"], json!(1));
        assert!(build(word("more=x")).is_err());
    }

    #[test]
    fn a_schema_that_refers_to_itself_or_is_very_deep_ends() {
        let mut deep = json!({ "type": "string" });
        for _ in 0..100 {
            deep = json!({ "anyOf": [deep] });
        }
        let schema = json!({ "properties": { "a": deep, "b": { "anyOf": [{ "$ref": "#/properties/b" }, { "$ref": "#/properties/b" }] } } });
        for word in ["a=x", "b=x"] {
            let words = vec![Word::parse(word, |_| Ok(String::new())).unwrap()];
            assert!(build(schema.as_object().unwrap(), None, words).is_ok(), "{word}");
        }
        assert!(usage(schema.as_object().unwrap()).contains("a="));
    }

    #[test]
    fn the_usage_shows_what_is_required_and_what_is_not() {
        let schema = json!({ "properties": { "a": { "type": "integer" }, "b": {} }, "required": ["a"] });
        assert_eq!(usage(schema.as_object().unwrap()), "a=<integer> [b=<any>]");
    }
}
