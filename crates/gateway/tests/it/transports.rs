//! Pods behind TLS, HTTP/2 and Unix sockets: in each era, and for clients of each.

use anypod_client::proto::version::Era;
use anypod_gateway::config::{ClientTls, EraChoice, Upstream};
use http::Version;
use serde_json::json;

use crate::support::tls::{self, certificate};
use crate::support::{Fleet, Scratch, Seen, Sent, Wired, config, person, served, soon, text, upstream_at};

/// What a gateway is used for, by clients of both eras: a call, a list, and a call that asks.
async fn all_of_it(fleet: &Fleet) {
    for era in [Era::Modern, Era::Legacy] {
        let client = fleet.client_of(person("Ann"), era);
        let echoed = soon(client.call("echo", json!({ "text": "x" })).into_future()).await.unwrap();
        assert_eq!(text(&echoed), "x", "{era:?}");
        assert_eq!(soon(client.tools().into_future()).await.unwrap().len(), 25, "{era:?}");
        let asked = soon(client.call("ask", json!({})).into_future()).await.unwrap();
        assert_eq!(text(&asked), "Hello, Ann!", "{era:?}");
        // Too long to be read before it goes on.
        let long = "x".repeat(200 << 10);
        let echoed = soon(client.call("echo", json!({ "text": &long })).into_future()).await.unwrap();
        assert!(text(&echoed) == long, "{era:?}");
    }
}

/// The upstream with this pod, in each era.
async fn in_each_era(pod: &Wired, configure: impl Fn(&mut Upstream)) {
    for era in [EraChoice::Modern, EraChoice::Legacy, EraChoice::Auto] {
        let mut upstream = upstream_at("server", era, std::slice::from_ref(&pod.url));
        configure(&mut upstream);
        all_of_it(&Fleet::of(config([upstream])).await).await;
    }
}

fn trusts(upstream: &mut Upstream) {
    upstream.authorities = Some(certificate("authority.pem"));
}

#[tokio::test]
async fn pods_speak_over_tls_what_they_offer() {
    for (offered, spoken) in
        [(&["h2", "http/1.1"][..], Version::HTTP_2), (&["http/1.1"], Version::HTTP_11), (&[], Version::HTTP_11)]
    {
        let pod = Wired::tls(served(&Seen::default()), tls::server(offered)).await;
        in_each_era(&pod, trusts).await;
        assert_eq!(pod.versions(), [spoken], "{offered:?}");
    }
}

#[tokio::test]
async fn pods_without_tls_speak_http2_where_that_is_configured() {
    for (http2, spoken) in [(true, Version::HTTP_2), (false, Version::HTTP_11)] {
        let pod = Wired::plain(served(&Seen::default())).await;
        in_each_era(&pod, |upstream| upstream.http2 = http2).await;
        assert_eq!(pod.versions(), [spoken]);
    }
}

#[tokio::test]
async fn pods_are_reached_through_sockets_of_this_machine() {
    for (http2, spoken) in [(false, Version::HTTP_11), (true, Version::HTTP_2)] {
        let scratch = Scratch::new();
        let pod = Wired::unix(served(&Seen::default()), &scratch);
        in_each_era(&pod, |upstream| upstream.http2 = http2).await;
        assert_eq!(pod.versions(), [spoken]);
    }
}

#[tokio::test]
async fn a_pod_is_shown_the_certificate_that_it_wants() {
    let pod = Wired::tls(served(&Seen::default()), tls::demanding_server()).await;
    let file = certificate("client.pem");
    let identity = ClientTls { certificate: file.clone(), key: file };
    in_each_era(&pod, |upstream| {
        trusts(upstream);
        upstream.identity = Some(identity.clone());
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_nobody_vouches_for_gets_no_request() {
    let seen = Seen::default();
    let pod = Wired::tls(served(&seen), tls::server(&["h2", "http/1.1"])).await;
    for era in [EraChoice::Modern, EraChoice::Legacy, EraChoice::Auto] {
        let mut upstream = upstream_at("server", era, std::slice::from_ref(&pod.url));
        upstream.authorities = Some(certificate("other.pem"));
        let fleet = Fleet::of(config([upstream])).await;
        for sent in [Sent::call("echo", json!({ "text": "secret" })), Sent::modern("tools/list", json!({}))] {
            let answer = sent.to(fleet.at(0)).await;
            assert_eq!(answer.refusal(), (503, -32603), "{era:?}: {answer:?}");
        }
    }
    assert_eq!((pod.versions(), seen.calls("echo")), (Vec::new(), 0));
}
