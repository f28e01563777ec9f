//! Which era a server is of, told from how it answers a modern request.
//!
//! A recognized modern error is never a reason to fall back; anything else is. The fallback is `initialize`.
//! Spec: basic/versioning, "Backward Compatibility with Initialization-Based Versions", and "Backward Compatibility"
//! of both transports.

mod reply;
mod store;

use anypod_proto::code::Code;
use anypod_proto::meta;
use anypod_proto::version::Version;
use http::StatusCode;

use crate::error::Result;
use crate::exchange::Answer;
use crate::identity::Identity;
use crate::stdio;
use reply::{Fault, Marks, Reply, Said};

pub use store::{EraStore, Eras, ServerName};

/// What an answer to a modern request says about the server's era. An answer that is a result has run the request,
/// whatever the verdict: it goes to the caller, and is not asked for again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A modern server: the answer stands.
    Modern,
    /// A server that names the versions it speaks, none of them modern and known here: see [`newest_common`]. Without
    /// a common one, there is nothing to fall back to.
    Speaks(Vec<String>),
    /// A legacy server: `initialize` comes next.
    Legacy,
    /// Servers of both eras answer so. Where it matters, `server/discover` tells: if [`judge`] calls its answer
    /// anything but modern, `initialize` comes next, and if that fails too, the first answer stands.
    Unclear,
    /// The server takes no requests now, of whatever era: the answer stands, and says nothing.
    NotNow,
}

/// Judges an HTTP answer to the modern request `id`. The body is read for what it is, whatever its content type
/// says: as JSON, or as an event stream.
pub fn judge(status: StatusCode, body: &[u8], id: u64) -> Verdict {
    match Reply::find(body) {
        Some(Reply { said: Said::Result(marks), .. }) => judge_result(marks).unwrap_or(Verdict::Unclear),
        Some(Reply { said: Said::Error(fault), id: found }) => {
            judge_fault(&fault).unwrap_or_else(|| judge_other_fault(status, &fault, found == Some(id)))
        }
        None => judge_status(status),
    }
}

/// Judges an answer to a modern request that came in an event stream with a status of success.
pub(crate) fn judge_answer(answer: &Answer) -> Verdict {
    match answer {
        Answer::Result(result) => result.read::<Marks>().ok().and_then(judge_result).unwrap_or(Verdict::Unclear),
        Answer::Error(error) => {
            let fault = Fault::from(error.clone());
            judge_fault(&fault).unwrap_or_else(|| judge_other_fault(StatusCode::OK, &fault, true))
        }
    }
}

/// Judges an answer to `server/discover` of a server whose transport adds nothing to it, such as stdio. Where none comes
/// within [`crate::Limits::probe_deadline`], the verdict is [`Verdict::Legacy`].
///
/// Spec: basic/transports/stdio, "Backward Compatibility": whichever error it is, so that -32601 is legacy here.
pub fn judge_probe(answer: &Answer) -> Verdict {
    let verdict = match answer {
        Answer::Result(result) => result.read::<Marks>().ok().and_then(judge_result),
        Answer::Error(error) => judge_fault(&Fault::from(error.clone())),
    };
    verdict.unwrap_or(Verdict::Legacy)
}

/// What a server over pipes says of itself. Spec: basic/transports/stdio, "Backward Compatibility".
///
/// # Errors
/// As [`stdio::Wire::probe`].
pub(crate) async fn ask(wire: &stdio::Wire, identity: &Identity) -> Result<Verdict> {
    Ok(match wire.probe(identity).await? {
        stdio::Probe::Answered(answer) => judge_probe(&answer),
        stdio::Probe::Silent | stdio::Probe::Failed(_) => Verdict::Legacy,
    })
}

/// The newest revision that anypod speaks and `offered` names. A legacy one is reached by `initialize`.
pub fn newest_common(offered: &[String]) -> Option<Version> {
    let known = Version::MODERN.into_iter().chain(Version::LEGACY);
    known.into_iter().find(|version| offered.iter().any(|offer| offer == version.as_str()))
}

/// What only a modern server says in a result.
fn judge_result(marks: Marks) -> Option<Verdict> {
    let modern = marks.result_type.is_some() || marks.meta.is_some_and(|meta| meta.contains_key(meta::SERVER_INFO));
    match marks.supported_versions {
        Some(versions) => Some(judge_versions(versions)),
        None => modern.then_some(Verdict::Modern),
    }
}

/// The errors that only a modern server sends, whatever the status and the id are.
fn judge_fault(fault: &Fault) -> Option<Verdict> {
    let is = |code: Code| fault.code == i64::from(code.number());
    if is(Code::UnsupportedProtocolVersion) {
        return Some(fault.supported().map_or(Verdict::Modern, judge_versions));
    }
    (is(Code::HeaderMismatch) || is(Code::MissingRequiredClientCapability)).then_some(Verdict::Modern)
}

fn judge_versions(versions: Vec<String>) -> Verdict {
    let modern = versions.iter().any(|text| Version::MODERN.iter().any(|version| version.as_str() == text));
    if modern { Verdict::Modern } else { Verdict::Speaks(versions) }
}

/// The errors of both eras. A modern server echoes the id of what it could read; legacy ones that stumble over the
/// missing session send `null` or a word of their own.
fn judge_other_fault(status: StatusCode, fault: &Fault, echoed: bool) -> Verdict {
    if !echoed || is_busy(status) {
        return judge_status(status);
    }
    let is = |code: Code| fault.code == i64::from(code.number());
    // Spec: basic/transports/streamable-http, "Protocol Version Header": an unknown method is 404 with a body.
    if is(Code::MethodNotFound) && status == StatusCode::NOT_FOUND {
        return Verdict::Modern;
    }
    // Spec: basic/index, "`_meta`": a missing member is 400. No legacy server knows what it misses there.
    let keys = [meta::PROTOCOL_VERSION, meta::CLIENT_CAPABILITIES, meta::CLIENT_INFO];
    let misses = || keys.iter().any(|key| fault.message.contains(key));
    if is(Code::InvalidParams) && status == StatusCode::BAD_REQUEST && misses() {
        return Verdict::Modern;
    }
    // Spec: 2025-11-25, basic/lifecycle, "Error Handling": how `initialize` refuses a version.
    if is(Code::InvalidParams) && fault.supported().is_some() {
        return Verdict::Legacy;
    }
    Verdict::Unclear
}

/// What is left of an answer that is none of this protocol.
fn judge_status(status: StatusCode) -> Verdict {
    match status {
        status if is_busy(status) => Verdict::NotNow,
        status if status.is_server_error() => Verdict::Unclear,
        _ => Verdict::Legacy,
    }
}

/// The server has no time, or a balancer has no server: servers of both eras stand behind both.
pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Raw;
    use bytes::Bytes;

    #[track_caller]
    fn probed(result: &'static str, expected: &Verdict) {
        let answer = Answer::Result(Raw::checked(Bytes::from_static(result.as_bytes())));
        assert_eq!(judge_probe(&answer), *expected, "{result}");
    }

    #[test]
    fn a_result_of_the_probe_is_modern_if_it_has_what_only_modern_ones_have() {
        probed(r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}"#, &Verdict::Modern);
        probed(r#"{"supportedVersions":["2099-01-01","2026-07-28"],"capabilities":{}}"#, &Verdict::Modern);
        probed(r#"{"resultType":"complete"}"#, &Verdict::Modern);
        probed(r#"{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"a","version":"1"}}}"#, &Verdict::Modern);
    }

    #[test]
    fn a_result_of_the_probe_that_says_nothing_modern_is_legacy() {
        for result in ["{}", r#"{"tools":[]}"#, "[]", "null", r#"{"resultType":5}"#, r#"{"_meta":{"a/b":1}}"#] {
            probed(result, &Verdict::Legacy);
        }
    }

    #[test]
    fn a_server_that_discovers_itself_as_of_other_versions_is_taken_at_its_word() {
        let versions = ["2099-01-01", "2025-11-25"].map(str::to_owned).to_vec();
        probed(
            r#"{"resultType":"complete","supportedVersions":["2099-01-01","2025-11-25"]}"#,
            &Verdict::Speaks(versions),
        );
    }
}
