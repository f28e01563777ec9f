//! What is remembered of the eras of servers, for as long as the store keeps it.

use std::ffi::OsStr;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anypod_proto::seal::digest;
use anypod_proto::version::Era;
use http::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Servers that [`Eras`] remembers. Beyond, it forgets the one it learnt of first.
const SERVERS: usize = 1024;

/// What a server is remembered by: its origin, socket or program for people to read, and a digest of all of its
/// address, because paths and arguments may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerName(String);

impl ServerName {
    /// A server behind HTTP. The path counts, as gateways have servers of both eras at one origin; the query and
    /// credentials do not.
    pub fn url(url: &Uri) -> Self {
        let scheme = url.scheme_str().unwrap_or("http");
        let host = url.host().unwrap_or_default().to_ascii_lowercase();
        let port = url.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Self::new(&format!("{scheme}://{host}:{port}"), [url.path()].into_iter().map(str::as_bytes))
    }

    /// A server behind a socket of the file system, at this path of HTTP.
    pub fn socket(socket: &OsStr, path: &str) -> Self {
        Self::new(&format!("unix:{}", socket.display()), [socket.as_encoded_bytes(), path.as_bytes()])
    }

    /// A server that is a child process: the program with its arguments.
    pub fn command<'a>(program: &'a OsStr, arguments: impl IntoIterator<Item = &'a OsStr>) -> Self {
        let parts = std::iter::once(program).chain(arguments).map(OsStr::as_encoded_bytes);
        Self::new(&format!("command:{}", program.display()), parts)
    }

    fn new<'a>(shown: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let parts: Vec<&[u8]> = parts.into_iter().collect();
        let digest = digest(&parts).into_iter().take(8).fold(0_u64, |all, byte| all << 8 | u64::from(byte));
        Self(format!("{shown}#{digest:016x}"))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Remembers the eras of servers.
///
/// What it says is taken as true until a server contradicts it; then the server is tried anew, and the new verdict
/// put in its place. So a store may forget, and may be out of date.
pub trait EraStore: Send + Sync + 'static {
    /// The era of a server, if it is known.
    fn get(&self, server: &ServerName) -> Option<Era>;

    /// Remembers an era in the place of what was known.
    fn put(&self, server: &ServerName, era: Era);

    /// Forgets what has proved wrong.
    fn remove(&self, server: &ServerName);
}

/// Remembers eras in memory, those of the last 1,024 servers. It can be written out and read again with serde.
#[derive(Debug, Default)]
pub struct Eras(Mutex<Vec<Known>>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Known {
    server: ServerName,
    #[serde(with = "Word")]
    era: Era,
}

/// How an era is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", remote = "Era")]
enum Word {
    Modern,
    Legacy,
}

impl Eras {
    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EraStore for Eras {
    fn get(&self, server: &ServerName) -> Option<Era> {
        self.known().iter().find(|known| known.server == *server).map(|known| known.era)
    }

    fn put(&self, server: &ServerName, era: Era) {
        let mut known = self.known();
        known.retain(|known| known.server != *server);
        known.push(Known { server: server.clone(), era });
        forget_beyond(&mut known);
    }

    fn remove(&self, server: &ServerName) {
        self.known().retain(|known| known.server != *server);
    }
}

impl Serialize for Eras {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.known().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Eras {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut known = Vec::deserialize(deserializer)?;
        forget_beyond(&mut known);
        Ok(Self(Mutex::new(known)))
    }
}

fn forget_beyond(known: &mut Vec<Known>) {
    let first = known.len().saturating_sub(SERVERS);
    known.drain(..first);
}
