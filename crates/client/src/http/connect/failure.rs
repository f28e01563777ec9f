//! What became of a request that has no answer: whether it can have run, and why.

use std::error::Error as _;
use std::fmt;

use h2::Reason;
use hyper_util::client::legacy;
use rustls::AlertDescription;

use crate::error::{Broken, Error};

/// Sorts a failure by whether the request can have run.
pub(super) fn sort(error: legacy::Error, origin: &str, header_bytes: usize) -> Error {
    let hyper = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    if hyper.is_some_and(hyper::Error::is_parse_too_large) {
        return Broken::TooMuch { what: "bytes in a header section", limit: header_bytes }.into();
    }
    // Without a connection nothing was sent. And hyper calls canceled what it gives back as it was.
    let did_not_run = error.connect_info().is_none()
        || hyper.is_some_and(|error| error.is_canceled() || is_refused(error) || is_unwelcome(error));
    match did_not_run {
        true => Error::unreachable(origin, Chain(error)),
        false => Error::lost(Chain(error)),
    }
}

/// Whether an HTTP/2 server said that it did nothing with the request. Spec: RFC 9113, sections 6.8 and 8.7.
pub fn is_refused(error: &hyper::Error) -> bool {
    let h2 = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    h2.is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        // A server that goes away finishes what it has begun: this much reaches only streams that it will not look at.
        let gone = error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
        error.is_remote() && (refused || gone)
    })
}

/// Whether the server did not like the client's certificate, or wants one. For the client the handshake is over by
/// then, so that it may have sent a request; for the server it never was. Spec: RFC 8446, sections 2 and 6.2.
fn is_unwelcome(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    let tls = io.and_then(|error| error.get_ref()?.downcast_ref::<rustls::Error>());
    matches!(
        tls,
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
        ))
    )
}

/// An error and what caused it, in one line.
#[derive(Debug)]
struct Chain(legacy::Error);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The outermost says no more than in which of its states the library failed.
        let Some(mut cause) = self.0.source() else { return self.0.fmt(f) };
        let mut last = cause.to_string();
        f.write_str(&last)?;
        while let Some(next) = cause.source() {
            let text = next.to_string();
            // Some show their cause themselves.
            if !last.contains(&text) {
                write!(f, ": {text}")?;
            }
            (cause, last) = (next, text);
        }
        if speaks_no_tls(&self.0) { f.write_str(": it may be no TLS server, and its URL http://") } else { Ok(()) }
    }
}

/// Whether what answered the handshake was not even a message of TLS, as from a server of plain HTTP.
fn speaks_no_tls(error: &legacy::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref() {
            return matches!(error, rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType));
        }
        // An I/O error does not give what it holds as its source, and may hold another of its kind.
        let held = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = held.map(|held| held as &(dyn std::error::Error + 'static)).or_else(|| cause.source());
    }
    false
}

impl std::error::Error for Chain {}
