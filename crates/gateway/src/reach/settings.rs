//! How an upstream is reached: the settings of its connections, or the child process that it is.

use std::path::Path;

use anypod_client::{Client, ClientBuilder, Endpoint, HttpVersion, Limits, Proxy, Tls, stdio};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config;
use crate::start_error::StartError;
use crate::upstream::Target;

/// The client's settings for an upstream behind URLs. Compared, they tell whether it has to be called anew.
#[derive(PartialEq)]
pub(super) struct Settings {
    limits: Limits,
    version: HttpVersion,
    headers: HeaderMap,
    /// Whom to trust besides the platform's authorities, as PEM.
    authorities: Option<Vec<u8>>,
    /// As whom to appear: chain and key, as PEM.
    identity: Option<Vec<u8>>,
    /// What the gateway shows for itself. Not for clients: each call says whose it is.
    authorization: Option<HeaderValue>,
}

impl Settings {
    /// # Errors
    /// If a header cannot be sent, or a certificate not be read.
    pub(super) fn new(config: &config::Upstream, limits: Limits) -> Result<Self, StartError> {
        let version = if config.http2 { HttpVersion::Http2 } else { HttpVersion::Negotiated };
        let read = |file: &Path| {
            std::fs::read(file)
                .map_err(|error| StartError::upstream(&config.name, format!("{}: {error}", file.display())))
        };
        let identity = match &config.identity {
            Some(identity) => Some([read(&identity.certificate)?, b"\n".to_vec(), read(&identity.key)?].concat()),
            None => None,
        };
        let authorities = config.authorities.as_deref().map(read).transpose()?;
        let authorization = config.authorization().map_err(|what| StartError::upstream(&config.name, what))?;
        Ok(Self { limits, version, headers: headers(config)?, authorities, identity, authorization })
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) const fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    fn tls(&self) -> Tls {
        let mut tls = Tls::default();
        if let Some(authorities) = &self.authorities {
            tls = tls.trust(authorities);
        }
        if let Some(identity) = &self.identity {
            tls = tls.identity(identity.clone());
        }
        tls
    }

    /// A client of one pod, called as the pod wants it. What stands between an upstream and the gateway is the operator's choice, so
    /// the environment's proxy is not asked.
    pub(super) fn builder(&self, pod: &Target) -> ClientBuilder {
        let mut headers = self.headers.clone();
        headers.insert(HOST, pod.host().clone());
        let builder = Client::builder()
            .limits(self.limits.clone())
            .proxy(Proxy::None)
            .http_version(self.version)
            .tls(self.tls())
            .headers(headers);
        match pod.address() {
            Some(address) => builder.address(address),
            None => builder,
        }
    }
}

/// The headers that every request carries.
fn headers(config: &config::Upstream) -> Result<HeaderMap, StartError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let invalid = |what| StartError::upstream(&config.name, format!("header {name:?} has no valid {what}"));
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| invalid("value"))?;
        headers.append(HeaderName::try_from(name.as_str()).map_err(|_| invalid("name"))?, value);
    }
    Ok(headers)
}

/// The child process of an upstream, which is started by the first call.
pub(super) fn child(config: &config::Upstream, limits: Limits) -> Endpoint {
    let mut words = config.command.iter();
    let mut command = stdio::Command::new(words.next().map_or("", String::as_str)).args(words);
    for (name, value) in &config.environment {
        command = command.env(name, value);
    }
    Client::builder().limits(limits).stdio_endpoint(command)
}
