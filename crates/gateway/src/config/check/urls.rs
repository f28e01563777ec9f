//! URLs of pods, by the rules of the client that is to call them.

use std::sync::{Arc, LazyLock};

use anypod_client::{Client, Error, Proxy, Tls};
use rustls::{ClientConfig, RootCertStore};

/// Trusts nobody, because nobody is called; the authorities of the platform would have to be read otherwise.
static TRUSTS_NOBODY: LazyLock<Tls> = LazyLock::new(|| {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the cipher suites of the default versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Tls::default().config(Arc::new(config))
});

/// # Errors
///
/// Why no pod can be called at this URL.
pub(super) fn check(url: &str) -> Result<(), String> {
    let client = Client::builder().proxy(Proxy::None).tls(TRUSTS_NOBODY.clone()).connect(url);
    match client {
        Ok(_) => Ok(()),
        Err(Error::Misuse(what)) => {
            Err(format!("{what}; a pod is http://HOST:PORT/PATH, https://… or unix:SOCKET:/PATH"))
        }
        Err(error) => Err(error.to_string()),
    }
}
