//! Who may do what: the rules of a route, by method, name and arguments, for each principal.
//!
//! The first rule that fits decides. What no rule fits is allowed, unless some rule allows: who lists what is allowed
//! means the rest to be denied. What is denied whatever its arguments looks unknown, so that nobody learns what there is. What
//! may be called with some arguments is no secret: it is listed, and a call with others is told that these are forbidden.

mod condition;

use anypod_proto::method::Method;
use anypod_proto::reject::Rejection;
use anypod_proto::request::Request;
use anypod_server::Principal;

use self::condition::{Condition, Fit};
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
    conditions: Box<[Condition]>,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) method: Option<Method>,
    pub(crate) method_name: &'a str,
    /// That of a tool or a prompt, or a URI, where the request has one.
    pub(crate) name: Option<&'a str>,
    /// The whole request, where it is read before it goes on.
    pub(crate) message: Option<&'a str>,
}

impl<'a> Attempt<'a> {
    /// What `principal` asks for with a request about what bears this name.
    pub(crate) fn of<B: AsRef<str>>(
        principal: Option<&'a Principal>,
        request: &'a Request<B>,
        method_name: &'a str,
        name: Option<&'a str>,
    ) -> Self {
        Self { principal, method: request.method(), method_name, name, message: Some(request.body()) }
    }
}

/// Whether a rule is about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applies {
    No,
    /// It is about some of what is attempted: some names in a list, or some arguments of a tool.
    InPart,
    Yes,
}

impl Policy {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let ready = |rule: &Rule| Ready {
            allows: rule.effect == Effect::Allow,
            principals: all_of(&rule.principals),
            methods: all_of(&rule.methods),
            names: all_of(&rule.names),
            conditions: rule.arguments.iter().map(|(pointer, values)| Condition::new(pointer, values)).collect(),
        };
        let rules: Box<[Ready]> = rules.iter().map(ready).collect();
        let otherwise = !rules.iter().any(|rule| rule.allows);
        Self { rules, otherwise }
    }

    /// Whether everybody may do everything, so that nothing need be looked at.
    pub(crate) fn is_open(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether arguments have to be read.
    pub(crate) fn reads_arguments(&self) -> bool {
        self.rules.iter().any(|rule| !rule.conditions.is_empty())
    }

    /// Whether a principal may send some request of this method about what bears this name, so that lists show it.
    pub(crate) fn shows(&self, principal: Option<&Principal>, method: Method, name: &str) -> bool {
        let conditions = |_: &Ready| Ok(if has_arguments(Some(method)) { Applies::InPart } else { Applies::No });
        self.decide(principal, method.as_str(), Some(name), conditions).unwrap_or(false)
    }

    /// Lets an attempt pass.
    ///
    /// # Errors
    /// What is denied, as if it did not exist, or because of its arguments; and arguments that two readers could take for two.
    pub(crate) fn check(&self, attempt: &Attempt<'_>) -> Result<(), Rejection> {
        if self.is_open() || self.allows(attempt)? {
            return Ok(());
        }
        let shown = |text: Option<&str>| -> String { text.unwrap_or_default().chars().take(256).collect() };
        let denied = |method, what| match attempt.name {
            Some(name) if self.shows(attempt.principal, method, name) => Rejection::ForbiddenArguments,
            name => Rejection::Unknown { what, key: "name", name: shown(name) },
        };
        Err(match attempt.method {
            Some(method @ Method::ToolsCall) => denied(method, "tool"),
            Some(method @ Method::PromptsGet) => denied(method, "prompt"),
            Some(Method::ResourcesRead) => {
                Rejection::Unknown { what: "resource", key: "uri", name: shown(attempt.name) }
            }
            Some(
                Method::Discover
                | Method::ToolsList
                | Method::PromptsList
                | Method::ResourcesList
                | Method::ResourceTemplatesList
                | Method::Complete
                | Method::SubscriptionsListen,
            )
            | None => Rejection::UnknownMethod(shown(Some(attempt.method_name))),
        })
    }

    fn allows(&self, attempt: &Attempt<'_>) -> Result<bool, Rejection> {
        let conditions = |rule: &Ready| match attempt.message.filter(|_| has_arguments(attempt.method)) {
            Some(message) => rule.meets(message),
            // What is not read is not allowed for what it says.
            None if has_arguments(attempt.method) => Err(Rejection::ForbiddenArguments),
            None => Ok(Applies::No),
        };
        self.decide(attempt.principal, attempt.method_name, attempt.name, conditions)
    }

    /// What the first rule that fits says. `conditions` tells of a rule that fits otherwise whether its conditions do.
    fn decide(
        &self,
        principal: Option<&Principal>,
        method: &str,
        name: Option<&str>,
        conditions: impl Fn(&Ready) -> Result<Applies, Rejection>,
    ) -> Result<bool, Rejection> {
        let principal = principal.map_or("", |principal| principal.id().sub.as_str());
        for rule in &self.rules {
            if !any(&rule.principals, principal) || !any(&rule.methods, method) {
                continue;
            }
            let applies = match name {
                Some(name) if !any(&rule.names, name) => Applies::No,
                Some(_) if rule.conditions.is_empty() => Applies::Yes,
                Some(_) => conditions(rule)?,
                None if rule.names.is_empty() && rule.conditions.is_empty() => Applies::Yes,
                None => Applies::InPart,
            };
            match applies {
                Applies::Yes => return Ok(rule.allows),
                // Nothing is denied because something in it is. What it shows is decided item by item.
                Applies::InPart if rule.allows => return Ok(true),
                Applies::InPart | Applies::No => {}
            }
        }
        Ok(self.otherwise)
    }
}

impl Ready {
    /// Whether all conditions fit. To be denied, a list need only have something in it that is.
    fn meets(&self, message: &str) -> Result<Applies, Rejection> {
        for condition in &self.conditions {
            match condition.judge(message)? {
                Fit::All => {}
                Fit::Some if !self.allows => {}
                Fit::Some | Fit::None => return Ok(Applies::No),
            }
        }
        Ok(Applies::Yes)
    }
}

/// Whether requests of a method have arguments that rules can look at.
pub(crate) fn has_arguments(method: Option<Method>) -> bool {
    matches!(method, Some(Method::ToolsCall | Method::PromptsGet))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn rule(effect: Effect, principals: &[&str], methods: &[&str], names: &[&str]) -> Rule {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (principals, methods, names) = (owned(principals), owned(methods), owned(names));
        Rule { effect, principals, methods, names, arguments: BTreeMap::new() }
    }

    fn with(rule: Rule, pointer: &str, values: &[&str]) -> Rule {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Rule { arguments: BTreeMap::from([(pointer.to_owned(), values)]), ..rule }
    }

    /// An attempt of nobody, without arguments.
    fn attempt<'a>(method: &'a str, name: Option<&'a str>) -> Attempt<'a> {
        Attempt { principal: None, method: Method::parse(method), method_name: method, name, message: Some("{}") }
    }

    fn allows(policy: &Policy, principal: Option<&Principal>, method: &str, name: Option<&str>) -> bool {
        policy.check(&Attempt { principal, ..attempt(method, name) }).is_ok()
    }

    /// What becomes of a call of `echo` with these arguments.
    fn called(policy: &Policy, arguments: &str) -> Result<(), Rejection> {
        let message = format!(r#"{{"params":{{"arguments":{arguments}}}}}"#);
        policy.check(&Attempt { message: Some(&message), ..attempt("tools/call", Some("echo")) })
    }

    fn principal(sub: &str) -> Option<Principal> {
        Some(Principal::new("test", sub))
    }

    #[test]
    fn without_rules_everything_is_allowed() {
        let policy = Policy::new(&[]);
        assert!(policy.is_open() && allows(&policy, None, "tools/call", Some("x")));
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let policy = Policy::new(&[
            rule(Effect::Allow, &["admin"], &[], &[]),
            rule(Effect::Deny, &[], &["tools/call"], &["delete_*"]),
            rule(Effect::Allow, &[], &[], &[]),
        ]);
        assert!(allows(&policy, principal("admin").as_ref(), "tools/call", Some("delete_all")));
        assert!(!allows(&policy, principal("bob").as_ref(), "tools/call", Some("delete_all")));
        assert!(!allows(&policy, None, "tools/call", Some("delete_all")));
        assert!(allows(&policy, None, "tools/call", Some("read")));
        assert!(allows(&policy, None, "tools/list", None));
    }

    #[test]
    fn whoever_lists_what_is_allowed_denies_the_rest() {
        let policy = Policy::new(&[rule(Effect::Allow, &[], &["tools/*"], &["echo"])]);
        assert!(allows(&policy, None, "tools/call", Some("echo")));
        assert!(allows(&policy, None, "tools/list", None), "what the list shows is decided item by item");
        assert!(!allows(&policy, None, "tools/call", Some("other")));
        assert!(!allows(&policy, None, "prompts/list", None));
    }

    #[test]
    fn a_list_is_not_denied_because_something_in_it_is() {
        let policy = Policy::new(&[rule(Effect::Deny, &[], &[], &["secret_*"])]);
        assert!(allows(&policy, None, "tools/list", None));
        assert!(!allows(&policy, None, "tools/call", Some("secret_x")));
    }

    #[test]
    fn what_is_denied_looks_unknown() {
        let policy = Policy::new(&[rule(Effect::Deny, &[], &[], &["x"])]);
        let denied = policy.check(&attempt("tools/call", Some("x"))).unwrap_err();
        assert_eq!(denied, Rejection::Unknown { what: "tool", key: "name", name: "x".to_owned() });
        assert!(policy.check(&attempt("tools/call", Some("y"))).is_ok());
    }

    #[test]
    fn a_tool_that_is_denied_with_some_arguments_is_shown_and_says_so() {
        let policy = Policy::new(&[with(rule(Effect::Deny, &[], &[], &["echo"]), "/text", &["secret*"])]);
        assert!(policy.reads_arguments() && policy.shows(None, Method::ToolsCall, "echo"));
        assert_eq!(called(&policy, r#"{"text":"secret_1"}"#), Err(Rejection::ForbiddenArguments));
        assert_eq!(called(&policy, r#"{"text":["x","secret_1"]}"#), Err(Rejection::ForbiddenArguments));
        assert_eq!(called(&policy, r#"{"text":"x"}"#), Ok(()));
        assert!(matches!(called(&policy, r#"{"text":"x","text":"secret"}"#), Err(Rejection::Argument { .. })));
        for (method, name) in [("tools/list", None), ("resources/read", Some("echo")), ("ping", None)] {
            assert!(allows(&policy, None, method, name), "{method}");
        }
    }

    #[test]
    fn a_tool_that_is_allowed_with_some_arguments_is_shown_and_others_are_not() {
        let policy = Policy::new(&[with(rule(Effect::Allow, &[], &["tools/*"], &["echo"]), "/text", &["public*"])]);
        assert!(policy.shows(None, Method::ToolsCall, "echo") && !policy.shows(None, Method::ToolsCall, "other"));
        assert!(allows(&policy, None, "tools/list", None));
        assert_eq!(called(&policy, r#"{"text":["public_1","public_2"]}"#), Ok(()));
        for arguments in [r#"{"text":"x"}"#, "{}", r#"{"text":["public","x"]}"#, r#"{"text":{}}"#, r#"{"text":[]}"#] {
            assert_eq!(called(&policy, arguments), Err(Rejection::ForbiddenArguments), "{arguments}");
        }
        let other = policy.check(&attempt("tools/call", Some("other")));
        assert!(matches!(other, Err(Rejection::Unknown { .. })), "{other:?}");
    }

    #[test]
    fn all_conditions_of_a_rule_have_to_fit_and_the_first_rule_decides() {
        let mut both = with(rule(Effect::Deny, &[], &[], &[]), "/a", &["1"]);
        both.arguments.insert("/b/c".to_owned(), vec!["x".to_owned()]);
        let policy = Policy::new(&[with(rule(Effect::Allow, &[], &[], &[]), "/really", &["true"]), both]);
        for (arguments, passes) in [
            (r#"{"a":1,"b":{"c":"x"},"really":true}"#, true),
            (r#"{"a":1,"b":{"c":"x"}}"#, false),
            (r#"{"a":1,"b":{"c":"y"}}"#, false),
        ] {
            assert_eq!(called(&policy, arguments).is_ok(), passes, "{arguments}");
        }
        let denying = Policy { rules: policy.rules.into_iter().skip(1).collect(), otherwise: true };
        assert!(called(&denying, r#"{"a":1,"b":{"c":"y"}}"#).is_ok());
        assert!(called(&denying, r#"{"a":1.0,"b":{"c":"x"}}"#).is_err());
    }

    #[test]
    fn what_was_not_read_is_not_let_through_by_rules_on_arguments() {
        let policy = Policy::new(&[with(rule(Effect::Deny, &[], &[], &[]), "/text", &["x"])]);
        let unread = Attempt { message: None, ..attempt("tools/call", Some("echo")) };
        assert_eq!(policy.check(&unread), Err(Rejection::ForbiddenArguments));
    }
}
