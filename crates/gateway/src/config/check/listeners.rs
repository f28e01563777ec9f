//! Where clients connect, and what is written down about them.

use std::path::Path;

use http::Uri;

use super::{Findings, key};
use crate::config::{Address, Config};

pub(super) fn check(config: &Config, found: &mut Findings<'_>) {
    let addresses = addresses(config, found);
    if addresses.is_empty() && config.listener.is_empty() {
        found.add(&key("listener"), "nobody can connect: leave `listener` out for 127.0.0.1:8080, or write one");
    }
    for (at, (place, address)) in addresses.iter().enumerate() {
        if let Some((_, other)) = addresses[..at].iter().find(|(_, other)| other.collides(address)) {
            found.add(place, format!("{address} is taken by {other}, which stands before it: choose another port"));
        }
    }
    observe(config, found);
}

/// Every address that is one, the admin's among them, with its key.
fn addresses(config: &Config, found: &mut Findings<'_>) -> Vec<(crate::config::document::Key, Address)> {
    let listener = key("listener");
    let listeners = config.listener.iter().enumerate();
    let listeners = listeners.map(|(at, listener_at)| (listener.index(at).name("address"), &listener_at.address));
    let all = listeners.chain(config.admin.iter().map(|address| (key("admin"), address)));
    all.filter_map(|(place, text)| match text.parse() {
        Ok(address) => Some((place, address)),
        Err(error) => {
            found.add(&place, format!("{error}"));
            None
        }
    })
    .collect()
}

fn observe(config: &Config, found: &mut Findings<'_>) {
    let observe = &config.observe;
    if observe.access_log.as_deref() == Some(Path::new("")) {
        found.add(
            &key("observe").name("access-log"),
            "`access-log` is empty: write a file, or \"-\" for standard output",
        );
    }
    if let Some(text) = &observe.otlp {
        let uri: Option<Uri> = text.parse().ok();
        let sound = uri.is_some_and(|uri| {
            let host = uri.authority().is_some_and(|at| !at.host().is_empty() && !at.as_str().contains('@'));
            host && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        if !sound {
            found.add(
                &key("observe").name("otlp"),
                "`otlp` is no URL of an OTLP endpoint: write one such as \"http://127.0.0.1:4318/v1/traces\"",
            );
        }
    }
}
