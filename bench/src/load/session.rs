//! How a legacy client begins: `initialize`, then `notifications/initialized`, one after the other.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use anyhow::{Context, Result, ensure};

use super::{SILENCE, Target, check};
use crate::http::Message;

/// Opens a session on `stream`, which blocks, and returns its id.
///
/// # Errors
/// When the server refuses, answers wrongly or falls silent.
pub(super) fn open(stream: &mut TcpStream, target: &Target) -> Result<String> {
    stream.set_read_timeout(Some(SILENCE))?;
    let request = target.initialize();
    let session = exchange(stream, request.bytes(), "200", |response| {
        check::initialized(&response.body, request.id())?;
        Ok(check::session(response)?.into_owned())
    })
    .context("initialize")?;
    exchange(stream, &target.initialized(&session), "202", |_| Ok(())).context("notifications/initialized")?;
    Ok(session)
}

fn exchange<T>(
    stream: &mut TcpStream,
    request: &[u8],
    status: &str,
    take: impl FnOnce(&Message<'_>) -> Result<T>,
) -> Result<T> {
    stream.write_all(request)?;
    let mut input = Vec::new();
    loop {
        let mut buffer = [0; 4_096];
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "the server closed the connection without an answer");
        input.extend_from_slice(&buffer[..count]);
        if let Some(response) = check::response(&input, status)? {
            ensure!(response.taken == input.len(), "more than one answer to one request");
            return take(&response);
        }
    }
}
