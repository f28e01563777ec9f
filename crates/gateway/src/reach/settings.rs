//! How an upstream is reached: the settings of its connections, or the child process that it is.

use std::path::Path;

use anypod_client::{Client, ClientBuilder, Endpoint, HttpVersion, Limits, Proxy, Tls, stdio};
use http::HeaderMap;
use http::header::HOST;

use crate::config;
use crate::start_error::StartError;
use crate::upstream::Target;

/// The client's settings for an upstream behind URLs.
pub(super) struct Settings {
    limits: Limits,
    version: HttpVersion,
    tls: Tls,
    headers: HeaderMap,
}

impl Settings {
    /// # Errors
    /// If a certificate cannot be read.
    pub(super) fn new(config: &config::Upstream, limits: Limits, headers: HeaderMap) -> Result<Self, StartError> {
        let version = if config.http2 { HttpVersion::Http2 } else { HttpVersion::Negotiated };
        let mut tls = Tls::default();
        let read = |file: &Path| {
            std::fs::read(file)
                .map_err(|error| StartError::upstream(&config.name, format!("{}: {error}", file.display())))
        };
        if let Some(file) = &config.authorities {
            tls = tls.trust(&read(file)?);
        }
        if let Some(identity) = &config.identity {
            let mut pem = read(&identity.certificate)?;
            pem.push(b'\n');
            pem.extend(read(&identity.key)?);
            tls = tls.identity(pem);
        }
        Ok(Self { limits, version, tls, headers })
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
            .tls(self.tls.clone())
            .headers(headers);
        match pod.address() {
            Some(address) => builder.address(address),
            None => builder,
        }
    }
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
