//! Properties of sealed tokens.

use anypod_proto::seal::{KEY_LEN, NONCE_LEN, PrincipalId, Purpose, Ring, Seal, UnixSeconds, digest, digest_json};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

fn key() -> impl Strategy<Value = [u8; KEY_LEN]> {
    any::<[u8; KEY_LEN]>()
}

fn principal() -> impl Strategy<Value = Option<PrincipalId>> {
    proptest::option::of(any::<(String, String)>().prop_map(|(iss, sub)| PrincipalId { iss, sub }))
}

fn purpose() -> impl Strategy<Value = Purpose> {
    (0..Purpose::ALL.len()).prop_map(|place| Purpose::ALL[place])
}

#[derive(Debug, PartialEq)]
struct Binding {
    purpose: Purpose,
    audience: String,
    principal: Option<PrincipalId>,
    context: Vec<String>,
}

impl Binding {
    fn seal<'a>(&'a self, context: &'a [&'a [u8]]) -> Seal<'a> {
        let Self { purpose, audience, principal, .. } = self;
        Seal { purpose: *purpose, audience, principal: principal.as_ref(), context }
    }
}

/// So few and short texts that two bindings are often equal, or the same letters in other places.
fn binding() -> impl Strategy<Value = Binding> {
    let purpose = proptest::sample::select(&[Purpose::Session, Purpose::Task][..]);
    let principal = proptest::option::of(("a?", "a?").prop_map(|(iss, sub)| PrincipalId { iss, sub }));
    let binding = (purpose, "a?", principal, vec("a?", 0..3));
    binding.prop_map(|(purpose, audience, principal, context)| Binding { purpose, audience, principal, context })
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same value with members in the opposite order and white space wherever it may stand.
fn other_spelling(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(other_spelling).collect();
            format!("[ {} ]", items.join("\n,"))
        }
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| format!("{} :\t{}", Value::from(&**name), other_spelling(value));
            let members: Vec<_> = members.iter().rev().map(member).collect();
            format!("{{\r\n{} }}", members.join(" , "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

proptest! {
    #[test]
    fn a_token_opens_to_what_was_sealed(
        key in key(), older in key(), nonce in any::<[u8; NONCE_LEN]>(), purpose in purpose(), audience: String,
        principal in principal(), context in vec(any::<Vec<u8>>(), 0..4), payload: Vec<u8>, now in 0..u64::MAX >> 24,
    ) {
        let context: Vec<_> = context.iter().map(Vec::as_slice).collect();
        let seal = Seal { purpose, audience: &audience, principal: principal.as_ref(), context: &context };
        let expires_at = UnixSeconds(now + 1);
        let token = seal.seal(&Ring::from_keys(key, []), nonce, expires_at, &payload).expect("fits");
        prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        let ring = Ring::from_keys(older, [key]);
        prop_assert_eq!(seal.open(&ring, UnixSeconds(now), &token), Ok(payload));
        prop_assert!(seal.open(&ring, expires_at, &token).is_err());
    }

    #[test]
    fn a_token_opens_under_an_equal_binding_only(a in binding(), b in binding()) {
        let ring = Ring::generate([1; KEY_LEN]);
        let contexts = [&a, &b].map(|binding| binding.context.iter().map(String::as_bytes).collect::<Vec<_>>());
        let token = a.seal(&contexts[0]).seal(&ring, [2; NONCE_LEN], UnixSeconds(9), b"payload").expect("fits");
        let opened = b.seal(&contexts[1]).open(&ring, UnixSeconds(0), &token);
        prop_assert_eq!(opened.is_ok(), a == b);
    }

    #[test]
    fn a_ring_reads_what_it_writes(keys in vec(key(), 1..16)) {
        let ring = Ring::from_keys(keys[0], keys[1..].iter().copied());
        let again = Ring::parse(&ring.to_text()).expect("a ring");
        prop_assert_eq!(again.to_text(), ring.to_text());
    }

    #[test]
    fn no_text_makes_reading_a_ring_panic(text: String) {
        prop_assert!(Ring::parse(&text).is_err());
    }

    #[test]
    fn only_equal_lists_digest_alike(a in vec(vec(0..2u8, 0..3), 0..3), b in vec(vec(0..2u8, 0..3), 0..3)) {
        let of = |list: &[Vec<u8>]| digest(&list.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assert_eq!(of(&a) == of(&b), a == b);
    }

    #[test]
    fn the_spelling_of_json_does_not_change_its_digest(a in json(), b in json()) {
        let of = |text: &str| digest_json(text).expect("JSON");
        prop_assert_eq!(of(&a.to_string()), of(&other_spelling(&a)));
        prop_assert_eq!(of(&a.to_string()) == of(&b.to_string()), a == b);
    }
}
