//! The search for `x-mcp-header` in an input schema, and the rules that an annotation has to keep.

use http::HeaderName;
use serde_json::{Map, Value};

use super::{KEYWORD, MAX_PARAM_HEADERS, ParamHeader, ParamHeaderError, ParamHeaderErrorKind as Broken, ParamKind};
use crate::header::PARAM_PREFIX;

/// How deep a schema is searched. Deeper ones could not have been parsed from JSON text in the first place.
const MAX_DEPTH: usize = 128;

/// Keywords whose value is an instance or a list of names: no schema, whatever it looks like.
const DATA: [&str; 6] = ["const", "default", "enum", "examples", "required", "type"];

/// Keywords whose members are named freely and are schemas.
const SCHEMA_MAPS: [&str; 6] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];

/// Finds and checks all annotations.
pub(super) fn find(schema: &Value) -> Result<Vec<ParamHeader>, ParamHeaderError> {
    let mut search = Search { found: Vec::new(), at: Vec::new() };
    search.value(schema, Reach::Root)?;
    Ok(search.found.into_iter().map(|(_, param)| param).collect())
}

/// How a subschema is reached from the root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It is the root, which is no property.
    Root,
    /// Through `properties` alone.
    Properties,
    /// Some other way.
    Other,
}

struct Search<'a> {
    /// What was found, with the pointer into the schema.
    found: Vec<(String, ParamHeader)>,
    at: Vec<&'a str>,
}

impl<'a> Search<'a> {
    /// Looks into a schema, or a list of schemas. Keywords that nobody knows are searched as well, because a
    /// `$ref` could lead into them.
    fn value(&mut self, value: &'a Value, reach: Reach) -> Result<(), ParamHeaderError> {
        if self.at.len() > MAX_DEPTH {
            return Err(self.broken(Broken::TooDeep));
        }
        match value {
            Value::Object(schema) => self.schema(schema, reach),
            Value::Array(list) => list.iter().try_for_each(|value| self.value(value, Reach::Other)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn schema(&mut self, schema: &'a Map<String, Value>, reach: Reach) -> Result<(), ParamHeaderError> {
        if let Some(name) = schema.get(KEYWORD) {
            self.annotation(name, schema, reach)?;
        }
        for (keyword, value) in schema {
            if keyword == KEYWORD || DATA.contains(&keyword.as_str()) {
                continue;
            }
            self.at.push(keyword);
            match value {
                Value::Object(map) if SCHEMA_MAPS.contains(&keyword.as_str()) => {
                    let via_properties = keyword == "properties" && reach != Reach::Other;
                    self.map(map, if via_properties { Reach::Properties } else { Reach::Other })?;
                }
                _ => self.value(value, Reach::Other)?,
            }
            self.at.pop();
        }
        Ok(())
    }

    fn map(&mut self, map: &'a Map<String, Value>, reach: Reach) -> Result<(), ParamHeaderError> {
        for (name, schema) in map {
            self.at.push(name);
            self.value(schema, reach)?;
            self.at.pop();
        }
        Ok(())
    }

    fn annotation(&mut self, name: &Value, schema: &Map<String, Value>, reach: Reach) -> Result<(), ParamHeaderError> {
        if reach != Reach::Properties {
            return Err(self.broken(Broken::Unreachable));
        }
        let header = header_name(name).map_err(|kind| self.broken(kind))?;
        let kind = schema.get("type").and_then(primitive).ok_or_else(|| self.broken(Broken::NotPrimitive))?;
        if let Some((other, _)) = self.found.iter().find(|(_, param)| param.header == header) {
            return Err(self.broken(Broken::Duplicate(other.clone())));
        }
        if self.found.len() == MAX_PARAM_HEADERS {
            return Err(self.broken(Broken::TooMany));
        }
        // The path alternates between `properties` and a name.
        let path = self.at.iter().skip(1).step_by(2).map(|&key| key.to_owned()).collect();
        self.found.push((super::pointer(&self.at), ParamHeader { header, path, kind }));
        Ok(())
    }

    fn broken(&self, kind: Broken) -> ParamHeaderError {
        ParamHeaderError { path: super::pointer(&self.at), kind }
    }
}

fn header_name(name: &Value) -> Result<HeaderName, Broken> {
    match name.as_str() {
        None => Err(Broken::NotAString),
        Some("") => Err(Broken::Empty),
        // The crate accepts the same characters as RFC 9110 does, and writes them in lowercase.
        Some(name) => HeaderName::from_bytes(format!("{PARAM_PREFIX}{name}").as_bytes()).map_err(|_| Broken::NotAToken),
    }
}

/// The one primitive type that `type` allows, `null` aside.
fn primitive(types: &Value) -> Option<ParamKind> {
    let kind = |name: &str| match name {
        "string" => Some(ParamKind::String),
        "integer" => Some(ParamKind::Integer),
        "boolean" => Some(ParamKind::Boolean),
        _ => None,
    };
    match types {
        Value::String(name) => kind(name),
        Value::Array(names) => {
            let mut others = names.iter().filter(|name| *name != "null");
            let only = others.next()?.as_str().and_then(kind);
            if others.next().is_some() { None } else { only }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
