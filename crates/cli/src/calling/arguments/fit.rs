//! Whether a text or a value fits into its place, and what it becomes there.

use anypod_proto::jsonrpc::{JsonObject, JsonValue};

use super::closest;
use super::schema::{Form, Schema, Type, list, plain};
use crate::usage::Usage;

/// How deep a value is checked. Beyond, the server says whether it fits.
const DEPTH: usize = 32;
/// How much of a value a message repeats, in characters.
const SHOWN: usize = 60;

/// What a text becomes.
///
/// # Errors
/// If it fits none of the forms.
pub(super) fn read(wanted: &Schema<'_>, text: &str, key: &str) -> Result<JsonValue, Usage> {
    let mut first = None;
    for kind in Type::ALL {
        for form in wanted.forms().filter(|form| form.may_be(kind)) {
            match convert(kind, text).map(|value| fits(&form, &value, DEPTH).map(|()| value)) {
                Some(Ok(value)) => return Ok(value),
                Some(Err(wrong)) => first = first.or(Some(wrong)),
                None => {}
            }
        }
    }
    if wanted.takes_anything() {
        return Ok(serde_json::from_str(text).unwrap_or_else(|_| JsonValue::String(text.to_owned())));
    }
    Err(refused(wanted, text, key, first))
}

/// A list with what a text adds to it: an item, or a whole list as JSON.
///
/// # Errors
/// If the items or their number do not fit.
pub(super) fn add(wanted: &Schema<'_>, kept: Option<JsonValue>, text: &str, key: &str) -> Result<JsonValue, Usage> {
    let mut items = match kept {
        Some(JsonValue::Array(items)) => items,
        Some(_) | None => Vec::new(),
    };
    match convert(Type::Array, text) {
        Some(JsonValue::Array(more)) => items.extend(more),
        Some(_) | None => {
            let form = wanted.forms().find(|form| form.may_be(Type::Array)).expect("a list is wanted");
            match read(&form.items(), text, key) {
                Ok(item) => items.push(item),
                // Where it need not be a list, it may fit as it is.
                Err(wrong) if items.is_empty() => return read(wanted, text, key).map_err(|_| wrong),
                Err(wrong) => return Err(wrong),
            }
        }
    }
    check(wanted, JsonValue::Array(items), key)
}

/// A value, if it fits.
///
/// # Errors
/// If it fits none of the forms.
pub(super) fn check(wanted: &Schema<'_>, value: JsonValue, key: &str) -> Result<JsonValue, Usage> {
    match accepts(wanted, &value, DEPTH) {
        Ok(()) => Ok(value),
        Err(wrong) => Err(refused(wanted, &value.to_string(), key, Some(wrong))),
    }
}

/// Whether the objects that were put together of words have what they must have.
///
/// # Errors
/// If something is missing.
pub(super) fn complete(wanted: &Schema<'_>, object: &JsonObject, way: &str) -> Result<(), Usage> {
    let missing = wanted.required().into_iter().find(|name| !object.contains_key(*name));
    if let Some(name) = missing {
        let said = wanted.properties().find(|(known, _)| *known == name).map(|(_, schema)| schema.describe());
        let said = said.unwrap_or_else(|| "any".to_owned());
        return Err(Usage::new(match way.is_empty() {
            true => format!("argument {name} is missing: {}", article(&said)),
            false => format!("argument {way}: `{name}` is missing: {}", article(&said)),
        }));
    }
    for (name, schema) in wanted.properties() {
        if let Some(JsonValue::Object(inner)) = object.get(name) {
            let way = if way.is_empty() { name.to_owned() } else { format!("{way}.{name}") };
            complete(&schema, inner, &way)?;
        }
    }
    Ok(())
}

/// A text as a value of one type.
fn convert(kind: Type, text: &str) -> Option<JsonValue> {
    match kind {
        Type::String => Some(JsonValue::String(text.to_owned())),
        Type::Boolean | Type::Integer | Type::Number | Type::Null | Type::Array | Type::Object => {
            let value = serde_json::from_str(text).ok()?;
            kind.has(&value).then_some(value)
        }
    }
}

/// Why a value does not fit.
#[derive(Debug, Clone, PartialEq)]
enum Wrong {
    /// It is something else than is wanted.
    Other,
    /// It is none of the values that are listed.
    Unlisted(Vec<String>),
    /// An object has no such member.
    Missing(String),
    /// Something inside of it does not fit, or there is too much or too little of it.
    Inside(String),
}

fn accepts(wanted: &Schema<'_>, value: &JsonValue, depth: usize) -> Result<(), Wrong> {
    if wanted.takes_anything() {
        return Ok(());
    }
    let mut first = None;
    for form in wanted.forms() {
        match fits(&form, value, depth) {
            Ok(()) => return Ok(()),
            Err(wrong) => first = first.or(Some(wrong)),
        }
    }
    first.map_or(Ok(()), Err)
}

fn fits(form: &Form<'_>, value: &JsonValue, depth: usize) -> Result<(), Wrong> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    if !Type::ALL.into_iter().any(|kind| form.may_be(kind) && kind.has(value)) {
        return Err(Wrong::Other);
    }
    if let Some(values) = form.values().filter(|values| !values.iter().any(|listed| same(listed, value))) {
        return Err(Wrong::Unlisted(values.into_iter().map(plain).collect()));
    }
    let in_bounds = match value {
        JsonValue::Number(number) => {
            let within = |number: f64| {
                form.number("minimum").is_none_or(|least| number >= least)
                    && form.number("maximum").is_none_or(|most| number <= most)
                    && form.number("exclusiveMinimum").is_none_or(|least| number > least)
                    && form.number("exclusiveMaximum").is_none_or(|most| number < most)
            };
            number.as_f64().is_none_or(within)
        }
        JsonValue::String(text) => counts(form, "minLength", "maxLength", text.chars().count()),
        JsonValue::Array(items) => return fits_list(form, items, depth),
        JsonValue::Object(object) => return fits_object(form, object, depth),
        JsonValue::Null | JsonValue::Bool(_) => true,
    };
    if in_bounds { Ok(()) } else { Err(Wrong::Other) }
}

fn fits_list(form: &Form<'_>, items: &[JsonValue], depth: usize) -> Result<(), Wrong> {
    if !counts(form, "minItems", "maxItems", items.len()) {
        return Err(Wrong::Inside(format!("{} items are too many or too few", items.len())));
    }
    let wanted = form.items();
    let wrong = items.iter().find(|item| accepts(&wanted, item, depth).is_err());
    wrong.map_or(Ok(()), |item| Err(Wrong::Inside(not(&wanted, &short(&plain(item))))))
}

fn fits_object(form: &Form<'_>, object: &JsonObject, depth: usize) -> Result<(), Wrong> {
    let schema = form.as_schema();
    if let Some(name) = schema.required().into_iter().find(|name| !object.contains_key(*name)) {
        return Err(Wrong::Missing(name.to_owned()));
    }
    for (name, value) in object {
        let inner =
            schema.at(std::slice::from_ref(name), name).map_err(|unknown| Wrong::Inside(unknown.to_string()))?;
        accepts(&inner, value, depth)
            .map_err(|_| Wrong::Inside(format!("{name}: {}", not(&inner, &short(&plain(value))))))?;
    }
    Ok(())
}

fn counts(form: &Form<'_>, least: &str, most: &str, found: usize) -> bool {
    let found = u64::try_from(found).unwrap_or(u64::MAX);
    form.count(least).is_none_or(|least| found >= least) && form.count(most).is_none_or(|most| found <= most)
}

/// Whether two values are the same, numbers by their value.
fn same(one: &JsonValue, other: &JsonValue) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => one == other,
    }
}

fn refused(wanted: &Schema<'_>, text: &str, key: &str, wrong: Option<Wrong>) -> Usage {
    let shown = short(text);
    let why = match wrong {
        Some(Wrong::Unlisted(values)) => {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let meant = closest(text, values.iter().copied());
            let meant = meant.map(|value| format!("; did you mean `{value}`?")).unwrap_or_default();
            format!("`{shown}` is none of {}{meant}", list(&values))
        }
        Some(Wrong::Missing(name)) => format!("`{name}` is missing"),
        Some(Wrong::Inside(why)) => why,
        Some(Wrong::Other) | None => match only(wanted) {
            Some(Type::Object) => format!("`{shown}` is no object: {}", how(wanted, key)),
            Some(_) | None => not(wanted, &shown),
        },
    };
    Usage::new(format!("argument {key}: {why}"))
}

/// The one type that is wanted.
fn only(wanted: &Schema<'_>) -> Option<Type> {
    let forms: Vec<Form<'_>> = wanted.forms().collect();
    let [form] = forms.as_slice() else { return None };
    let mut types = Type::ALL.into_iter().filter(|kind| form.may_be(*kind));
    types.next().filter(|_| types.next().is_none())
}

fn not(wanted: &Schema<'_>, shown: &str) -> String {
    match only(wanted) {
        Some(Type::Boolean) => format!("`{shown}` is neither true nor false"),
        Some(_) | None => format!("`{shown}` is no {}", wanted.describe()),
    }
}

/// How an object is written.
fn how(wanted: &Schema<'_>, key: &str) -> String {
    match wanted.properties().next() {
        Some((name, _)) => format!("write {key}.{name}=… or {key}:={{…}}"),
        None => format!("write {key}:={{…}}"),
    }
}

fn article(described: &str) -> String {
    match described.chars().next() {
        Some('a' | 'e' | 'i' | 'o' | 'u') if !described.contains('|') && described != "any" => {
            format!("an {described}")
        }
        Some(_) if !described.contains('|') && described != "any" => format!("a {described}"),
        Some(_) | None => described.to_owned(),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
