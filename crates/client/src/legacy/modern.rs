//! What legacy servers answer, as modern servers would.

use anypod_proto::capabilities::ServerCapabilities;
use anypod_proto::code::Code;
use anypod_proto::discover::DiscoverResult;
use anypod_proto::jsonrpc::{ErrorObject, JsonObject, ResultType};
use anypod_proto::legacy;
use anypod_proto::meta::{self, ResultMeta};
use anypod_proto::method::Method;
use anypod_proto::version::Version;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::session::Session;
use crate::error::Result;
use crate::exchange::{Answer, Raw};

/// The answer to a call.
///
/// # Errors
/// If a result is no object.
pub(super) fn answer(session: &Session, method: Method, answer: Answer) -> Result<Answer> {
    match answer {
        Answer::Result(result) => upgrade(session, method, result.read()?).map(Answer::Result),
        Answer::Error(error) => Ok(Answer::Error(upgrade_error(error))),
    }
}

fn upgrade(session: &Session, method: Method, mut result: JsonObject) -> Result<Raw> {
    result.insert("resultType".to_owned(), ResultType::Complete.as_str().into());
    if is_cacheable(method) {
        result.insert("ttlMs".to_owned(), 0.into());
        result.insert("cacheScope".to_owned(), "private".into());
    }
    let meta = result.entry("_meta").or_insert_with(|| Value::Object(JsonObject::new()));
    if let (Value::Object(meta), Ok(info)) = (meta, serde_json::to_value(&session.server.server_info)) {
        meta.insert(meta::SERVER_INFO.to_owned(), info);
    }
    Ok(raw(&result))
}

/// Spec: server/utilities/caching.
const fn is_cacheable(method: Method) -> bool {
    match method {
        Method::Discover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::ResourcesRead => true,
        Method::ToolsCall | Method::PromptsGet | Method::Complete | Method::SubscriptionsListen => false,
    }
}

fn upgrade_error(mut error: ErrorObject) -> ErrorObject {
    error.code = match error.code {
        code if code == Code::LegacyResourceNotFound.number() => Code::InvalidParams.number(),
        code => code,
    };
    error
}

/// What `server/discover` would say.
pub(super) fn discover(session: &Session) -> Answer {
    let server = &session.server;
    let mut result = DiscoverResult::new(&Version::MODERN, capabilities(&server.capabilities));
    result.instructions.clone_from(&server.instructions);
    result.meta = Some(ResultMeta { server_info: Some(server.server_info.clone().into()), ..ResultMeta::default() });
    Answer::Result(raw(&result))
}

/// What the server offers. Tasks are left out: those of 2025-11-25 are another protocol than the extension.
pub(super) fn capabilities(legacy: &legacy::ServerCapabilities) -> ServerCapabilities {
    ServerCapabilities {
        experimental: legacy.experimental.clone(),
        logging: legacy.logging.clone(),
        completions: legacy.completions.clone(),
        prompts: legacy.prompts.clone(),
        resources: legacy.resources.clone(),
        tools: legacy.tools.clone(),
        extensions: None,
        extra: legacy.extra.clone(),
    }
}

fn raw(value: &impl Serialize) -> Raw {
    Raw::checked(Bytes::from(serde_json::to_vec(value).expect("what was JSON is JSON")))
}
