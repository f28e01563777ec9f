//! What a server offers, checked and made ready when the server is built.

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};

use anypod_proto::caching::Caching;
use anypod_proto::jsonrpc::JsonObject;
use anypod_proto::method::Method;
use anypod_proto::schema::{self, Role, Schema};
use anypod_proto::tools::CallToolResult;
use anypod_proto::uri::is_uri;
use anypod_proto::uri_template::UriTemplate;
use anypod_proto::version::Version;

use crate::build_error::{BuildError, Problem};
use crate::completion::Completer;
use crate::extension::{Extension, Extensions, Offered, Work};
use crate::extract::Needs;
use crate::handler::Boxed;
use crate::listing::Listing;
use crate::prompt::Prompt;
use crate::resource::{Resource, ResourceTemplate};
use crate::tool::{Tool, Uses};
use serde_json::Value;

/// State by its type.
pub(crate) type States = HashMap<TypeId, Box<dyn Any + Send + Sync>>;

/// Everything that a server offers.
pub(crate) struct Registry {
    pub(crate) tools: HashMap<String, ToolEntry>,
    pub(crate) prompts: HashMap<String, Prompt>,
    pub(crate) resources: HashMap<String, Resource>,
    pub(crate) templates: Vec<TemplateEntry>,
    pub(crate) lists: Lists,
    pub(crate) extensions: Extensions,
}

/// A tool, ready to be called.
pub(crate) struct ToolEntry {
    pub(crate) handler: Boxed<CallToolResult>,
    pub(crate) input: Schema,
    pub(crate) output: Option<Schema>,
    pub(crate) uses: Uses,
    pub(crate) marks: http::Extensions,
}

/// A template, ready to be matched.
pub(crate) struct TemplateEntry {
    pub(crate) template: UriTemplate,
    pub(crate) resource: ResourceTemplate,
}

/// The four lists.
pub(crate) struct Lists {
    tools: Listing,
    /// The tools, where sessions of a revision are told more of them.
    tools_in: Vec<(Version, Listing)>,
    pub(crate) prompts: Listing,
    pub(crate) resources: Listing,
    pub(crate) templates: Listing,
}

/// What was given to the builder.
#[derive(Default)]
pub(crate) struct Offer {
    pub(crate) tools: Vec<Tool>,
    pub(crate) prompts: Vec<Prompt>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) templates: Vec<ResourceTemplate>,
    pub(crate) extensions: Vec<Extension>,
    /// What is done besides what extensions do.
    pub(crate) work: Vec<Work>,
    pub(crate) states: States,
    pub(crate) caches: HashMap<Method, Caching>,
}

impl Offer {
    /// Whether there is nothing to be called.
    pub(crate) fn is_empty(&self) -> bool {
        self.tools.is_empty()
            && self.prompts.is_empty()
            && self.resources.is_empty()
            && self.templates.is_empty()
            && self.extensions.is_empty()
    }
}

impl Lists {
    /// The tools, as clients of a revision are told of them.
    pub(crate) fn tools(&self, revision: Version) -> &Listing {
        self.tools_in.iter().find(|(of, _)| *of == revision).map_or(&self.tools, |(_, listing)| listing)
    }
}

impl Registry {
    /// Checks an offer: names are unique, schemas sound, templates well-formed, state is there.
    pub(crate) fn build(offer: Offer) -> Result<(Self, States), BuildError> {
        let Offer { mut tools, prompts, mut resources, templates, mut extensions, work, states, caches } = offer;
        resources.extend(extensions.iter_mut().flat_map(Extension::take_resources));
        let extensions = Extensions::build(extensions, work, &states)?;
        let mut schemas = Vec::with_capacity(tools.len());
        for tool in &mut tools {
            schemas.push(compile_schemas(tool)?);
        }
        extensions.check(&Offered::new(&tools, &resources, &templates))?;
        let cache = |method| caches.get(&method).copied().unwrap_or_default();
        let not_json = |what: &'static str| move |error| BuildError::new(what, Problem::NotJson(error));
        let lists = Lists {
            tools: Listing::new(
                "tools",
                tools.iter().map(|t| (t.definition.name.as_str(), &t.definition)),
                cache(Method::ToolsList),
            )
            .map_err(not_json("tools"))?,
            tools_in: tools_in_sessions(&tools, &extensions, cache(Method::ToolsList)).map_err(not_json("tools"))?,
            prompts: Listing::new(
                "prompts",
                prompts.iter().map(|p| (p.definition.name.as_str(), &p.definition)),
                cache(Method::PromptsList),
            )
            .map_err(not_json("prompts"))?,
            resources: Listing::new(
                "resources",
                resources.iter().map(|r| (r.definition.uri.as_str(), &r.definition)),
                cache(Method::ResourcesList),
            )
            .map_err(not_json("resources"))?,
            templates: Listing::new(
                "resourceTemplates",
                templates.iter().map(|t| (t.definition.uri_template.as_str(), &t.definition)),
                cache(Method::ResourceTemplatesList),
            )
            .map_err(not_json("resource templates"))?,
        };
        let registry = Self {
            tools: named("tool", tools.into_iter().zip(schemas).collect(), |(tool, schemas)| {
                check_tool(tool, schemas, &states, &extensions)
            })?,
            prompts: named("prompt", prompts, |prompt| check_prompt(prompt, &states))?,
            resources: named("resource", resources, |resource| check_resource(resource, &states))?,
            templates: check_templates(templates, &states)?,
            lists,
            extensions,
        };
        Ok((registry, states))
    }

    /// Whether anything can be completed.
    pub(crate) fn completes(&self) -> bool {
        self.prompts.values().any(|prompt| !prompt.completers.is_empty())
            || self.templates.iter().any(|entry| !entry.resource.completers.is_empty())
    }
}

/// The list of tools for legacy revisions whose sessions are told more of them.
fn tools_in_sessions(
    tools: &[Tool],
    extensions: &Extensions,
    cache: Caching,
) -> serde_json::Result<Vec<(Version, Listing)>> {
    let mut listings = Vec::new();
    for revision in Version::LEGACY {
        let added: Vec<JsonObject> = tools.iter().map(|tool| extensions.sessions.members(revision, tool)).collect();
        if added.iter().all(JsonObject::is_empty) {
            continue;
        }
        let mut told = Vec::with_capacity(tools.len());
        for (tool, added) in tools.iter().zip(added) {
            let mut definition = serde_json::to_value(&tool.definition)?;
            if let Value::Object(members) = &mut definition {
                for (name, value) in added {
                    members.entry(name).or_insert(value);
                }
            }
            told.push((tool.definition.name.as_str(), definition));
        }
        let items = told.iter().map(|(name, definition)| (*name, definition));
        listings.push((revision, Listing::new("tools", items, cache)?));
    }
    Ok(listings)
}

fn named<T, U>(
    kind: &str,
    items: Vec<T>,
    check: impl Fn(T) -> Result<(String, U), BuildError>,
) -> Result<HashMap<String, U>, BuildError> {
    let mut entries = HashMap::with_capacity(items.len());
    for item in items {
        let (name, entry) = check(item)?;
        if entries.insert(name.clone(), entry).is_some() {
            return Err(BuildError::new(format!("{kind} `{name}`"), Problem::Twice));
        }
    }
    Ok(entries)
}

/// Compiles a tool's schemas, and puts them into its definition.
fn compile_schemas(tool: &mut Tool) -> Result<(Schema, Option<Schema>), BuildError> {
    let item = format!("tool `{}`", tool.definition.name);
    let compile = |schema: &Value, role| {
        Schema::compile(schema, role, &schema::Limits::default())
            .map_err(|error| BuildError::new(&item, Problem::Schema(error)))
    };
    let input = compile(&tool.input, Role::Input)?;
    let output = tool.output.as_ref().map(|schema| compile(schema, Role::Output)).transpose()?;
    if let Value::Object(schema) = tool.input.take() {
        tool.definition.input_schema = schema;
    }
    tool.definition.output_schema = match tool.output.take() {
        None => None,
        Some(Value::Object(schema)) => Some(schema),
        Some(_) => return Err(BuildError::new(&item, Problem::OutputSchema)),
    };
    Ok((input, output))
}

fn check_tool(
    tool: Tool,
    (input, output): (Schema, Option<Schema>),
    states: &States,
    extensions: &Extensions,
) -> Result<(String, ToolEntry), BuildError> {
    let Tool { definition, handler, needs, uses, marks, .. } = tool;
    let item = format!("tool `{}`", definition.name);
    check_name(&definition.name).map_err(|problem| BuildError::new(&item, problem))?;
    check_needs(&needs, Place::Call, states).map_err(|problem| BuildError::new(&item, problem))?;
    if let Some(id) = marks.needed.iter().find(|id| !extensions.settings.contains_key(**id)) {
        return Err(BuildError::new(&item, Problem::NoExtension(id)));
    }
    Ok((definition.name, ToolEntry { handler, input, output, uses, marks: marks.values }))
}

fn check_prompt(prompt: Prompt, states: &States) -> Result<(String, Prompt), BuildError> {
    let item = format!("prompt `{}`", prompt.definition.name);
    check_needs(&prompt.needs, Place::Call, states).map_err(|problem| BuildError::new(&item, problem))?;
    check_completers(&prompt.completers, states).map_err(|problem| BuildError::new(&item, problem))?;
    let known = |name: &String| prompt.definition.arguments.iter().flatten().any(|argument| &argument.name == name);
    if let Some(name) = prompt.completers.keys().find(|name| !known(name)) {
        return Err(BuildError::new(&item, Problem::CompletesNothing(name.clone())));
    }
    Ok((prompt.definition.name.clone(), prompt))
}

fn check_resource(resource: Resource, states: &States) -> Result<(String, Resource), BuildError> {
    let item = format!("resource `{}`", resource.definition.uri);
    check_needs(&resource.reader.needs, Place::Resource, states).map_err(|problem| BuildError::new(&item, problem))?;
    if !is_uri(&resource.definition.uri) {
        return Err(BuildError::new(&item, Problem::NotAUri));
    }
    Ok((resource.definition.uri.clone(), resource))
}

/// Two of the same text would make cursors ambiguous, and the second could never be reached.
fn check_templates(templates: Vec<ResourceTemplate>, states: &States) -> Result<Vec<TemplateEntry>, BuildError> {
    let mut entries: Vec<TemplateEntry> = Vec::with_capacity(templates.len());
    for template in templates {
        let entry = check_template(template, states)?;
        let text = &entry.resource.definition.uri_template;
        if entries.iter().any(|other| &other.resource.definition.uri_template == text) {
            return Err(BuildError::new(format!("resource template `{text}`"), Problem::Twice));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn check_template(resource: ResourceTemplate, states: &States) -> Result<TemplateEntry, BuildError> {
    let item = format!("resource template `{}`", resource.definition.uri_template);
    let problem = |problem| BuildError::new(&item, problem);
    check_needs(&resource.reader.needs, Place::Template, states).map_err(problem)?;
    check_completers(&resource.completers, states).map_err(problem)?;
    let template =
        UriTemplate::parse(&resource.definition.uri_template).map_err(|error| problem(Problem::Template(error)))?;
    let wanted = resource.reader.needs.variables.as_ref().and_then(|schema| schema["required"].as_array());
    for name in wanted.into_iter().flatten().filter_map(|name| name.as_str()) {
        if !template.variables().any(|variable| variable == name) {
            return Err(problem(Problem::NoSuchVariable(name.to_owned())));
        }
    }
    if let Some(name) = resource.completers.keys().find(|name| !template.variables().any(|v| v == name.as_str())) {
        return Err(problem(Problem::CompletesNothing(name.clone())));
    }
    Ok(TemplateEntry { template, resource })
}

/// Spec: server/tools, "Tool Names". What clients and header values can carry everywhere.
fn check_name(name: &str) -> Result<(), Problem> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if (1..=128).contains(&name.len()) && name.bytes().all(allowed) { Ok(()) } else { Err(Problem::Name) }
}

/// What a handler is for, and so what its calls hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A tool or a prompt.
    Call,
    Resource,
    Template,
    Completion,
    /// A method of an extension.
    Method,
}

/// Whether the calls of an extension's method hold what its handler takes.
pub(crate) fn check_method_needs(needs: &Needs, states: &States) -> Result<(), Problem> {
    check_needs(needs, Place::Method, states)
}

fn check_completers(completers: &BTreeMap<String, Completer>, states: &States) -> Result<(), Problem> {
    completers.values().try_for_each(|completer| check_needs(&completer.needs, Place::Completion, states))
}

/// Whether the calls of a handler hold what it takes.
fn check_needs(needs: &Needs, place: Place, states: &States) -> Result<(), Problem> {
    let extractors = [
        ("Args", needs.arguments.is_some(), place == Place::Call, "tools and prompts"),
        ("Vars", needs.variables.is_some(), place == Place::Template, "resource templates"),
        ("Uri", needs.uri, matches!(place, Place::Resource | Place::Template), "resources and resource templates"),
        ("Partial", needs.partial, place == Place::Completion, "handlers that suggest values"),
        ("Params", needs.params, place == Place::Method, "methods of extensions"),
    ];
    if let Some((extractor, .., place)) = extractors.into_iter().find(|(_, taken, there, _)| *taken && !*there) {
        return Err(Problem::Misplaced { extractor, place });
    }
    match needs.states.iter().find(|(id, _)| !states.contains_key(id)) {
        Some((_, name)) => Err(Problem::NoState(name)),
        None => Ok(()),
    }
}
