//! What legacy servers say, as modern clients know it: the counterpart of [`super::downgrade`].
//!
//! Spec: basic/index, "Error Codes"; server/utilities/caching; the schemas of the revisions up to 2025-11-25.

mod question;

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::Value;

pub use question::{AnswerError, Question, QuestionError, answer, question};

use super::{ClientCapabilities, ElicitRequestUrlParams, InitializeResult, RootsCapability};
use crate::{
    capabilities::{self, ElicitationCapability, SamplingCapability},
    code::Code,
    discover::DiscoverResult,
    jsonrpc::{ErrorObject, JsonObject, RESULT_TYPE},
    meta::ResultMeta,
    method::Method,
    rounds::InputRequests,
    scan::{ScanError, Scanner},
    version::Version,
};

/// The modern result that a legacy one amounts to, as text: it is complete, and where it could be kept it is stale at
/// once and private. Nothing else is read or written anew, however large it is.
///
/// # Errors
/// If `text` is no JSON object.
pub fn result(method: Method, text: &str) -> Result<String, ScanError> {
    let envelope = match method.is_cacheable() {
        true => r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private""#,
        false => r#"{"resultType":"complete""#,
    };
    // A legacy result can have members of these names, which mean nothing.
    let replaced: &[&str] = if method.is_cacheable() { &[RESULT_TYPE, "ttlMs", "cacheScope"] } else { &[RESULT_TYPE] };
    let mut modern = String::with_capacity(envelope.len() + text.len() + 16);
    modern.push_str(envelope);
    let mut has_content = false;
    let mut scanner = Scanner::new(text);
    let mut walk = scanner.object()?;
    while let Some(key) = scanner.member(&mut walk)? {
        let value = scanner.value()?;
        if !replaced.iter().any(|name| key.is(name)) {
            has_content |= key.is("content");
            modern.extend([",\"", key.raw(), "\":", value]);
        }
    }
    scanner.end()?;
    if method == Method::ToolsCall && !has_content {
        modern.push_str(r#","content":[]"#);
    }
    modern.push('}');
    Ok(modern)
}

/// What a legacy server would answer to `server/discover`, from what it said when its session was opened.
///
/// It names the revision that its caller speaks, not the one of the session.
pub fn discover(initialized: InitializeResult) -> DiscoverResult {
    let InitializeResult { protocol_version: _, capabilities, server_info, instructions, mut extra } = initialized;
    let meta = match extra.remove("_meta") {
        Some(Value::Object(meta)) => meta,
        Some(_) | None => JsonObject::new(),
    };
    for name in [RESULT_TYPE, "supportedVersions", "ttlMs", "cacheScope"] {
        extra.remove(name);
    }
    let mut result = DiscoverResult::new(&Version::MODERN, capabilities.into());
    result.instructions = instructions;
    result.meta = Some(ResultMeta { server_info: Some(Arc::new(server_info)), extra: meta, ..ResultMeta::default() });
    result.extra = extra;
    result
}

/// What to declare to a server of `version`: of what the caller declares, what that revision knows.
///
/// Extensions have no place in legacy revisions. Nor is it promised to tell when roots change, since modern callers
/// say what their roots are when they are asked.
pub fn client_capabilities(version: Version, modern: &capabilities::ClientCapabilities) -> ClientCapabilities {
    ClientCapabilities {
        experimental: modern.experimental.clone(),
        roots: modern.roots.as_ref().map(|_| RootsCapability::default()),
        sampling: modern.sampling.as_ref().map(|sampling| sampling_in(version, sampling)),
        elicitation: modern.elicitation.as_ref().and_then(|elicitation| elicitation_in(version, elicitation)),
        tasks: None,
        extra: modern.extra.clone(),
    }
}

/// What sampling includes can be declared since 2025-11-25.
fn sampling_in(version: Version, modern: &SamplingCapability) -> SamplingCapability {
    if version < Version::V2025_11_25 { SamplingCapability::default() } else { modern.clone() }
}

/// Elicitation came with 2025-06-18, and its modes with 2025-11-25. Forms alone are said as both revisions do.
fn elicitation_in(version: Version, modern: &ElicitationCapability) -> Option<ElicitationCapability> {
    let modes = version >= Version::V2025_11_25 && modern.offers_url();
    match (modes, version >= Version::V2025_06_18 && modern.offers_form()) {
        (true, _) => Some(modern.clone()),
        (false, true) => Some(ElicitationCapability::default()),
        (false, false) => None,
    }
}

/// What an error of a legacy server amounts to.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// An error still.
    Error(ErrorObject),
    /// A round of questions, after which the request is to be sent again.
    InputRequired(UrlElicitations),
}

/// The pages that a person has to visit before a request can be answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UrlElicitations {
    /// The questions, by keys in the order of the server.
    pub requests: InputRequests,
    /// By the same keys, the ids for [`super::ElicitationCompleteNotificationParams`].
    pub elicitation_ids: BTreeMap<String, String>,
}

/// What an error of a server of `version` amounts to. `uri` is the resource that was to be read, if any.
///
/// A resource that is not found becomes invalid parameters with the URI as data. A need to visit pages becomes
/// questions, where the method may take rounds. Of other codes, those that have another meaning in the modern era, or
/// must not be sent in it, become an internal error: message and data stay.
pub fn error(version: Version, method: Method, uri: Option<&str>, error: ErrorObject) -> Failure {
    if error.code == Code::LegacyUrlElicitationRequired.number()
        && version >= Version::V2025_11_25
        && method.takes_rounds()
        && let Some(pages) = error.data.as_ref().and_then(read_pages)
    {
        return Failure::InputRequired(pages);
    }
    let not_found = method == Method::ResourcesRead && error.code == Code::LegacyResourceNotFound.number();
    let mut error = ErrorObject { code: Code::permitted(error.code), ..error };
    if let (true, Some(uri)) = (not_found, uri) {
        name_resource(&mut error, uri);
    }
    Failure::Error(error)
}

/// Says which resource was not found, unless the server did.
fn name_resource(error: &mut ErrorObject, uri: &str) {
    match &mut error.data {
        Some(Value::Object(data)) => {
            data.entry("uri").or_insert_with(|| uri.into());
        }
        Some(_) => {}
        None => error.data = Some(serde_json::json!({ "uri": uri })),
    }
}

/// The pages to visit; `None` if there are none or they cannot be read.
fn read_pages(data: &Value) -> Option<UrlElicitations> {
    let listed = Vec::<ElicitRequestUrlParams>::deserialize(data.get("elicitations")?).ok()?;
    let width = listed.len().to_string().len();
    let mut pages = UrlElicitations::default();
    for (at, page) in listed.into_iter().enumerate() {
        let key = format!("url-{:0width$}", at + 1);
        let (id, request) = page.split();
        pages.requests.insert(key.clone(), request.into());
        pages.elicitation_ids.insert(key, id);
    }
    (!pages.requests.is_empty()).then_some(pages)
}
