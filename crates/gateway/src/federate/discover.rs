//! `server/discover` of several upstreams as that of one server.
//!
//! Spec: server/discover.

use anypod_proto::caching::Cacheable;
use anypod_proto::capabilities::{
    NamedSettings, PromptsCapability, ResourcesCapability, ServerCapabilities, ToolsCapability,
};
use anypod_proto::discover::DiscoverResult;
use anypod_proto::jsonrpc::{JsonObject, JsonValue, ResultType};
use anypod_proto::version::Version;

use super::Upstreams;
use super::edit::push_json;
use super::unavailable::{Unavailable, caching, push_caching, push_meta};

/// The longest instructions that are passed on, in bytes, of all upstreams together. They go into the prompt of a model.
pub(crate) const LONGEST_INSTRUCTIONS: usize = 16 * 1024;

/// What stands where instructions were cut.
const CUT: &str = "…";

/// What one upstream said of itself: the result object, or why it is missing. It may be both: an earlier answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said<'a> {
    /// The result object.
    pub(crate) result: Option<&'a str>,
    /// Why the upstream could not be asked.
    pub(crate) unavailable: Option<Unavailable>,
}

/// The result object for all upstreams, given in the route's order, with `server_info` as JSON of an implementation.
///
/// It speaks those of `ours` that every upstream speaks; all of `ours` if that leaves none, as the gateway speaks for them.
pub(crate) fn merge(upstreams: &Upstreams, said: &[Said<'_>], ours: &[Version], server_info: &str) -> String {
    let mut missing = Vec::new();
    let mut results = Vec::new();
    for (upstream, said) in said.iter().take(upstreams.names().len()).enumerate() {
        let result = said.result.map(serde_json::from_str::<DiscoverResult>);
        let is_complete = |result: &DiscoverResult| result.result_type == ResultType::Complete;
        let unavailable = match result {
            Some(Ok(result)) if is_complete(&result) => {
                results.push((upstream, result));
                said.unavailable
            }
            Some(Ok(_) | Err(_)) => Some(said.unavailable.unwrap_or(Unavailable::Unreadable)),
            None => Some(said.unavailable.unwrap_or(Unavailable::Unreachable)),
        };
        missing.extend(unavailable.map(|reason| (upstream, reason)));
    }
    let mut text = String::from("{");
    push_meta(&mut text, server_info, &missing, upstreams);
    text.push_str(r#","resultType":"complete","supportedVersions":"#);
    text.push_str(&json(&versions(&results, ours)));
    text.push_str(r#","capabilities":"#);
    text.push_str(&json(&capabilities(results.iter().map(|(_, result)| &result.capabilities))));
    if let Some(instructions) = instructions(upstreams, &results) {
        text.push_str(r#","instructions":"#);
        push_json(&mut text, &instructions);
    }
    push_caching(&mut text, caching(results.iter().map(|(_, result)| result.caching()), !missing.is_empty()));
    text.push('}');
    text
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("texts, flags and parsed JSON, under keys that are texts")
}

fn versions(results: &[(usize, DiscoverResult)], ours: &[Version]) -> Vec<&'static str> {
    let spoken = |version: &&Version| {
        results.iter().all(|(_, result)| result.supported_versions.iter().any(|other| other == version.as_str()))
    };
    let common: Vec<_> = ours.iter().filter(spoken).map(|version| version.as_str()).collect();
    if common.is_empty() { ours.iter().map(|version| version.as_str()).collect() } else { common }
}

/// What any of them offers. A flag is set if any sets it. Of settings, of extensions for one, all are taken that do not
/// contradict each other.
pub(crate) fn capabilities<'a>(all: impl Iterator<Item = &'a ServerCapabilities> + Clone) -> ServerCapabilities {
    let any = |flags: fn(&ServerCapabilities) -> Option<bool>| {
        all.clone().filter_map(flags).reduce(|one, other| one || other)
    };
    let has = |offered: fn(&ServerCapabilities) -> bool| all.clone().any(offered);
    let prompts = PromptsCapability { list_changed: any(|each| each.prompts.as_ref()?.list_changed) };
    let resources = ResourcesCapability {
        subscribe: any(|each| each.resources.as_ref()?.subscribe),
        list_changed: any(|each| each.resources.as_ref()?.list_changed),
    };
    let tools = ToolsCapability { list_changed: any(|each| each.tools.as_ref()?.list_changed) };
    ServerCapabilities {
        experimental: named(all.clone().filter_map(|each| each.experimental.as_ref())),
        logging: settings(all.clone().filter_map(|each| each.logging.as_ref())),
        completions: settings(all.clone().filter_map(|each| each.completions.as_ref())),
        prompts: has(|each| each.prompts.is_some()).then_some(prompts),
        resources: has(|each| each.resources.is_some()).then_some(resources),
        tools: has(|each| each.tools.is_some()).then_some(tools),
        extensions: named(all.clone().filter_map(|each| each.extensions.as_ref())),
        extra: settings(all.map(|each| &each.extra)).unwrap_or_default(),
    }
}

/// What all of these say together, and what some say and others contradict is left out. `None` if there are none of them.
fn settings<'a>(all: impl Iterator<Item = &'a JsonObject> + Clone) -> Option<JsonObject> {
    all.clone().next()?;
    let is_said =
        |name: &String, value: &JsonValue| all.clone().filter_map(|each| each.get(name)).all(|other| other == value);
    let members = all.clone().flatten().filter(|(name, value)| is_said(name, value));
    Some(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The same for settings by name. Of an extension whose settings contradict each other nothing is left: no settings would be
/// true of all.
fn named<'a>(all: impl Iterator<Item = &'a NamedSettings> + Clone) -> Option<NamedSettings> {
    all.clone().next()?;
    let mut united = NamedSettings::new();
    for name in all.clone().flat_map(NamedSettings::keys) {
        let of_name = all.clone().filter_map(|each| each.get(name));
        let whole = settings(of_name.clone()).unwrap_or_default();
        if of_name.flat_map(JsonObject::keys).all(|key| whole.contains_key(key)) {
            united.insert(name.clone(), whole);
        }
    }
    Some(united)
}

/// The instructions of all, under the name of each. Each has the same share of what is passed on.
fn instructions(upstreams: &Upstreams, results: &[(usize, DiscoverResult)]) -> Option<String> {
    let given = || results.iter().filter_map(|(upstream, result)| Some((*upstream, result.instructions.as_deref()?)));
    let share = LONGEST_INSTRUCTIONS / given().count().max(1);
    let under_name =
        given().map(|(upstream, text)| within(share, format!("# {}\n\n{text}", upstreams.names()[upstream])));
    let texts: Vec<_> = under_name.collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

/// `text`, cut to that many bytes.
fn within(bytes: usize, mut text: String) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
    text
}

#[cfg(test)]
mod tests;
