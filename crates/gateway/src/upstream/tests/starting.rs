//! What an upstream can be begun with, and what it cannot.

use super::*;
use crate::config::ClientTls;

fn refused(config: &config::Upstream) -> String {
    start(config).map(|_| ()).unwrap_err().to_string()
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_refused_with_the_reason() {
    let secure = || configured(&["https://localhost/mcp"]);
    let with_header = |name: &str, value: &str| {
        let mut config = configured(&["http://a/mcp"]);
        config.headers.insert(name.to_owned(), value.to_owned());
        config
    };
    let missing = PathBuf::from("/nowhere/at/all.pem");
    for (config, why) in [
        (configured(&[]), "upstream \"a\": it has neither `pods`"),
        (configured(&["localhost:80"]), "does not begin with http://"),
        (config::Upstream { dns: Some("ftp://a".to_owned()), ..configured(&[]) }, "does not begin with http://"),
        (config::Upstream { pods_file: Some(missing.clone()), ..configured(&[]) }, "/nowhere/at/all.pem: No such file"),
        (with_header("a b", "c"), "header \"a b\""),
        (with_header("a", "b\nc"), "header \"a\""),
        (config::Upstream { authorities: Some(missing), ..secure() }, "/nowhere/at/all.pem: No such file"),
        (
            config::Upstream {
                authorities: Some(certificate("authority.pem")),
                identity: Some(ClientTls { certificate: certificate("client.pem"), key: certificate("authority.pem") }),
                ..secure()
            },
            "there is no private key in it",
        ),
    ] {
        let said = refused(&config);
        assert!(said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_program_has_no_pods() {
    let command = vec!["server".to_owned(), "--stdio".to_owned()];
    let upstream = started(&config::Upstream { command: command.clone(), ..configured(&[]) });
    upstream.looked().await;
    assert!(upstream.is_stdio() && upstream.pods().is_empty() && upstream.pick(&Tried::default()).is_none());
    assert_eq!((upstream.config().command.as_slice(), &**upstream.name()), (command.as_slice(), "a"));
}

#[tokio::test]
async fn headers_of_its_own_are_secret_and_the_host_is_not_among_them() {
    let mut config = configured(&["http://a/mcp"]);
    for (name, value) in [("Authorization", "Bearer x"), ("HOST", "b.example")] {
        config.headers.insert(name.to_owned(), value.to_owned());
    }
    let upstream = started(&config);
    let [(name, value)] = upstream.headers() else { panic!("{:?}", upstream.headers()) };
    assert_eq!((name.as_str(), value.to_str().unwrap(), value.is_sensitive()), ("authorization", "Bearer x", true));
}

#[tokio::test]
async fn a_health_check_that_is_off_leaves_the_era_to_others() {
    use anypod_proto::version::Era;

    use crate::config::EraChoice;

    let upstream = started(&configured(&["http://a/mcp"]));
    assert_eq!(upstream.era(), None);
    for era in [Era::Legacy, Era::Modern] {
        upstream.settle_era(era);
        assert_eq!(upstream.era(), Some(era));
    }
    let upstream = started(&config::Upstream { era: EraChoice::Legacy, ..configured(&["http://a/mcp"]) });
    upstream.settle_era_of(&upstream.pods()[0], Era::Modern);
    assert_eq!((upstream.era(), upstream.pods()[0].era()), (Some(Era::Legacy), Some(Era::Modern)));
}
