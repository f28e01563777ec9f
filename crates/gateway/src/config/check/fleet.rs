//! What replicas share.

use http::Uri;

use super::{Findings, key, repeated};
use crate::config::{Fleet, Replicas};

pub(super) fn check(fleet: &Fleet, found: &mut Findings<'_>) {
    let table = key("fleet");
    let Replicas(replicas) = fleet.replicas;
    if replicas == 0 {
        found.add(&table.name("replicas"), "`replicas` is 0: write how many there are, 1 or more");
    }
    if fleet.key_file.is_none() && (replicas > 1 || !fleet.peers.is_empty()) {
        let place = if replicas > 1 { table.name("replicas") } else { table.name("peers") };
        found.add(
            &place,
            "more than one replica needs keys that all share, or none opens what another sealed: `anypod keys new --out \
             anypod.keys` makes them, give every replica the same file and write key-file = \"anypod.keys\" in [fleet]",
        );
    }
    if let Some(text) = &fleet.advertise
        && !is_reachable(text)
    {
        found.add(&table.name("advertise"), not_reachable("advertise", text));
    }
    for (at, text) in fleet.peers.iter().enumerate() {
        if !is_reachable(text) {
            found.add(&table.name("peers").index(at), not_reachable("peers", text));
        }
    }
    for (at, _) in repeated(&fleet.peers) {
        found.add(&table.name("peers").index(at), format!("{:?} is among the peers already", fleet.peers[at]));
    }
}

/// Replicas call each other by plain HTTP; what they say is sealed.
fn is_reachable(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let has_host = uri.authority().is_some_and(|at| !at.host().is_empty() && !at.as_str().contains('@'));
    has_host && uri.scheme_str() == Some("http") && uri.port_u16() != Some(0)
}

fn not_reachable(name: &str, text: &str) -> String {
    // It may have a password in it.
    let shown = if text.contains('@') { String::new() } else { format!(" {text:?}") };
    format!(
        "`{name}`{shown} is no URL under which replicas reach each other: write one such as \"http://10.0.0.7:8080\""
    )
}
