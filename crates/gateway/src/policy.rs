//! Who may do what: the rules of a route, by method and name, for each principal.
//!
//! The first rule that fits decides. What no rule fits is allowed, unless some rule allows: who lists what is allowed
//! means the rest to be denied. What is denied looks unknown, so that nobody learns what there is.

use std::borrow::Cow;

use anypod_proto::method::Method;
use anypod_proto::reject::Rejection;
use anypod_server::Principal;

use crate::config::{Effect, Rule};
use crate::glob::{Glob, all_of, any};

/// The rules of a route.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    rules: Box<[Ready]>,
    otherwise: bool,
}

#[derive(Debug)]
struct Ready {
    allows: bool,
    principals: Box<[Glob]>,
    methods: Box<[Glob]>,
    names: Box<[Glob]>,
}

impl Policy {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let ready = |rule: &Rule| Ready {
            allows: rule.effect == Effect::Allow,
            principals: all_of(&rule.principals),
            methods: all_of(&rule.methods),
            names: all_of(&rule.names),
        };
        let rules: Box<[Ready]> = rules.iter().map(ready).collect();
        let otherwise = !rules.iter().any(|rule| rule.allows);
        Self { rules, otherwise }
    }

    /// Whether everybody may do everything, so that nothing need be looked at.
    pub(crate) fn is_open(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a principal may send a request. `name` is that of a tool or a prompt, or a URI, where the request has one.
    pub(crate) fn allows(&self, principal: Option<&Principal>, method: &str, name: Option<&str>) -> bool {
        let principal = principal.map_or("", |principal| principal.id().sub.as_str());
        for rule in &self.rules {
            if !any(&rule.principals, principal) || !any(&rule.methods, method) {
                continue;
            }
            match name {
                Some(name) if !any(&rule.names, name) => {}
                // A list is not denied because something in it is, nor allowed by a rule about some names only: what it
                // shows is decided item by item.
                None if !rule.names.is_empty() => {
                    if rule.allows {
                        return true;
                    }
                }
                Some(_) | None => return rule.allows,
            }
        }
        self.otherwise
    }

    /// The refusal of what is denied, as if it did not exist.
    pub(crate) fn check(
        &self,
        principal: Option<&Principal>,
        method: Option<Method>,
        method_name: &str,
        name: Option<&str>,
    ) -> Result<(), Rejection> {
        if self.is_open() || self.allows(principal, method_name, name) {
            return Ok(());
        }
        let shown = |text: &str| -> String { text.chars().take(256).collect() };
        let unknown = |what, key, name: Option<&str>| Rejection::Unknown {
            what,
            key,
            name: shown(&name.map_or(Cow::Borrowed(""), Cow::Borrowed)),
        };
        Err(match method {
            Some(Method::ToolsCall) => unknown("tool", "name", name),
            Some(Method::PromptsGet) => unknown("prompt", "name", name),
            Some(Method::ResourcesRead) => unknown("resource", "uri", name),
            Some(
                Method::Discover
                | Method::ToolsList
                | Method::PromptsList
                | Method::ResourcesList
                | Method::ResourceTemplatesList
                | Method::Complete
                | Method::SubscriptionsListen,
            )
            | None => Rejection::UnknownMethod(shown(method_name)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(effect: Effect, principals: &[&str], methods: &[&str], names: &[&str]) -> Rule {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Rule { effect, principals: owned(principals), methods: owned(methods), names: owned(names) }
    }

    fn principal(sub: &str) -> Option<Principal> {
        Some(Principal::new("test", sub))
    }

    #[test]
    fn without_rules_everything_is_allowed() {
        let policy = Policy::new(&[]);
        assert!(policy.is_open() && policy.allows(None, "tools/call", Some("x")));
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let policy = Policy::new(&[
            rule(Effect::Allow, &["admin"], &[], &[]),
            rule(Effect::Deny, &[], &["tools/call"], &["delete_*"]),
            rule(Effect::Allow, &[], &[], &[]),
        ]);
        assert!(policy.allows(principal("admin").as_ref(), "tools/call", Some("delete_all")));
        assert!(!policy.allows(principal("bob").as_ref(), "tools/call", Some("delete_all")));
        assert!(!policy.allows(None, "tools/call", Some("delete_all")));
        assert!(policy.allows(None, "tools/call", Some("read")));
        assert!(policy.allows(None, "tools/list", None));
    }

    #[test]
    fn whoever_lists_what_is_allowed_denies_the_rest() {
        let policy = Policy::new(&[rule(Effect::Allow, &[], &["tools/*"], &["echo"])]);
        assert!(policy.allows(None, "tools/call", Some("echo")));
        assert!(policy.allows(None, "tools/list", None), "what the list shows is decided item by item");
        assert!(!policy.allows(None, "tools/call", Some("other")));
        assert!(!policy.allows(None, "prompts/list", None));
    }

    #[test]
    fn a_list_is_not_denied_because_something_in_it_is() {
        let policy = Policy::new(&[rule(Effect::Deny, &[], &[], &["secret_*"])]);
        assert!(policy.allows(None, "tools/list", None));
        assert!(!policy.allows(None, "tools/call", Some("secret_x")));
    }

    #[test]
    fn what_is_denied_looks_unknown() {
        let policy = Policy::new(&[rule(Effect::Deny, &[], &[], &["x"])]);
        let denied = policy.check(None, Some(Method::ToolsCall), "tools/call", Some("x")).unwrap_err();
        assert_eq!(denied, Rejection::Unknown { what: "tool", key: "name", name: "x".to_owned() });
        assert!(policy.check(None, Some(Method::ToolsCall), "tools/call", Some("y")).is_ok());
    }
}
