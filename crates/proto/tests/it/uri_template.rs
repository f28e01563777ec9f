//! Properties of URI templates.

use anypod_proto::uri_template::UriTemplate;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Templates in which literals keep the variables apart, so that a URI has one reading.
const TEMPLATES: [&str; 8] = [
    "x://{a}/{b}/{c}",
    "x://{a}/y/{b}{?c}",
    "file:///{a}{/b,c}",
    "x{;a,b}/y{?c}",
    "x{?a,b,c}",
    "x?f=1{&a,b,c}",
    "x://{a,b,c}",
    "x://{a}{?b}{#c}",
];

fn lookup<'a>(values: &'a BTreeMap<&str, String>) -> impl Fn(&str) -> Option<&'a str> {
    |name| values.get(name).map(String::as_str)
}

proptest! {
    #[test]
    fn matching_undoes_expanding(place in 0..TEMPLATES.len(), values in proptest::array::uniform3("[^%]{1,6}")) {
        let template = UriTemplate::parse(TEMPLATES[place]).expect("a template");
        let values: BTreeMap<_, _> = ["a", "b", "c"].into_iter().zip(values).collect();
        let uri = template.expand(lookup(&values));
        let found: BTreeMap<_, _> = template.match_uri(&uri).expect("ours").into_iter().collect();
        prop_assert_eq!(found, values, "{}", uri);
    }

    #[test]
    fn named_values_may_be_missing(present in proptest::array::uniform3(any::<bool>())) {
        let template = UriTemplate::parse("x{;a}{?b,c}").expect("a template");
        let names = ["a", "b", "c"].into_iter().zip(present).filter(|(_, present)| *present);
        let values: BTreeMap<_, _> = names.map(|(name, _)| (name, String::new())).collect();
        let uri = template.expand(lookup(&values));
        let found: BTreeMap<_, _> = template.match_uri(&uri).expect("ours").into_iter().collect();
        prop_assert_eq!(found, values);
    }

    #[test]
    fn what_expands_is_a_uri(template in r"[a-z{}+#./;?&,é]{0,16}", value: String) {
        if let Ok(template) = UriTemplate::parse(&template) {
            let uri = template.expand(|_| Some(&value));
            prop_assert!(uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)), "{uri}");
        }
    }

    #[test]
    fn every_template_is_read_or_refused_at_a_place_in_it(text: String) {
        if let Err(error) = UriTemplate::parse(&text) {
            prop_assert!(text.is_char_boundary(error.offset) && error.offset <= text.len());
        }
    }
}
