//! `anypod notify`: what pods hear of it.

use anypod_server::Event;
use anypod_store::{Event as Written, Store};

use crate::calling::Said;
use crate::store::Place;

#[test]
fn pods_hear_what_is_published_in_the_form_in_which_they_tell_each_other() {
    let place = Place::new("notify");
    let url = place.url();
    let (said, heard) = place.with(|store| async move {
        let mut follower = store.follow().await.unwrap();
        let args =
            ["notify", "--resource", "note://a", "--tools", "--store", &url, "--resource", "note://b", "--prompts"];
        let said = Said::of(&args, &[]);
        let mut heard = Vec::new();
        while heard.len() < 4 {
            for event in follower.next().await.unwrap().events {
                let Written::Told(text) = event else { continue };
                heard.push(serde_json::from_str::<Event>(&text).unwrap());
            }
        }
        (said, heard)
    });
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), "published 4 events\n", ""));
    let updated = |uri: &str| Event::ResourceUpdated { uri: uri.to_owned() };
    assert_eq!(heard, [Event::ToolsChanged, Event::PromptsChanged, updated("note://a"), updated("note://b")]);
}

#[test]
fn the_count_is_there_for_programs() {
    let place = Place::new("notify-json");
    place.with(|_| async {});
    let said = Said::of(&["notify", "--resources", "--output", "json"], &[("ANYPOD_STORE", &place.url())]);
    assert_eq!(said.out, "{\"published\":1}\n", "{}", said.err);
}

#[test]
fn nothing_to_publish_and_a_resource_that_is_none_are_one_line() {
    let place = Place::new("notify-nothing");
    place.with(|_| async {});
    for (args, says) in [(&[][..], "--tools"), (&["--resource", "motd"], "motd")] {
        let said = Said::of(&[&["notify", "--store", &place.url()], args].concat(), &[]);
        assert_eq!((said.code, said.out.as_str(), said.err.lines().count()), (Some(2), "", 1), "{}", said.err);
        assert!(said.err.contains(says), "{}", said.err);
    }
}
