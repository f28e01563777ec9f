//! TLS: what is spoken in it, who is trusted, and who appears.

use std::time::Duration;

use tokio::time::sleep;

use super::server::{Running, certified, demanding, echo};
use super::*;
use crate::config::ClientTls;
use crate::upstream::Target;

fn trusting(server: &Running) -> config::Upstream {
    config::Upstream { authorities: Some(certificate("authority.pem")), ..configured(&[&server.secure_url()]) }
}

#[tokio::test]
async fn http2_is_spoken_where_the_pod_offers_it() {
    let server = Running::tls(certified(&[b"h2", b"http/1.1"]), echo).await;
    let pod = pod(&trusting(&server));
    let (one, two) = tokio::join!(super::echo(&pod, "one"), super::echo(&pod, "two"));
    assert_eq!((one, two), ("one".to_owned(), "two".to_owned()));
    assert_eq!((server.count(), pod.idle()), (1, 0));
}

#[tokio::test]
async fn http1_is_spoken_where_it_does_not() {
    let server = Running::tls(certified(&[]), echo).await;
    let pod = pod(&trusting(&server));
    let (one, two) = tokio::join!(super::echo(&pod, "one"), super::echo(&pod, "two"));
    assert_eq!((one, two), ("one".to_owned(), "two".to_owned()));
    assert_eq!(super::echo(&pod, "three").await, "three");
    assert_eq!((server.count(), pod.idle()), (2, 2));
}

#[tokio::test]
async fn a_pod_that_nobody_vouches_for_gets_no_request() {
    let server = Running::tls(certified(&[]), echo).await;
    let stranger = config::Upstream { authorities: Some(certificate("client.pem")), ..trusting(&server) };
    let why = unsent(send(&pod(&stranger), "secret").await);
    assert!(why.contains("invalid peer certificate"), "{why}");
}

#[tokio::test]
async fn the_certificate_has_to_bear_the_name_in_the_url() {
    let server = Running::tls(certified(&[]), echo).await;
    let upstream = started(&trusting(&server));
    let target = Target::parse("https://other.example/mcp").unwrap().at(server.address);
    upstream.pods.set(vec![target]);
    let why = unsent(send(&upstream.pods()[0], "").await);
    assert!(why.contains("invalid peer certificate"), "{why}");
}

#[tokio::test]
async fn the_gateway_shows_a_certificate_to_a_pod_that_wants_one() {
    let server = Running::tls(demanding(), echo).await;
    let identity = ClientTls { certificate: certificate("client.pem"), key: certificate("client.pem") };
    let known = config::Upstream { identity: Some(identity), ..trusting(&server) };
    assert_eq!(super::echo(&pod(&known), "x").await, "x");
    let unknown = send(&pod(&trusting(&server)), "x").await;
    assert!(unknown.is_err());
}

#[tokio::test]
async fn a_pod_without_tls_gets_no_request_that_was_meant_to_be_secret() {
    let server = Running::http1(echo).await;
    let why = unsent(send(&pod(&trusting(&server)), "secret").await);
    assert!(why.contains("corrupt message"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn certificates_are_read_again_when_they_change() {
    let server = Running::tls(certified(&[]), echo).await;
    let file = Temporary::holding("authority.pem", std::fs::read(certificate("client.pem")).unwrap());
    let upstream = started(&config::Upstream { authorities: Some(file.0.clone()), ..trusting(&server) });
    let pod = Arc::clone(&upstream.pods()[0]);
    assert!(send(&pod, "x").await.is_err());
    // What is wrong changes nothing, and what is right after it does.
    std::fs::write(&file.0, "no certificate").unwrap();
    sleep(Duration::from_secs(20)).await;
    assert!(send(&pod, "x").await.is_err());
    std::fs::copy(certificate("authority.pem"), &file.0).unwrap();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(read(send(&pod, "x").await.unwrap()).await.unwrap(), "x");
}
