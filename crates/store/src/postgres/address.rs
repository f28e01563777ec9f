//! The address of a database.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::error::OpenError;
use crate::open::without_password;

/// How long a statement may take unless the address says otherwise.
const DEADLINE: Duration = Duration::from_secs(5);

/// Connections besides the one that listens, unless the address says otherwise.
const CONNECTIONS: usize = 4;

/// What an address says.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) schema: String,
    /// Which store it is, for people, without a password.
    pub(super) place: String,
    pub(super) connections: usize,
    pub(super) deadline: Duration,
    /// The authorities to trust instead of the system's.
    pub(super) roots: Option<PathBuf>,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// If it is none. What is said of it holds no password.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let refuse = |problem: String| OpenError::Address { url: without_password(url), problem };
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut own = Own::default();
        let mut others = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !own.take(name, value).map_err(refuse)? {
                others.push(pair);
            }
        }
        let rest = if others.is_empty() { base.to_owned() } else { format!("{base}?{}", others.join("&")) };
        let mut config: Config = rest.parse().map_err(|error| refuse(unreadable(&error, query)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refuse("it names no host".to_owned()));
        }
        config.ssl_mode(own.ssl_mode(&config).map_err(refuse)?);
        let is_said = |name: &str| others.iter().any(|pair| pair.split('=').next() == Some(name));
        settle(&mut config, is_said);
        let schema = own.schema.unwrap_or_else(|| "anypod".to_owned());
        let place = place(&config, &schema);
        let connections = own.connections.unwrap_or(CONNECTIONS);
        let deadline = own.deadline.unwrap_or(DEADLINE);
        Ok(Self { config, schema, place, connections, deadline, roots: own.roots })
    }
}

/// Fills in what the address leaves open, and the defaults of tokio-postgres leave to chance.
fn settle(config: &mut Config, is_said: impl Fn(&str) -> bool) {
    if !is_said("application_name") {
        config.application_name("anypod");
    }
    // A host that does not answer must not take the time of the next.
    if !is_said("connect_timeout") {
        config.connect_timeout(Duration::from_secs(2));
    }
    // What goes away without a word is noticed before somebody needs it.
    if !is_said("keepalives_idle") {
        config.keepalives_idle(Duration::from_secs(30));
    }
    if !is_said("keepalives_interval") && !is_said("keepalives_retries") {
        config.keepalives_interval(Duration::from_secs(10)).keepalives_retries(3);
    }
    // Of several hosts, the one that takes writes.
    if !is_said("target_session_attrs") && config.get_hosts().len().max(config.get_hostaddrs().len()) > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
}

/// Why an address cannot be read. The words of tokio-postgres name parameters and no values; but what looks like a parameter
/// may be a part of a password that has `&` or `?` in it.
fn unreadable(error: &tokio_postgres::Error, query: &str) -> String {
    let cause = std::error::Error::source(error).filter(|_| !query.contains('@') && !query.contains("password"));
    let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!(
        "it cannot be read{cause}: check host, port and parameters, and write characters of a password that mean something \
         in a URL as %XX"
    )
}

/// The parameters that tokio-postgres does not know, or does not take as they are meant here.
#[derive(Default)]
struct Own {
    schema: Option<String>,
    connections: Option<usize>,
    deadline: Option<Duration>,
    roots: Option<PathBuf>,
    mode: Option<String>,
}

impl Own {
    /// Takes a parameter, if it is one of these.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "schema" => self.schema = Some(identifier(value)?),
            "connections" => {
                let count = value.parse().ok().filter(|count| (2..=64).contains(count));
                self.connections = Some(count.ok_or("`connections` is a number from 2 to 64")?);
            }
            "deadline" => {
                let count = value.parse().ok().filter(|count| (100..=600_000).contains(count));
                let refused = "`deadline` is a number of milliseconds from 100 to 600000";
                self.deadline = Some(Duration::from_millis(count.ok_or(refused)?));
            }
            "sslrootcert" if value == "system" => self.roots = None,
            "sslrootcert" => self.roots = Some(unescaped(value).ok_or("`sslrootcert` is no path")?.into()),
            "sslmode" => self.mode = Some(value.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn ssl_mode(&self, config: &Config) -> Result<SslMode, String> {
        match self.mode.as_deref() {
            Some("disable") => Ok(SslMode::Disable),
            Some("require" | "verify-ca" | "verify-full") => Ok(SslMode::Require),
            None | Some("allow" | "prefer") if is_local(config) => Ok(SslMode::Disable),
            // What is sent to another machine is encrypted, or somebody has said that it need not be.
            None => Ok(SslMode::Require),
            Some("allow" | "prefer") => {
                Err("`sslmode` would let the connection be unencrypted without saying so: write `sslmode=require`, or \
                     `sslmode=disable` if the network can be trusted"
                    .to_owned())
            }
            Some(_) => Err("`sslmode` is `require` or `disable`; certificates are always verified".to_owned()),
        }
    }
}

/// Whether nothing leaves the machine.
fn is_local(config: &Config) -> bool {
    let hosts_are = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    });
    match config.get_hostaddrs() {
        [] => hosts_are,
        addresses => addresses.iter().all(IpAddr::is_loopback),
    }
}

/// The name of a schema, which goes into statements: what is one without quotes.
fn identifier(name: &str) -> Result<String, String> {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let goes_on = name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_');
    match begins && goes_on && name.len() <= 63 && !name.starts_with("pg_") {
        true => Ok(name.to_owned()),
        false => Err("`schema` is up to 63 of a-z, 0-9 and _, begins with no digit and not with pg_".to_owned()),
    }
}

/// A value of a parameter as it is meant.
fn unescaped(value: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        match (first, more) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                rest = after;
            }
            (b'%', _) => return None,
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

/// Which store it is: all that tells it from others, and nothing else.
fn place(config: &Config, schema: &str) -> String {
    let mut ports = config.get_ports().iter().copied().cycle();
    let mut host = |name: String| format!("{name}:{}", ports.next().unwrap_or(5432));
    let mut hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|one| match one {
            Host::Tcp(name) => host(name.clone()),
            Host::Unix(path) => host(path.display().to_string()),
        })
        .collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(|address| host(address.to_string())).collect();
    }
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    let database = config.get_dbname().unwrap_or_default();
    format!("postgres://{user}{}/{database}?schema={schema}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> String {
        Address::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn an_address_says_where_and_how() {
        let url = "postgres://me:secret@localhost:5433/fleet?schema=pods&connections=8&deadline=250&connect_timeout=3";
        let address = Address::parse(url).unwrap();
        assert_eq!(address.place, "postgres://me@localhost:5433/fleet?schema=pods");
        assert_eq!((address.connections, address.deadline), (8, Duration::from_millis(250)));
        assert_eq!(address.config.get_password(), Some(&b"secret"[..]));
        assert_eq!(address.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(address.config.get_target_session_attrs(), TargetSessionAttrs::Any);
        let address = Address::parse("postgresql://me@a,b/x?sslmode=disable&application_name=pod").unwrap();
        assert_eq!(address.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(address.config.get_application_name(), Some("pod"));
        let address = Address::parse("postgresql://me@[::1]").unwrap();
        assert_eq!((address.schema.as_str(), address.connections), ("anypod", CONNECTIONS));
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_somebody_says_otherwise() {
        for (url, mode) in [
            ("postgres://localhost/x", SslMode::Disable),
            ("postgres://127.0.0.1,[::1]/x?sslmode=prefer", SslMode::Disable),
            ("postgres://%2Frun%2Fpostgresql/x", SslMode::Disable),
            ("postgres:///x?host=/run/postgresql", SslMode::Disable),
            ("postgres://localhost/x?sslmode=require", SslMode::Require),
            ("postgres://localhost,db/x", SslMode::Require),
            ("postgres://localhost/x?hostaddr=10.0.0.1", SslMode::Require),
            ("postgres://db/x", SslMode::Require),
            ("postgres://db/x?sslmode=verify-full", SslMode::Require),
            ("postgres://db/x?sslmode=disable", SslMode::Disable),
        ] {
            assert_eq!(Address::parse(url).unwrap().config.get_ssl_mode(), mode, "{url}");
        }
        assert!(problem("postgres://db/x?sslmode=prefer").contains("write `sslmode=require`"));
        assert!(problem("postgres://db/x?sslmode=no").contains("`require` or `disable`"));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        assert!(problem("postgres:///x").contains("names no host"));
        assert!(problem("postgres://db/x?colour=red").contains("unknown option `colour`"));
        assert!(problem("postgres://db:port/x").contains("cannot be read"));
        assert!(problem("postgres://db/x?connections=1").contains("from 2 to 64"));
        assert!(problem("postgres://db/x?deadline=1").contains("milliseconds"));
        assert!(problem("postgres://db/x?sslrootcert=%zz").contains("no path"));
        for schema in ["", "a b", "Pods", "1a", "pg_x", "a\"b", &"a".repeat(64)] {
            assert!(problem(&format!("postgres://db/x?schema={schema}")).contains("`schema`"), "{schema}");
        }
        let address = Address::parse("postgres://db/x?sslrootcert=/etc/my%20ca.pem").unwrap();
        assert_eq!(address.roots, Some("/etc/my ca.pem".into()));
    }

    #[test]
    fn no_password_is_ever_shown() {
        for url in [
            "postgres://me:s3cret@db/x?schema=A",
            "postgres://me:s3cret@db:port/x",
            "postgres://me:a/s3cret@db/x",
            "postgres://me:a@s3cret@db:port/x",
            "postgres://me:a?s3cret@db:port/x",
            "postgres://db/x?password=s3cret&schema=A",
            "postgres://db/x?password=a@s3cret&schema=A",
            "postgres://db/x?password=a&s3cret=1",
            "postgres://me:s3cret@/x",
            "postgres://me:s3cret@db/x?password=s3cret",
        ] {
            let shown = match Address::parse(url) {
                Ok(address) => format!("{} {address:?}", address.place),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
