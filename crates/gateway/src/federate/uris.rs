//! URIs of resources: each bears the name of its upstream, so that any replica knows whose it is, without a list.
//!
//! `file:///x` of the upstream `db` is `db+file:///x`. A name of an upstream is lower-case letters, digits and `-`, so that it
//! may stand in a scheme, and ends at the first `+`. What hosts show as apps they know by the scheme `ui`, which therefore
//! stays in front: `ui://x` is `ui://db+x`. Templates are wrapped alike; what their expressions expand to stands behind.
//!
//! Nothing is ever left as it is: an upstream cannot name the resource of another one.

use super::Upstreams;

/// What stands in front of resources that hosts show as apps.
const UI: &str = "ui://";

/// The URI, or template, that clients know `own` of that upstream by.
///
/// # Panics
/// If there is no upstream at that place.
pub(crate) fn wrap(upstreams: &Upstreams, upstream: usize, own: &str) -> String {
    let name = &upstreams.names()[upstream];
    match own.strip_prefix(UI) {
        Some(rest) => format!("{UI}{name}+{rest}"),
        None => format!("{name}+{own}"),
    }
}

/// Whose a URI, or template, is, and how it is known there. `None` if it is nobody's.
///
/// Not every URI that this reads is one that [`wrap`] would write: a template without a scheme of its own, such as `{+page}`,
/// may expand to `db+ui://x`, which is the same resource as `ui://db+x`.
pub(crate) fn unwrap(upstreams: &Upstreams, uri: &str) -> Option<(usize, String)> {
    let (scheme, rest) = match uri.strip_prefix(UI) {
        Some(rest) => (UI, rest),
        None => ("", uri),
    };
    let (name, own) = rest.split_once('+')?;
    Some((upstreams.place(name)?, format!("{scheme}{own}")))
}

#[cfg(test)]
mod tests {
    use anypod_proto::uri::is_uri;
    use anypod_proto::uri_template::UriTemplate;
    use proptest::prelude::*;

    use super::*;

    fn upstreams() -> Upstreams {
        Upstreams::new(["db", "ui", "files-2", "d", "file"])
    }

    #[test]
    fn a_uri_bears_its_upstream_in_front() {
        for (own, wrapped) in [
            ("file:///x", "db+file:///x"),
            ("https://a.example/b?c=1+2#d", "db+https://a.example/b?c=1+2#d"),
            ("ui://clock/face.html", "ui://db+clock/face.html"),
            ("ui:clock", "db+ui:clock"),
            ("UI://clock", "db+UI://clock"),
            ("ui+file:///x", "db+ui+file:///x"),
            ("file:///{path}{?line*}", "db+file:///{path}{?line*}"),
            ("ui://{+app}", "ui://db+{+app}"),
            ("", "db+"),
        ] {
            assert_eq!(wrap(&upstreams(), 0, own), wrapped);
            assert_eq!(unwrap(&upstreams(), wrapped), Some((0, own.to_owned())));
        }
    }

    #[test]
    fn what_names_no_upstream_is_nobodys() {
        for uri in
            ["", "+", "db", "file:///x", "nope+file:///x", "DB+file:///x", "ui://x", "ui://", "ui://nope+x", "://db+x"]
        {
            assert_eq!(unwrap(&upstreams(), uri), None, "{uri}");
        }
    }

    #[test]
    fn an_upstream_cannot_name_what_is_another_ones() {
        let upstreams = upstreams();
        let wrapped = wrap(&upstreams, 3, "db+file:///secret");
        assert_eq!(unwrap(&upstreams, &wrapped), Some((3, "db+file:///secret".to_owned())));
        let app = wrap(&upstreams, 3, "ui://db+clock");
        assert_eq!(unwrap(&upstreams, &app), Some((3, "ui://db+clock".to_owned())));
    }

    #[test]
    fn what_a_wrapped_template_expands_to_belongs_to_its_upstream() {
        let upstreams = upstreams();
        for (template, name, value, own) in [
            ("note:///{id}", "id", "a b", "note:///a%20b"),
            ("{+page}", "page", "ui://clock", "ui://clock"),
            ("ui://{+page}", "page", "db+x", "ui://db+x"),
            ("{scheme}://x", "scheme", "db+file", "db%2Bfile://x"),
        ] {
            let wrapped = UriTemplate::parse(&wrap(&upstreams, 2, template)).unwrap();
            let uri = wrapped.expand(|variable| (variable == name).then_some(value));
            assert_eq!(unwrap(&upstreams, &uri), Some((2, own.to_owned())), "{template}");
        }
    }

    /// Texts of the pieces that could confuse, and any others.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("ui://".to_owned()),
            Just("ui".to_owned()),
            Just("+".to_owned()),
            Just("db".to_owned()),
            Just("db+".to_owned()),
            Just("://".to_owned()),
            Just("{+a}".to_owned()),
            Just("%2B".to_owned()),
            any::<String>(),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_uri_comes_back_to_its_upstream_as_it_was(own in hostile(), upstream in 0..5_usize) {
            let upstreams = upstreams();
            let wrapped = wrap(&upstreams, upstream, &own);
            prop_assert_eq!(unwrap(&upstreams, &wrapped), Some((upstream, own)));
        }

        #[test]
        fn reading_never_fails_and_reads_what_is_wrapped_alike(uri in hostile()) {
            let upstreams = upstreams();
            if let Some((upstream, own)) = unwrap(&upstreams, &uri) {
                let again = unwrap(&upstreams, &wrap(&upstreams, upstream, &own));
                prop_assert_eq!(again, Some((upstream, own)));
            }
        }

        #[test]
        fn a_wrapped_uri_is_a_uri(rest in "[a-z]{1,5}://[a-z0-9./%+@:-]{0,10}", upstream in 0..5_usize) {
            prop_assume!(is_uri(&rest));
            prop_assert!(is_uri(&wrap(&upstreams(), upstream, &rest)));
        }
    }
}
