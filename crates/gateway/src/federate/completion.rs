//! `completion/complete` of a federated server: whose argument is to be completed.
//!
//! Spec: server/utilities/completion.

use anypod_proto::method::Method;
use anypod_proto::scan::{Kind, ScanError, Scanner, Str};

use super::edit::edit;
use super::rules::of_request;

/// What the `ref` of a completion names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// A prompt, by its public name: to be resolved by the directory of prompts.
    Prompt(String),
    /// A resource or template, by its wrapped URI.
    Resource(String),
}

/// What `params` asks to complete. `None` if they have no such `ref`; then the request is malformed.
///
/// Of members that stand there twice the last one counts; [`with_own`] writes all of them anew, so that the upstream
/// reads the same whichever it takes.
pub(crate) fn reference(params: &str) -> Option<Reference> {
    let reference = member(params, "ref").ok()??;
    let text = |name| Some(Str::parse(member(reference, name).ok()??).ok()?.decode().into_owned());
    match text("type")?.as_str() {
        "ref/prompt" => text("name").map(Reference::Prompt),
        "ref/resource" => text("uri").map(Reference::Resource),
        _ => None,
    }
}

/// `params` with the name or URI that `ref` names replaced by the upstream's own.
///
/// # Errors
/// If `params` is no JSON.
pub(crate) fn with_own(params: &str, own: &str) -> Result<String, ScanError> {
    edit(params, of_request(Method::Complete), |_, _| Some(own.to_owned())).map(Into::into)
}

/// The last member of that name.
fn member<'a>(object: &'a str, name: &str) -> Result<Option<&'a str>, ScanError> {
    let mut scanner = Scanner::new(object);
    if scanner.peek()? != Kind::Object {
        return Ok(None);
    }
    let mut walk = scanner.object()?;
    let mut found = None;
    while let Some(key) = scanner.member(&mut walk)? {
        let value = scanner.value()?;
        found = if key.is(name) { Some(value) } else { found };
    }
    scanner.end()?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_prompt_or_a_resource() {
        for (params, expected) in [
            (r#"{"ref":{"type":"ref/prompt","name":"db__x","title":"X"}}"#, Some(Reference::Prompt("db__x".into()))),
            (
                r#"{"ref":{"uri":"db+file:///{p}","type":"ref\/resource"}}"#,
                Some(Reference::Resource("db+file:///{p}".into())),
            ),
            (r#"{"ref":{"type":"ref/prompt","name":"a","name":"b"}}"#, Some(Reference::Prompt("b".into()))),
            (r#"{"ref":{"type":"ref/prompt","uri":"x"}}"#, None),
            (r#"{"ref":{"type":"ref/prompt","name":1}}"#, None),
            (r#"{"ref":{"type":"ref/tool","name":"x"}}"#, None),
            (r#"{"ref":"ref/prompt"}"#, None),
            (r#"{"argument":{"name":"x"}}"#, None),
            ("[]", None),
            ("{", None),
        ] {
            assert_eq!(reference(params), expected, "{params}");
        }
    }

    #[test]
    fn every_spelling_of_the_name_becomes_the_own_one() {
        let params = r#"{"ref":{"type":"ref/prompt","name":"a","n\u0061me":"b"},"argument":{"name":"x","value":"y"}}"#;
        let expected =
            r#"{"ref":{"type":"ref/prompt","name":"own","n\u0061me":"own"},"argument":{"name":"x","value":"y"}}"#;
        assert_eq!(with_own(params, "own").unwrap(), expected);
        let template = r#"{"ref":{"type":"ref/resource","uri":"db+x://{y}"}}"#;
        assert_eq!(with_own(template, "x://{y}").unwrap(), r#"{"ref":{"type":"ref/resource","uri":"x://{y}"}}"#);
    }
}
