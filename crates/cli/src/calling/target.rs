//! Which server is called, and how: the options that all calling subcommands share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anypod_client::proto::implementation::Implementation;
use anypod_client::proto::logging::LoggingLevel;
use anypod_client::proto::version::Era;
use anypod_client::stdio::{Command, Stderr};
use anypod_client::{Bearer, CacheUse, Client, ClientBuilder, Limits, Proxy, Request, Tls};
use clap::ValueEnum;
use http::{HeaderName, HeaderValue, Uri, header};

use super::questions::QuestionArgs;
use super::read_at_most;
use super::trace::Trace;
use crate::output::bar::Progress;
use crate::output::{self, PlainProgress, clean};
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

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EraChoice {
    /// The revisions that need no handshake.
    Modern,
    /// The revisions that begin with one.
    Legacy,
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
    /// Which era the server speaks. Found out unless given.
    #[arg(long, value_enum, help_heading = "Connection")]
    era: Option<EraChoice>,
    /// How long the server may take, such as 10s or 500ms. Questions to you do not count.
    #[arg(long, value_name = "TIME", value_parser = timeout, help_heading = "Connection")]
    timeout: Option<Duration>,
    /// Send this header with every request; may be given several times.
    ///
    /// Others on this machine can see the command line: for a token, use --bearer-file or ANYPOD_TOKEN.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", help_heading = "Connection")]
    headers: Vec<String>,
    /// Send the bearer token in this file. Without it, the one in ANYPOD_TOKEN, if there is one.
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    bearer_file: Option<PathBuf>,
    /// Connect by this Unix socket; the URL then says only the path. `unix:SOCKET:/PATH` as the URL does the same.
    #[arg(long, value_name = "SOCKET", help_heading = "Connection")]
    unix: Option<PathBuf>,
    /// Go through this proxy: http://, https:// or socks5://, or `none`. By default what the environment says.
    #[arg(long, value_name = "URL", help_heading = "Connection")]
    proxy: Option<String>,
    /// Trust the certificate authorities in this PEM file as well.
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    cacert: Option<PathBuf>,
    /// Ask the server anew, whatever is kept of its answers.
    #[arg(long, help_heading = "Connection")]
    no_cache: bool,
    #[command(flatten)]
    questions: QuestionArgs,
    /// The client once there is one, for who ends what it has left open.
    #[arg(skip)]
    opened: Arc<OnceLock<Client>>,
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
        let first = words.first().filter(|word| word.contains("://") || word.starts_with("unix:"));
        let (client, rest) = match (self.command.as_slice(), first) {
            ([], Some(url)) => (self.connect(url)?, &words[1..]),
            ([], None) => return Err(nowhere(words.first()).into()),
            ([..], Some(url)) if ["http:", "https:", "unix:"].iter().any(|scheme| url.starts_with(scheme)) => {
                return Err(Usage::new(format!("{url} and a command after -- are two servers: give one")).into());
            }
            ([..], Some(_) | None) => (self.spawn()?, words),
        };
        let client = self.opened.get_or_init(|| client).clone();
        let progress = if self.progress { PlainProgress::Lines } else { PlainProgress::None };
        let cache = if self.no_cache { CacheUse::Bypass } else { CacheUse::Use };
        let target = Target { client, format: self.output, timeout: self.timeout, log: self.log, progress, cache };
        Ok((target, rest.to_vec()))
    }

    /// Where the client is once there is one.
    pub(crate) fn opened(&self) -> Arc<OnceLock<Client>> {
        Arc::clone(&self.opened)
    }

    fn builder(&self) -> Result<ClientBuilder, Usage> {
        let mut builder = Client::builder().info(Implementation::new("anypod", env!("CARGO_PKG_VERSION")));
        if self.trace {
            builder = builder.observe(Trace);
        }
        if let Some(timeout) = self.timeout {
            // Lists, subscriptions and looks at tasks take their deadline from here.
            let mut limits = Limits::default();
            limits.request_deadline = timeout;
            builder = builder.limits(limits);
        }
        builder = match self.era {
            Some(EraChoice::Modern) => builder.era(Era::Modern),
            Some(EraChoice::Legacy) => builder.era(Era::Legacy),
            None => builder,
        };
        self.questions.register(builder)
    }

    fn connect(&self, url: &str) -> anyhow::Result<Client> {
        let url = self.over_socket(url)?;
        let mut builder = self.network(self.builder()?)?;
        for text in &self.headers {
            let (name, value) = read_header(text)?;
            if name == header::AUTHORIZATION || name == header::COOKIE {
                output::warning(&format!("others on this machine can see --header '{name}: …' while this runs"));
            }
            builder = builder.header(name, value);
        }
        if let Some(token) = self.token()? {
            if is_in_the_open(&url) {
                output::warning("the token goes over the network unencrypted: the URL begins with http://");
            }
            let bearer =
                Bearer::new(&token).map_err(|_| Usage::new("the token has characters that no header may have"));
            builder = builder.credentials(bearer?);
        }
        Ok(builder.connect(&url)?)
    }

    /// The URL with the socket of `--unix` in it.
    fn over_socket(&self, url: &str) -> Result<String, Usage> {
        let Some(socket) = &self.unix else { return Ok(url.to_owned()) };
        let wrong = |what: &str| Usage::new(format!("--unix {}: {what}", socket.display()));
        let socket = socket.to_str().ok_or_else(|| wrong("the path is no text"))?;
        let uri: Uri = url.parse().map_err(|_| wrong(&format!("{url} is no URL")))?;
        Ok(format!("unix:{socket}:{}", uri.path_and_query().map_or("/", |path| path.as_str())))
    }

    fn network(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Usage> {
        match self.proxy.as_deref() {
            None => {}
            Some("none") => builder = builder.proxy(Proxy::None),
            Some(url) => builder = builder.proxy(Proxy::Url(url.to_owned())),
        }
        if let Some(path) = &self.cacert {
            let pem =
                std::fs::read(path).map_err(|error| Usage::new(format!("--cacert {}: {error}", path.display())))?;
            builder = builder.tls(Tls::default().trust(&pem));
        }
        Ok(builder)
    }

    /// The server behind `--`. What it writes to its standard error is shown with its name before it.
    fn spawn(&self) -> Result<Client, Usage> {
        let over_http = [
            (!self.headers.is_empty(), "--header"),
            (self.bearer_file.is_some(), "--bearer-file"),
            (self.unix.is_some(), "--unix"),
            (self.proxy.is_some(), "--proxy"),
            (self.cacert.is_some(), "--cacert"),
        ];
        if let Some((_, option)) = over_http.into_iter().find(|(given, _)| *given) {
            return Err(Usage::new(format!("{option} is for servers with a URL, and a command is called here")));
        }
        let (program, arguments) = self.command.split_first().expect("a command is called");
        let name = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
        let lines = Stderr::Lines(Arc::new(move |line| output::note(&name, &clean::without_colours(line))));
        let command = Command::new(program).args(arguments).stderr(lines);
        Ok(self.builder()?.stdio(command))
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

/// Whether others on the network can read what goes to this URL.
fn is_in_the_open(url: &str) -> bool {
    let uri = url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
    uri.is_some_and(|uri| !uri.host().is_some_and(is_loopback))
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
    let name = path.display();
    let text = std::fs::File::open(path).and_then(|file| read_at_most(file, TOKEN_LIMIT));
    let text = text.map_err(|error| Usage::new(format!("cannot read a token from {name}: {error}")))?;
    let token = text.trim().to_owned();
    if token.is_empty() { Err(Usage::new(format!("{name} is empty: it should hold a token"))) } else { Ok(token) }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("no server answers in no time".to_owned()),
        time => Ok(time),
    }
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
        for wrong in ["sesame", "a b: sesame", "x: sesame\u{7}", ": sesame"] {
            assert!(!read_header(wrong).unwrap_err().to_string().contains("sesame"), "{wrong:?}");
        }
    }

    #[test]
    fn what_stays_on_this_machine_or_is_encrypted_is_not_in_the_open() {
        assert!(is_in_the_open("http://pods.example/mcp"));
        for url in ["https://pods.example/mcp", "http://127.0.0.1:8080/mcp", "unix:/run/mcp.sock"] {
            assert!(!is_in_the_open(url), "{url}");
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
