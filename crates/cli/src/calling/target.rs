//! Which server is called, and how: the options that all calling subcommands share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anypod_client::proto::implementation::Implementation;
use anypod_client::proto::logging::LoggingLevel;
use anypod_client::{Bearer, CacheUse, Client, ClientBuilder, Request};
use anyhow::Context as _;
use clap::ValueEnum;
use http::{HeaderName, HeaderValue, Uri, header};

use super::questions::QuestionArgs;
use super::trace::Trace;
use crate::output::bar::Progress;
use crate::output::{self, PlainProgress};
use crate::real;
use crate::usage::{Usage, duration};

/// The most that a file with a token may hold, in bytes.
const TOKEN_LIMIT: u64 = 64 * 1024;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// The result as the server sent it, as JSON in one line; several lines where there are several.
    Json,
}

/// The options that all calling subcommands share.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArgs {
    /// The command of a server that speaks over its standard input and output, in place of a URL.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Print for people, or as JSON for programs.
    #[arg(long, value_enum, default_value_t = Format::Human, help_heading = "Output")]
    output: Format,
    /// Show every message on standard error, with secrets masked.
    #[arg(long, help_heading = "Output")]
    trace: bool,
    /// Print progress as lines where there is no terminal for a bar.
    #[arg(long, help_heading = "Output")]
    progress: bool,
    /// Ask the server for its log messages from this level up, such as `info`; they go to standard error.
    #[arg(long, value_name = "LEVEL", value_parser = level, help_heading = "Output")]
    log: Option<LoggingLevel>,
    /// How long the server may take, such as 10s or 500ms. Questions to you do not count.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Connection")]
    timeout: Option<Duration>,
    /// Send this header with every request; may be given several times.
    ///
    /// Others on this machine can see the command line: for a token, use --bearer-file or ANYPOD_TOKEN.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", help_heading = "Connection")]
    headers: Vec<String>,
    /// Send the bearer token in this file. Without it, the one in ANYPOD_TOKEN, if there is one.
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    bearer_file: Option<PathBuf>,
    /// Ask the server anew, whatever is kept of its answers.
    #[arg(long, help_heading = "Connection")]
    no_cache: bool,
    #[command(flatten)]
    questions: QuestionArgs,
}

/// A server, ready to be called.
pub(crate) struct Target {
    /// Who calls it.
    pub(crate) client: Client,
    /// How results are printed.
    pub(crate) format: Format,
    timeout: Option<Duration>,
    log: Option<LoggingLevel>,
    progress: PlainProgress,
    cache: CacheUse,
}

impl TargetArgs {
    /// The server that the words begin with, or whose command stands behind `--`, and the words that are left.
    ///
    /// # Errors
    /// A [`Usage`] if no server is named, or two are, or an option is wrong.
    pub(crate) fn open(&self, words: &[String]) -> anyhow::Result<(Target, Vec<String>)> {
        let first = words.first().filter(|word| word.contains("://"));
        let (client, rest) = match (self.command.as_slice(), first) {
            ([], Some(url)) => (self.connect(url)?, &words[1..]),
            ([], None) => return Err(nowhere(words.first()).into()),
            ([..], Some(url)) if url.starts_with("http") => {
                return Err(Usage::new(format!("{url} and a command after -- are two servers: give one")).into());
            }
            ([..], Some(_) | None) => (self.spawn()?, words),
        };
        let progress = if self.progress { PlainProgress::Lines } else { PlainProgress::None };
        let cache = if self.no_cache { CacheUse::Bypass } else { CacheUse::Use };
        let target = Target { client, format: self.output, timeout: self.timeout, log: self.log, progress, cache };
        Ok((target, rest.to_vec()))
    }

    fn builder(&self) -> Result<ClientBuilder, Usage> {
        let mut builder = Client::builder().info(Implementation::new("anypod", env!("CARGO_PKG_VERSION")));
        if self.trace {
            builder = builder.observe(Trace);
        }
        self.questions.register(builder)
    }

    fn connect(&self, url: &str) -> anyhow::Result<Client> {
        let uri = check_url(url)?;
        let mut builder = self.builder()?;
        for text in &self.headers {
            let (name, value) = read_header(text)?;
            if name == header::AUTHORIZATION || name == header::COOKIE {
                output::warning(&format!("others on this machine can see --header '{name}: …' while this runs"));
            }
            builder = builder.header(name, value);
        }
        if let Some(token) = self.token()? {
            if uri.scheme_str() == Some("http") && !is_loopback(uri.host().unwrap_or_default()) {
                output::warning("the token goes over the network unencrypted: the URL begins with http://");
            }
            let bearer = Bearer::new(&token).map_err(|_| Usage::new("the token has characters that no header may have"));
            builder = builder.credentials(bearer?);
        }
        Ok(builder.connect(url)?)
    }

    fn spawn(&self) -> anyhow::Result<Client> {
        Err(Usage::new("servers over standard input and output cannot be called yet").into())
    }

    fn token(&self) -> Result<Option<String>, Usage> {
        let Some(path) = &self.bearer_file else { return Ok(real::token()) };
        read_token(path).map(Some)
    }
}

impl Target {
    /// A request with the options of the command line.
    pub(crate) fn with_options<T>(&self, mut request: Request<T>) -> Request<T> {
        if let Some(timeout) = self.timeout {
            request = request.timeout(timeout);
        }
        if let Some(level) = self.log {
            request = request.on_log(level, |message| {
                let logger = message.logger.map(|logger| format!(" {logger}")).unwrap_or_default();
                let text = message.data.as_str().map_or_else(|| message.data.to_string(), str::to_owned);
                output::note(&format!("{}{logger}", message.level), &text);
            });
        }
        let plain = self.progress;
        request.cache(self.cache).on_progress(move |params| {
            let progress = Progress { done: params.progress, total: params.total, message: params.message };
            output::progress(&progress, plain);
        })
    }

    /// How the cache is used.
    pub(crate) const fn cache(&self) -> CacheUse {
        self.cache
    }
}

fn nowhere(first: Option<&String>) -> Usage {
    let what = first.map_or_else(|| "no server is named".to_owned(), |word| format!("`{word}` is no URL of a server"));
    Usage::new(format!("{what}: write https://… first, or the command of one last, after --"))
}

fn check_url(url: &str) -> Result<Uri, Usage> {
    let wrong = |why: &str| Usage::new(format!("{url}: {why}"));
    let uri: Uri = url.parse().map_err(|error| Usage::new(format!("{url} is no URL: {error}")))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("a server is at a URL with http:// or https://"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Usage::new("credentials in the URL are not sent: use --bearer-file or ANYPOD_TOKEN"));
    }
    Ok(uri)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn read_header(text: &str) -> Result<(HeaderName, HeaderValue), Usage> {
    // The value may be a secret: no message repeats it.
    let (name, value) = text.split_once(':').ok_or_else(|| Usage::new("--header wants 'NAME: VALUE'"))?;
    let wrong = |what: &str| Usage::new(format!("--header '{}: …': {what}", name.trim()));
    let parsed: HeaderName = name.trim().parse().map_err(|_| wrong("that is no name of a header"))?;
    let mut value: HeaderValue = value.trim().parse().map_err(|_| wrong("that is no value of a header"))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

fn read_token(path: &Path) -> Result<String, Usage> {
    use std::io::Read as _;
    let name = path.display();
    let read = || -> anyhow::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(TOKEN_LIMIT).read_to_string(&mut text).context("not a text")?;
        Ok(text.trim().to_owned())
    };
    let token = read().map_err(|error| Usage::new(format!("cannot read a token from {name}: {error:#}")))?;
    if token.is_empty() { Err(Usage::new(format!("{name} is empty: it should hold a token"))) } else { Ok(token) }
}

fn level(text: &str) -> Result<LoggingLevel, String> {
    LoggingLevel::parse(text).ok_or_else(|| {
        let names: Vec<&str> = LoggingLevel::ALL.into_iter().map(LoggingLevel::as_str).collect();
        format!("write one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_and_its_value_never_repeated() {
        let (name, value) = read_header("X-Colour:  deep blue ").unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-colour", &b"deep blue"[..]));
        assert!(value.is_sensitive());
        for wrong in ["sesame", "a b: sesame", "x: sesame\n", ": sesame"] {
            assert!(!read_header(wrong).unwrap_err().to_string().contains("sesame"), "{wrong:?}");
        }
    }

    #[test]
    fn urls_of_servers_are_told_from_others() {
        for good in ["http://localhost:8080/mcp", "https://pods.example/mcp?x=1"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in ["ftp://a/b", "file:///etc/passwd", "http://", "https://user:sesame@pods.example/"] {
            let said = check_url(bad).unwrap_err().to_string();
            assert!(!said.contains("sesame"), "{said}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_by_number() {
        for host in ["localhost", "pods.localhost", "127.0.0.1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["pods.example", "10.0.0.1", "localhost.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
