//! Which of several upstreams a method of an extension is for, by what they declare.
//!
//! The protocol has no list of the methods of an extension. An identifier is `PREFIX/NAME`, and methods of extensions bear
//! the name in front, as those of `io.modelcontextprotocol/tasks` begin with `tasks/`. What does not tell so is for the only
//! upstream that declares anything.
//!
//! Spec: basic/versioning, "Extensions".

use anypod_proto::discover::DiscoverResult;
use anypod_proto::tasks;

/// The extensions that an upstream declares, besides tasks, of which the gateway knows whose they are.
pub(super) fn declared(discovered: &[u8]) -> Vec<String> {
    let said = serde_json::from_slice::<DiscoverResult>(discovered).ok();
    let extensions = said.and_then(|said| said.capabilities.extensions).unwrap_or_default();
    extensions.into_keys().filter(|name| name != tasks::EXTENSION).collect()
}

/// Whether a server has tasks, as it says of itself.
pub(super) fn has_tasks(discovered: &[u8]) -> bool {
    let said = serde_json::from_slice::<DiscoverResult>(discovered).ok();
    said.is_some_and(|said| tasks::is_declared(said.capabilities.extensions.as_ref()))
}

/// The places of those that a method may be for, of upstreams that declare these extensions: one, where that is certain.
pub(super) fn whose(method: &str, declared: &[Vec<String>]) -> Vec<usize> {
    let whole = |id: &str| method.strip_prefix(id).is_some_and(|rest| rest.starts_with('/'));
    let by_name = |id: &str| whole(id.rsplit('/').next().unwrap_or(id));
    let any = |_: &str| true;
    let rules: [&dyn Fn(&str) -> bool; 3] = [&whole, &by_name, &any];
    let places = |rule: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let fits = |(_, ids): &(usize, &Vec<String>)| ids.iter().any(|id| rule(id));
        declared.iter().enumerate().filter(fits).map(|(place, _)| place).collect()
    };
    rules.into_iter().map(places).find(|places| !places.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_for_who_declares_its_extension_or_the_only_one_that_declares_any() {
        const CRM: &[&str] = &["com.example/crm"];
        const REVIEWS: &[&str] = &["com.example/reviews", "org.other/crm"];
        type Row = (&'static str, &'static [&'static [&'static str]], &'static [usize]);
        let rows: &[Row] = &[
            ("crm/find", &[&[], CRM, &["com.example/reviews"]], &[1]),
            ("reviews/start", &[CRM, REVIEWS], &[1]),
            ("com.example/crm/find", &[CRM, REVIEWS], &[0]),
            ("crm/find", &[CRM, REVIEWS, &[]], &[0, 1]),
            ("crm/find", &[CRM, CRM], &[0, 1]),
            ("find", &[&[], CRM], &[1]),
            ("crmx/find", &[CRM, &[]], &[0]),
            ("crmx/find", &[CRM, REVIEWS], &[0, 1]),
            ("crm/find", &[&[], &[]], &[]),
        ];
        for (method, declared, expected) in rows {
            let declared: Vec<Vec<String>> =
                declared.iter().map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()).collect();
            assert_eq!(whose(method, &declared), *expected, "{method} {declared:?}");
        }
    }

    #[test]
    fn tasks_are_no_extension_to_be_asked_for() {
        let said = br#"{"resultType":"complete","supportedVersions":[],"ttlMs":0,"cacheScope":"public","capabilities":
            {"extensions":{"io.modelcontextprotocol/tasks":{},"com.example/crm":{"a":1}}}}"#;
        assert_eq!(declared(said), ["com.example/crm"]);
        assert_eq!(declared(b"{}"), <[&str; 0]>::default());
    }
}
