//! How pods are found, and found again.

use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::server::{Running, echo};
use super::*;
use crate::upstream::{Target, find};

fn ids(upstream: &Upstream) -> Vec<String> {
    upstream.pods().iter().map(|pod| pod.id().to_string()).collect()
}

fn addresses(texts: &[&str]) -> io::Result<Vec<SocketAddr>> {
    Ok(texts.iter().map(|text| text.parse().unwrap()).collect())
}

#[tokio::test]
async fn each_address_of_a_name_is_a_pod_and_is_called_by_the_name() {
    let server =
        Running::http1(|request| async move { server::text(request.headers()["host"].to_str().unwrap().to_owned()) })
            .await;
    let port = server.address.port();
    let upstream = started(&config::Upstream { dns: Some(format!("http://localhost:{port}/mcp")), ..configured(&[]) });
    timeout(DEADLINE, upstream.looked()).await.unwrap();
    let pod = upstream.pod(&server.url()).unwrap_or_else(|| panic!("{:?}", ids(&upstream)));
    assert_eq!(super::echo(&pod, "").await, format!("localhost:{port}"));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_has_no_pods_and_keeps_nobody_waiting() {
    let dns = Some("http://nowhere.invalid/mcp".to_owned());
    let upstream = started(&config::Upstream { dns, ..configured(&[]) });
    timeout(DEADLINE, upstream.looked()).await.unwrap();
    assert!(upstream.pods().is_empty() && upstream.pick(&Tried::default()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_name_is_resolved_again_and_failures_change_nothing() {
    let upstream = started(&configured(&["http://10.9.9.9/mcp"]));
    let answers = Mutex::new(vec![
        addresses(&["10.0.0.2:80", "10.0.0.3:80"]),
        addresses(&[]),
        Err(io::Error::other("the resolver is away")),
        addresses(&["10.0.0.2:80", "10.0.0.1:80"]),
    ]);
    let lookups = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&lookups);
    let lookup = move |name: String, port| {
        assert_eq!((name.as_str(), port), ("pods.example", 80));
        let answer = answers.lock().unwrap().pop();
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            match answer {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
    };
    let target = Target::parse("http://pods.example/mcp").unwrap();
    let every = Duration::from_secs(10);
    let mut watching = tokio::task::JoinSet::new();
    watching.spawn(find::watch_name(Arc::clone(&upstream.pods), target, every, seeded(1), lookup));
    let found = |numbers: &[u8]| numbers.iter().map(|n| format!("http://10.0.0.{n}:80/mcp")).collect::<Vec<_>>();
    let mut kept = None;
    // Of these, the second and the third fail.
    for (count, expected) in [[1, 2], [1, 2], [1, 2], [2, 3]].iter().enumerate() {
        let begun = Instant::now();
        while lookups.load(Ordering::SeqCst) <= count {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(begun.elapsed() <= every * 3 / 2, "{:?}", begun.elapsed());
        assert_eq!(ids(&upstream), found(expected));
        kept.get_or_insert_with(|| Arc::clone(&upstream.pods()[1]));
    }
    let kept = kept.unwrap();
    assert!(Arc::ptr_eq(&kept, &upstream.pods()[0]));
}

#[tokio::test(start_paused = true)]
async fn a_file_of_pods_is_read_again_when_it_changes() {
    let file = Temporary::holding("pods", "# the first\n http://10.0.0.1/mcp \n\nhttp://10.0.0.2/mcp\n");
    let upstream = started(&config::Upstream { pods_file: Some(file.0.clone()), ..configured(&[]) });
    upstream.looked().await;
    let found = |numbers: &[u8]| numbers.iter().map(|n| format!("http://10.0.0.{n}:80/mcp")).collect::<Vec<_>>();
    assert_eq!(ids(&upstream), found(&[1, 2]));
    // What is no list of pods changes nothing.
    for wrong in ["http://10.0.0.1/mcp\nwhat is this\n", "# none\n"] {
        std::fs::write(&file.0, wrong).unwrap();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(ids(&upstream), found(&[1, 2]));
    }
    std::fs::write(&file.0, "http://10.0.0.2/mcp\nhttp://10.0.0.3/mcp\n").unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(ids(&upstream), found(&[2, 3]));
    std::fs::remove_file(&file.0).unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(ids(&upstream), found(&[2, 3]));
}

#[tokio::test]
async fn a_file_of_pods_that_is_wrong_at_first_is_refused() {
    let refused = |text: &str| {
        let file = Temporary::holding("wrong-pods", text);
        let config = config::Upstream { pods_file: Some(file.0.clone()), ..configured(&[]) };
        start(&config).map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused("http://a/mcp\n# b\nftp://c\n").contains("line 3"));
    assert!(refused("# nothing\n").contains("there is no pod in it"));
    assert!(refused(&"# long\n".repeat(200_000)).contains("longer than"));
}

#[tokio::test]
async fn a_pod_that_is_gone_finishes_what_it_has() {
    let server = Running::http1(echo).await;
    let upstream = started(&configured(&[&server.url()]));
    let picked = upstream.pick(&Tried::default()).unwrap();
    let response = send(&picked, "under way").await.unwrap();
    upstream.pods.set(vec![Target::parse("http://10.0.0.1/mcp").unwrap()]);
    assert_eq!(read(response).await.unwrap(), "under way");
    assert_eq!(read(send(&picked, "and more").await.unwrap()).await.unwrap(), "and more");
    drop(upstream);
    assert_eq!(read(send(&picked, "and more").await.unwrap()).await.unwrap(), "and more");
}
