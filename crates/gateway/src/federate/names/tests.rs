//! Names as examples, and what holds for any names.

use proptest::prelude::*;

use super::*;

fn naming(prefix: Prefix, longest: Option<usize>, upstreams: &[&str]) -> Naming {
    let names = Names { prefix, longest, ..Names::default() };
    Naming::new(&Upstreams::new(upstreams.iter().copied()), &names)
}

fn listed<'a>(lists: &[&[&'a str]]) -> Vec<Option<Vec<&'a str>>> {
    lists.iter().map(|list| Some(list.to_vec())).collect()
}

fn known(upstream: usize, own: &str) -> Resolved<'_> {
    Resolved::Known { upstream, own }
}

#[test]
fn a_name_that_one_upstream_has_is_kept_and_what_several_have_is_prefixed() {
    let naming = naming(Prefix::Collisions, None, &["db", "fs"]);
    let directory = Directory::new(&naming, &listed(&[&["read", "query"], &["read", "list"]]));
    for (upstream, own, public) in
        [(0, "read", "db__read"), (1, "read", "fs__read"), (0, "query", "query"), (1, "list", "list")]
    {
        assert_eq!(directory.public(upstream, own), Some(public));
        assert_eq!(directory.resolve(public), known(upstream, own));
    }
    assert_eq!(directory.public(0, "list"), None);
    for unknown in ["read", "nope", "db__nope", "db__", "__read", "nope__read", "DB__read", ""] {
        assert_eq!(directory.resolve(unknown), Resolved::Unknown, "{unknown}");
    }
}

#[test]
fn a_prefixed_name_still_resolves_where_the_bare_one_is_public() {
    let naming = naming(Prefix::Collisions, Some(30), &["db", "fs"]);
    let long = "a_name_that_is_too_long_to_be_public";
    let both = Directory::new(&naming, &listed(&[&["read", long], &["read", long]]));
    let one = Directory::new(&naming, &listed(&[&["read", long], &[]]));
    for own in ["read", long] {
        let older = both.public(0, own).unwrap();
        assert!(older.starts_with("db__") && one.public(0, own) != Some(older));
        assert_eq!(one.resolve(older), known(0, own));
        assert_eq!(one.resolve(both.public(1, own).unwrap()), Resolved::Unknown);
    }
}

#[test]
fn a_name_that_begins_like_a_prefixed_one_is_prefixed() {
    let naming = naming(Prefix::Collisions, None, &["a", "b", "c"]);
    let directory = Directory::new(&naming, &listed(&[&["b__x", "a__", "d__x"], &["x"], &["x"]]));
    assert_eq!(directory.resolve("b__x"), known(1, "x"));
    assert_eq!(directory.public(0, "b__x"), Some("a__b__x"));
    assert_eq!(directory.resolve("a__b__x"), known(0, "b__x"));
    assert_eq!(directory.public(0, "a__"), Some("a__a__"));
    assert_eq!(directory.public(0, "d__x"), Some("d__x"), "no upstream is called d");
}

#[test]
fn always_prefixes_all_and_never_none() {
    let lists = listed(&[&["x", "y"], &["x", "a__x"]]);
    let directory = Directory::new(&naming(Prefix::Always, None, &["a", "b"]), &lists);
    assert_eq!(directory.public(0, "y"), Some("a__y"));
    assert_eq!(directory.public(1, "a__x"), Some("b__a__x"));
    assert_eq!(directory.resolve("y"), Resolved::Unknown);

    let directory = Directory::new(&naming(Prefix::Never, None, &["a", "b"]), &lists);
    assert_eq!(directory.resolve("x"), known(0, "x"));
    assert_eq!(directory.resolve("a__x"), known(1, "a__x"));
    assert_eq!(directory.hidden().collect::<Vec<_>>(), [(1, "x")]);
}

#[test]
fn long_names_are_cut_at_the_same_place_everywhere() {
    let own = "describe the state of every machine in the fleet, in all regions and zones";
    let naming = naming(Prefix::Collisions, Some(64), &["ops", "dev"]);
    let bare = Directory::new(&naming, &listed(&[&[own], &[]]));
    assert_eq!(bare.public(0, own), Some("describe_the_state_of_every_machine_in_the_fleet__in_al_3c808557"));
    let prefixed = Directory::new(&naming, &listed(&[&[own], &[own]]));
    for (upstream, name) in [(0, "ops"), (1, "dev")] {
        let public = prefixed.public(upstream, own).unwrap();
        assert!(public.starts_with(&format!("{name}__describe_the_state")), "{public}");
        assert_eq!(public.len(), 64);
        assert_eq!(prefixed.resolve(public), known(upstream, own));
    }
}

#[test]
fn names_differ_behind_where_they_are_cut() {
    let naming = naming(Prefix::Collisions, Some(20), &["a"]);
    let names = ["the_same_beginning_and_1", "the_same_beginning_and_2", "the same beginning and 1"];
    let directory = Directory::new(&naming, &listed(&[&names]));
    let mut publics: Vec<_> = names.iter().map(|own| directory.public(0, own).unwrap()).collect();
    publics.sort_unstable();
    publics.dedup();
    assert_eq!(publics.len(), 3);
}

#[test]
fn a_tool_cannot_take_the_cut_name_of_another() {
    let own = "transfer_the_money_to_an_account_of_mine";
    for prefix in [Prefix::Collisions, Prefix::Always, Prefix::Never] {
        let naming = naming(prefix, Some(32), &["good", "evil"]);
        let alone = Directory::new(&naming, &listed(&[&[own], &[]]));
        let cut = alone.public(0, own).unwrap();
        for thief in [cut, cut.trim_start_matches("good__"), &format!("good__{cut}")] {
            for evil in [0, 1] {
                let mut lists = listed(&[&[own], &[]]);
                lists[evil].as_mut().unwrap().push(thief);
                let directory = Directory::new(&naming, &lists);
                let (theirs, thiefs) = (directory.public(0, own).unwrap(), directory.public(evil, thief).unwrap());
                assert_eq!(directory.resolve(theirs), known(0, own));
                assert_eq!(directory.resolve(thiefs), known(evil, thief));
                assert_ne!(directory.resolve(cut), known(evil, thief), "{prefix:?} {thief} {evil}");
            }
        }
    }
}

#[test]
fn without_a_list_the_prefix_alone_says_whose_a_name_is() {
    let naming = naming(Prefix::Collisions, Some(40), &["a", "b"]);
    let partial = Directory::new(&naming, &[Some(vec!["x"]), None]);
    assert!(!partial.is_complete());
    assert_eq!(partial.resolve("b__y"), Resolved::Prefixed { upstream: 1, own: "y" });
    assert_eq!(partial.resolve("a__y"), Resolved::Unknown, "its list is known, and has no such name");
    assert_eq!(partial.resolve("a__x"), known(0, "x"));
    assert_eq!(partial.resolve("y"), Resolved::Unknown);
    let cut = "b__a_name_that_is_cut_somewher_0123abcd";
    assert_eq!(cut.len(), 39);
    assert_eq!(partial.resolve(&cut.replacen("a_", "aa_", 1)), Resolved::Cut { upstream: 1 });
    assert_eq!(partial.resolve(&format!("b__{}", "y".repeat(38))), Resolved::Unknown, "no public name is that long");
    let nothing = Directory::new::<&str>(&naming, &[]);
    assert_eq!(nothing.resolve("a__x"), Resolved::Prefixed { upstream: 0, own: "x" });
}

#[test]
fn tells_delimiters_that_end_a_name_from_those_that_may_not() {
    for (delimiter, upstream, is) in [
        ("__", "a", true),
        (".", "a-b", true),
        ("--", "a", true),
        ("--", "a-", false),
        ("-", "a-b", false),
        ("", "a", false),
    ] {
        assert_eq!(is_delimiter(delimiter, upstream), is, "{delimiter} {upstream}");
    }
}

#[test]
fn a_bound_that_leaves_no_room_is_raised() {
    let naming = naming(Prefix::Always, Some(3), &["database", "fs"]);
    let directory = Directory::new(&naming, &listed(&[&["a_name_that_is_cut"], &["x"]]));
    let public = directory.public(0, "a_name_that_is_cut").unwrap();
    assert_eq!(public.len(), "database".len() + 2 + 1 + TAIL);
    assert_eq!(directory.resolve(public), known(0, "a_name_that_is_cut"));
}

#[test]
fn ten_thousand_names_of_a_hundred_upstreams_all_resolve() {
    let upstreams: Vec<String> = (0..100).map(|at| format!("u{at}")).collect();
    let upstreams: Vec<&str> = upstreams.iter().map(String::as_str).collect();
    let lists: Vec<_> = (0..100).map(|u| Some((0..100).map(|at| format!("tool_{}", at * (u % 3))).collect())).collect();
    let directory = Directory::new(&naming(Prefix::Collisions, Some(64), &upstreams), &lists);
    for (upstream, list) in lists.iter().enumerate() {
        for own in list.iter().flatten() {
            let public = directory.public(upstream, own).unwrap();
            assert_eq!(directory.resolve(public), known(upstream, own));
        }
    }
}

const UPSTREAMS: [&str; 4] = ["a", "b", "ab", "a-b"];

/// Names of pieces that could be confused with prefixes, hashes and each other, and any others.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop_oneof![Just("a"), Just("b"), Just("_"), Just("__"), Just("a__"), Just("a-b__")].prop_map(str::to_owned),
        1 => "_[0-9a-f]{8}",
        1 => any::<String>(),
        1 => Just("x".repeat(24)),
    ];
    proptest::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn lists() -> impl Strategy<Value = Vec<Option<Vec<String>>>> {
    proptest::collection::vec(proptest::collection::vec(hostile(), 0..8).prop_map(Some), UPSTREAMS.len())
}

fn namings() -> impl Strategy<Value = Naming> {
    let prefix = prop_oneof![Just(Prefix::Collisions), Just(Prefix::Always), Just(Prefix::Never)];
    let delimiter = prop_oneof![Just("__"), Just("_"), Just("."), Just("-"), Just("")];
    (prefix, proptest::option::of(0..40_usize), delimiter).prop_map(|(prefix, longest, delimiter)| {
        Naming::new(&Upstreams::new(UPSTREAMS), &Names { prefix, longest, delimiter: delimiter.to_owned() })
    })
}

/// Every public name with what it stands for.
fn publics(
    directory: &Directory,
    lists: &[Option<Vec<String>>],
) -> std::collections::BTreeMap<(usize, String), Option<String>> {
    let all =
        lists.iter().enumerate().flat_map(|(upstream, list)| list.iter().flatten().map(move |own| (upstream, own)));
    all.map(|(upstream, own)| ((upstream, own.clone()), directory.public(upstream, own).map(str::to_owned))).collect()
}

proptest! {
    #[test]
    fn a_public_name_stands_for_one_thing_and_resolves_to_it(naming in namings(), lists in lists()) {
        let directory = Directory::new(&naming, &lists);
        let mut seen = HashSet::new();
        for ((upstream, own), public) in publics(&directory, &lists) {
            let Some(public) = public else {
                prop_assert!(directory.hidden().any(|hidden| hidden == (upstream, &own)));
                continue;
            };
            prop_assert_eq!(directory.resolve(&public), known(upstream, &own));
            prop_assert!(naming.longest.is_none_or(|longest| public.chars().count() <= longest));
            prop_assert!(seen.insert(public));
        }
    }

    #[test]
    fn nothing_is_hidden_where_prefixes_keep_names_apart(
        lists in lists(), longest in proptest::option::of(0..40_usize), always: bool,
    ) {
        let prefix = if always { Prefix::Always } else { Prefix::Collisions };
        let directory = Directory::new(&naming(prefix, longest, &UPSTREAMS), &lists);
        prop_assert_eq!(directory.hidden().count(), 0);
    }

    #[test]
    fn names_do_not_depend_on_the_order_of_pages(naming in namings(), lists in lists(), turn in 0..8_usize) {
        let turned: Vec<_> = lists.iter().cloned().map(|list| list.map(|mut list| {
            list.reverse();
            let turn = turn.min(list.len());
            list.rotate_left(turn);
            list
        })).collect();
        let (one, other) = (Directory::new(&naming, &lists), Directory::new(&naming, &turned));
        prop_assert_eq!(publics(&one, &lists), publics(&other, &turned));
    }

    #[test]
    fn fewer_lists_never_lead_a_public_name_to_another_upstream(
        lists in lists(), longest in proptest::option::of(0..40_usize), always: bool, mask in 0..16_usize,
    ) {
        let prefix = if always { Prefix::Always } else { Prefix::Collisions };
        let naming = naming(prefix, longest, &UPSTREAMS);
        let partial: Vec<_> =
            lists.iter().cloned().enumerate().map(|(at, list)| list.filter(|_| mask & 1 << at != 0)).collect();
        let (whole, partial) = (Directory::new(&naming, &lists), Directory::new(&naming, &partial));
        for ((upstream, own), public) in publics(&whole, &lists) {
            let public = public.unwrap();
            let is_known = mask & 1 << upstream != 0;
            match partial.resolve(&public) {
                found @ Resolved::Known { .. } => prop_assert_eq!(found, known(upstream, &own)),
                found @ Resolved::Prefixed { .. } => {
                    prop_assert!(!is_known);
                    prop_assert_eq!(found, Resolved::Prefixed { upstream, own: &own });
                }
                found @ Resolved::Cut { .. } => {
                    prop_assert!(!is_known);
                    prop_assert_eq!(found, Resolved::Cut { upstream });
                }
                Resolved::Unknown => prop_assert!(!is_known && naming.split(&public).is_none()),
            }
        }
    }

    #[test]
    fn resolving_any_text_gives_what_is_listed_or_nothing(naming in namings(), lists in lists(), text in hostile()) {
        let directory = Directory::new(&naming, &lists);
        match directory.resolve(&text) {
            Resolved::Known { upstream, own } => {
                prop_assert!(lists[upstream].iter().flatten().any(|listed| listed == own));
            }
            Resolved::Unknown => {}
            other => prop_assert!(false, "all lists are known: {other:?}"),
        }
    }
}
