//! What a schema says about one place: the forms that a value may have there.
//!
//! Only as much of JSON Schema as decides how a typed text is meant. The server validates the rest.

use anypod_proto::jsonrpc::{JsonObject, JsonValue};

use super::closest;
use crate::usage::Usage;

/// How many references and combinations are followed to one place. Beyond, anything may stand there.
const HOPS: usize = 32;
/// How many forms of one place are looked at.
const FORMS: usize = 64;
/// How many names a message lists.
const LISTED: usize = 8;

/// The keywords of which a schema must have one to say what may stand in its place.
const RESTRICT: [&str; 6] = ["type", "enum", "const", "properties", "additionalProperties", "items"];

/// The types of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Boolean,
    Integer,
    Number,
    Null,
    String,
    Array,
    Object,
}

impl Type {
    /// All of them; a text is tried as one after the other, from the strictest on.
    pub(super) const ALL: [Self; 7] =
        [Self::Boolean, Self::Integer, Self::Number, Self::Null, Self::String, Self::Array, Self::Object];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Null => "null",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// Whether a value has it. A whole number is also an integer, however it is written.
    pub(super) fn has(self, value: &JsonValue) -> bool {
        match value {
            JsonValue::Null => self == Self::Null,
            JsonValue::Bool(_) => self == Self::Boolean,
            JsonValue::Number(number) => {
                let whole = !number.is_f64() || number.as_f64().is_some_and(|number| number.fract() == 0.0);
                self == Self::Number || self == Self::Integer && whole
            }
            JsonValue::String(_) => self == Self::String,
            JsonValue::Array(_) => self == Self::Array,
            JsonValue::Object(_) => self == Self::Object,
        }
    }
}

/// What may stand in one place: any of its forms.
#[derive(Debug, Clone)]
pub(super) struct Schema<'a> {
    root: &'a JsonValue,
    forms: Vec<&'a JsonObject>,
    /// Whether anything else may stand there too, or nothing is known.
    anything: bool,
}

impl<'a> Schema<'a> {
    /// What the whole of `root` says.
    pub(super) fn new(root: &'a JsonValue) -> Self {
        Self::of(root, root)
    }

    fn of(root: &'a JsonValue, node: &'a JsonValue) -> Self {
        let mut schema = Self { root, forms: Vec::new(), anything: false };
        let mut hops = HOPS;
        schema.collect(node, &mut hops);
        schema.anything |= schema.forms.is_empty();
        schema
    }

    /// Adds the forms of a schema: itself, what it refers to, or each of its alternatives.
    fn collect(&mut self, node: &'a JsonValue, hops: &mut usize) {
        let (Some(object), Some(left), true) = (node.as_object(), hops.checked_sub(1), self.forms.len() < FORMS) else {
            self.anything = true;
            return;
        };
        *hops = left;
        if let Some(reference) = object.get("$ref") {
            let within = reference.as_str().and_then(|text| text.strip_prefix('#'));
            return match within.and_then(|pointer| self.root.pointer(pointer)) {
                Some(target) => self.collect(target, hops),
                None => self.anything = true,
            };
        }
        let several = ["anyOf", "oneOf"].iter().find_map(|keyword| object.get(*keyword)?.as_array());
        let single = object.get("allOf").and_then(JsonValue::as_array).filter(|all| all.len() == 1);
        match several.or(single) {
            Some(alternatives) if !object.contains_key("properties") => {
                alternatives.iter().for_each(|alternative| self.collect(alternative, hops));
            }
            Some(_) | None if RESTRICT.iter().any(|keyword| object.contains_key(*keyword)) => self.forms.push(object),
            Some(_) | None => self.anything = true,
        }
    }

    fn child(&self, node: &'a JsonValue) -> Self {
        Self::of(self.root, node)
    }

    fn anything(&self) -> Self {
        Self { root: self.root, forms: Vec::new(), anything: true }
    }

    /// The forms that are known.
    pub(super) fn forms(&self) -> impl Iterator<Item = Form<'a>> {
        let root = self.root;
        self.forms.iter().map(move |object| Form { root, object })
    }

    /// Whether nothing restricts what may stand here.
    pub(super) const fn takes_anything(&self) -> bool {
        self.anything
    }

    /// Whether a list is what is wanted here.
    pub(super) fn is_list(&self) -> bool {
        !self.anything && self.forms().any(|form| form.may_be(Type::Array) && form.names_types())
    }

    /// The properties of all forms.
    pub(super) fn properties(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let objects = self.forms.clone().into_iter().filter_map(|form| form.get("properties")?.as_object());
        let this = self.clone();
        objects.flatten().map(move |(name, node)| (name.as_str(), this.child(node)))
    }

    /// The names that every form requires.
    pub(super) fn required(&self) -> Vec<&'a str> {
        match self.forms.as_slice() {
            [form] => form
                .get("required")
                .and_then(JsonValue::as_array)
                .into_iter()
                .flatten()
                .filter_map(JsonValue::as_str)
                .collect(),
            [] | [_, _, ..] => Vec::new(),
        }
    }

    /// A key as the names it consists of. A property that has dots in its name is one name.
    pub(super) fn split(&self, key: &str) -> Result<Vec<String>, Usage> {
        if self.properties().any(|(name, _)| name == key) {
            return Ok(vec![key.to_owned()]);
        }
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        match path.iter().any(String::is_empty) {
            true => Err(Usage::new(format!("there is no argument `{key}`: a name is empty"))),
            false => Ok(path),
        }
    }

    /// What may stand at the end of a path.
    ///
    /// # Errors
    /// If one of the names is unknown where only known names may be.
    pub(super) fn at(&self, path: &[String], key: &str) -> Result<Self, Usage> {
        let mut here = self.clone();
        for (depth, name) in path.iter().enumerate() {
            here = here.property(name).ok_or_else(|| here.unknown(&path[..depth], key))?;
        }
        Ok(here)
    }

    /// What may stand under a name; none if no value may.
    fn property(&self, name: &str) -> Option<Self> {
        let named = self.properties().find(|(known, _)| *known == name).map(|(_, schema)| schema);
        named
            .or_else(|| self.forms().find_map(|form| form.further(self)))
            .or_else(|| self.anything.then(|| self.anything()))
    }

    fn unknown(&self, way: &[String], key: &str) -> Usage {
        let known: Vec<&str> = self.properties().map(|(name, _)| name).collect();
        let prefix: String = way.iter().map(|part| format!("{part}.")).collect();
        let asked = key.strip_prefix(&prefix).unwrap_or(key);
        let hint = match closest(asked, known.iter().copied()) {
            Some(name) => format!("did you mean `{prefix}{name}`?"),
            None if known.is_empty() => "there are none here".to_owned(),
            None => format!("the tool takes {}", list(&known)),
        };
        Usage::new(format!("there is no argument `{key}`; {hint}"))
    }

    /// What is wanted, in a few words.
    pub(super) fn describe(&self) -> String {
        if self.anything {
            return "any".to_owned();
        }
        let mut words: Vec<String> = self.forms().map(|form| form.describe()).collect();
        words.dedup();
        words.join(" or ")
    }
}

/// One form that a value may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'a> {
    root: &'a JsonValue,
    object: &'a JsonObject,
}

impl<'a> Form<'a> {
    /// The value of a keyword.
    pub(super) fn keyword(&self, keyword: &str) -> Option<&'a JsonValue> {
        self.object.get(keyword)
    }

    /// A keyword that is a number.
    pub(super) fn number(&self, keyword: &str) -> Option<f64> {
        self.keyword(keyword)?.as_f64()
    }

    /// A keyword that counts.
    pub(super) fn count(&self, keyword: &str) -> Option<u64> {
        self.keyword(keyword)?.as_u64()
    }

    /// Whether it says which types a value may have.
    pub(super) fn names_types(&self) -> bool {
        self.object.contains_key("type")
    }

    /// Whether a value may have that type.
    pub(super) fn may_be(&self, wanted: Type) -> bool {
        match self.keyword("type") {
            Some(JsonValue::String(name)) => name == wanted.as_str(),
            Some(JsonValue::Array(names)) => names.iter().any(|name| name == wanted.as_str()),
            Some(_) => true,
            None if self.object.contains_key("properties") => wanted == Type::Object,
            None => true,
        }
    }

    /// The only values that may stand here, if they are listed.
    pub(super) fn values(&self) -> Option<Vec<&'a JsonValue>> {
        match (self.keyword("const"), self.keyword("enum").and_then(JsonValue::as_array)) {
            (Some(value), _) => Some(vec![value]),
            (None, Some(values)) => Some(values.iter().collect()),
            (None, None) => None,
        }
    }

    /// What the items of a list must be.
    pub(super) fn items(&self) -> Schema<'a> {
        match self.keyword("items") {
            Some(node) => Schema::of(self.root, node),
            None => Schema { root: self.root, forms: Vec::new(), anything: true },
        }
    }

    /// What this form says of an object.
    pub(super) fn as_schema(&self) -> Schema<'a> {
        Schema { root: self.root, forms: vec![self.object], anything: false }
    }

    /// What names may be that are not listed; none if there may be no such. A form that lists names and says nothing
    /// of others takes none: the schema would, but it is nearly always a mistake of who types.
    fn further(&self, schema: &Schema<'a>) -> Option<Schema<'a>> {
        match self.keyword("additionalProperties") {
            Some(JsonValue::Bool(true)) => Some(schema.anything()),
            Some(JsonValue::Bool(false)) => None,
            Some(node) => Some(schema.child(node)),
            None if self.object.contains_key("patternProperties") => Some(schema.anything()),
            None if self.object.contains_key("properties") => None,
            None => self.may_be(Type::Object).then(|| schema.anything()),
        }
    }

    /// What is wanted, in a few words.
    pub(super) fn describe(&self) -> String {
        if let Some(values) = self.values() {
            let values: Vec<String> = values.iter().map(|value| plain(value)).collect();
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            return list(&values).replace(", ", "|");
        }
        let types = Type::ALL.into_iter().filter(|wanted| self.names_types() && self.may_be(*wanted));
        let types: Vec<String> = types.map(|wanted| self.describe_as(wanted)).collect();
        match types.is_empty() {
            true if self.may_be(Type::Array) => "any".to_owned(),
            true => "object".to_owned(),
            false => types.join(" or "),
        }
    }

    fn describe_as(&self, wanted: Type) -> String {
        let name = wanted.as_str();
        match wanted {
            Type::Integer | Type::Number => match (self.number("minimum"), self.number("maximum")) {
                (Some(least), Some(most)) => format!("{name} from {least} to {most}"),
                (Some(least), None) => format!("{name} from {least}"),
                (None, Some(most)) => format!("{name} up to {most}"),
                (None, None) => name.to_owned(),
            },
            Type::String => match (self.count("minLength").filter(|least| *least > 0), self.count("maxLength")) {
                (Some(least), Some(most)) => format!("{name} of {least} to {most} characters"),
                (Some(least), None) => format!("{name} of at least {least} characters"),
                (None, Some(most)) => format!("{name} of at most {most} characters"),
                (None, None) => name.to_owned(),
            },
            Type::Array => format!("list of {}", self.items().shallow()),
            Type::Boolean | Type::Null | Type::Object => name.to_owned(),
        }
    }
}

impl Schema<'_> {
    /// What is wanted, without what is inside of it: a schema may be in itself.
    fn shallow(&self) -> String {
        let mut types: Vec<&str> = Vec::new();
        for form in self.forms() {
            types.extend(
                Type::ALL.into_iter().filter(|wanted| form.names_types() && form.may_be(*wanted)).map(Type::as_str),
            );
        }
        match types.is_empty() {
            true => "any".to_owned(),
            false => types.join(" or "),
        }
    }
}

/// A value as a person would type it.
pub(super) fn plain(value: &JsonValue) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Names, or the first of them.
pub(super) fn list(names: &[&str]) -> String {
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(LISTED)].join(", "))
}
