//! The pods of one upstream: which of them gets a request, how they are found and watched, and the connections on
//! which requests are relayed to them as bytes.

mod answer;
mod bell;
mod body;
mod cell;
mod chance;
mod condition;
mod dial;
mod find;
pub(crate) mod headers;
mod http1;
mod http2;
mod outbound;
mod pod;
mod pods;
mod probe;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anypod_proto::version::Era;
use anypod_server::Outside;
use http::{HeaderName, HeaderValue, header};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::config::{self, EraChoice};
use dial::{Dialer, Protocol};
use find::{FileError, PodsFile, called};
use pod::Terms;
use pods::Pods;
use probe::Prober;
use target::NoTarget;
use tls::{Files, TlsError};

pub(crate) use answer::Answer;
pub(crate) use body::{BodyError, Outgoing};
pub(crate) use outbound::Outbound;
pub(crate) use pod::{Picked, Pod, SendError, Tried};
pub(crate) use target::Target;

/// How often connections are looked through for those that nobody needs.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How often certificates are read again.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);

/// One server, run by any number of pods. Dropped, it is no longer watched; requests under way go on.
#[derive(Debug)]
pub(crate) struct Upstream {
    name: Arc<str>,
    config: config::Upstream,
    /// The headers that every request carries, without `Host`.
    headers: Box<[(HeaderName, HeaderValue)]>,
    /// What the gateway shows for itself.
    authorization: Arc<RwLock<Option<HeaderValue>>>,
    pods: Arc<Pods>,
    watchers: JoinSet<()>,
}

/// Why an upstream cannot be begun as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("upstream {name:?}: {fault}")]
pub(crate) struct StartError {
    name: String,
    fault: Fault,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it has neither `pods`, `dns`, `pods-file` nor `command`")]
    NoPods,
    #[error(transparent)]
    Target(#[from] NoTarget),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("header {0:?} has a name or a value that cannot be sent")]
    Header(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Authorization(String),
}

/// Pods that an upstream is to have.
pub(crate) struct Found {
    targets: Vec<Target>,
    /// What they take besides, where they are the first that speak TLS.
    tls: Option<rustls::ClientConfig>,
}

/// Where the pods of an upstream come from.
enum Source {
    Fixed(Vec<Target>),
    Name(Target),
    File(PodsFile, Vec<Target>),
    /// A program, which has no connections to relay requests on.
    Command,
}

impl Upstream {
    /// Begins to look for the pods and to watch them. Must be called within a runtime.
    ///
    /// # Errors
    /// If the configuration names what is no pod, or files that cannot be read.
    pub(crate) fn start(config: &config::Upstream, outside: &Outside) -> Result<Arc<Self>, StartError> {
        Self::begin(config, outside).map_err(|fault| StartError { name: config.name.clone(), fault })
    }

    fn begin(config: &config::Upstream, outside: &Outside) -> Result<Arc<Self>, Fault> {
        let (headers, host) = headers_of(config)?;
        let source = Source::of(config, host.as_ref())?;
        let secured = source.targets().iter().any(|target| target.secured().is_some())
            || config.pods_file.is_some() && (config.authorities.is_some() || config.identity.is_some());
        let files = Files::read(config)?;
        let tls = if secured { Some(files.config()?) } else { None };
        let plain = if config.http2 { Protocol::Http2 } else { Protocol::Http1 };
        let terms = Terms {
            dialer: Dialer::new(plain, config.timeouts.connect.get(), tls),
            timeouts: config.timeouts.clone(),
            health: config.health.clone(),
            connections: config.connections,
            changed: AtomicBool::new(false),
        };
        let era = match config.era {
            EraChoice::Auto => None,
            EraChoice::Modern => Some(Era::Modern),
            EraChoice::Legacy => Some(Era::Legacy),
        };
        let pods = Arc::new(Pods::new(Arc::new(terms), config.balance, era, outside));
        let authorization = Arc::new(RwLock::new(config.authorization().map_err(Fault::Authorization)?));
        let (name, config_of, watchers) = (config.name.as_str().into(), config.clone(), JoinSet::new());
        let mut upstream = Self { name, config: config_of, headers, authorization, pods, watchers };
        upstream.watch(source, outside);
        // Pods that speak TLS may come later.
        if !files.is_empty() {
            upstream.watchers.spawn(watch_certificates(Arc::clone(&upstream.pods), config.clone(), files));
        }
        Ok(Arc::new(upstream))
    }

    fn watch(&mut self, source: Source, outside: &Outside) {
        let watchers = &mut self.watchers;
        match source {
            Source::Fixed(targets) => self.pods.found(targets),
            Source::File(file, targets) => {
                self.pods.found(targets);
                watchers.spawn(find::watch_file(Arc::clone(&self.pods), file));
            }
            Source::Name(target) => {
                let every = self.config.resolve_every.get();
                let watch = find::watch_name(Arc::clone(&self.pods), target, every, outside.clone(), find::lookup);
                watchers.spawn(watch);
            }
            Source::Command => return self.pods.found_nothing(),
        }
        watchers.spawn(sweep(Arc::clone(&self.pods)));
        let health = &self.config.health;
        if !health.every.get().is_zero() {
            let pods = Arc::clone(&self.pods);
            let own = (&*self.headers, Arc::clone(&self.authorization));
            let prober = Prober::new(pods, health.every.get(), health.timeout.get(), own);
            watchers.spawn(Arc::new(prober).run(outside.clone()));
        }
    }

    /// What it takes to have these pods in place of those that it was begun with, or has taken since. None where pods are
    /// not configured one by one.
    ///
    /// # Errors
    /// If there is something among them that is no pod, or TLS cannot be had for them.
    pub(crate) fn find(&self, pods: &[String]) -> Result<Option<Found>, StartError> {
        let config = &self.config;
        if config.dns.is_some() || config.pods_file.is_some() || !config.command.is_empty() {
            return Ok(None);
        }
        let found = || -> Result<Found, Fault> {
            let (_, host) = headers_of(config)?;
            let targets = fixed(pods, host.as_ref())?;
            let secures =
                targets.iter().any(|target| target.secured().is_some()) && !self.pods.terms.dialer.is_secured();
            let tls = if secures { Some(Files::read(config)?.config()?) } else { None };
            Ok(Found { targets, tls })
        };
        found().map(Some).map_err(|fault| StartError { name: config.name.clone(), fault })
    }

    /// Whether any of its pods is among these.
    pub(crate) fn keeps_any(&self, found: &Found) -> bool {
        found.targets.iter().any(|target| self.pods.pod(target.id()).is_some())
    }

    /// Has these pods from now on. Those that are there already stay as they are; those that are gone finish what they have.
    pub(crate) fn take(&self, found: Found) {
        if let Some(tls) = found.tls {
            self.pods.terms.dialer.secure(tls);
        }
        self.pods.set(found.targets);
    }

    /// Its name.
    pub(crate) const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it was begun with.
    pub(crate) const fn config(&self) -> &config::Upstream {
        &self.config
    }

    /// The headers that every request to it carries. `Host` is not among them: the pods know it.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// What the gateway shows to it for itself.
    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        self.authorization.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows this from now on.
    pub(crate) fn authorize(&self, own: Option<HeaderValue>) {
        *self.authorization.write().unwrap_or_else(PoisonError::into_inner) = own;
    }

    #[cfg(test)]
    /// Whether it is a program that serves stdio, and has no pods.
    pub(crate) fn is_stdio(&self) -> bool {
        !self.config.command.is_empty()
    }

    /// Resolves once pods have been looked for, whether there are any or not.
    pub(crate) async fn looked(&self) {
        self.pods.looked().await;
    }

    /// All pods, those that are paused included.
    pub(crate) fn pods(&self) -> Arc<[Arc<Pod>]> {
        self.pods.all()
    }

    /// The pod for a request that has been to `tried` already; `None` once it has been to all. Pods that are paused come
    /// after those that are well.
    pub(crate) fn pick(&self, tried: &Tried) -> Option<Picked> {
        self.pods.pick(tried)
    }

    /// That pod, for a request that belongs to it and no other.
    pub(crate) fn pick_pod(&self, id: &str) -> Option<Picked> {
        self.pods.pod(id).map(Picked::new)
    }

    /// The pod of that id, as long as it is there.
    pub(crate) fn pod(&self, id: &str) -> Option<Arc<Pod>> {
        self.pods.pod(id)
    }

    /// The era as configured, or as last found out of any pod.
    pub(crate) fn era(&self) -> Option<Era> {
        self.pods.era()
    }

    /// An answer has shown the era. Changes nothing where it is configured.
    pub(crate) fn settle_era(&self, era: Era) {
        self.pods.settle_era(era);
    }

    #[cfg(test)]
    /// An answer of this pod has shown the era.
    pub(crate) fn settle_era_of(&self, pod: &Pod, era: Era) {
        self.pods.settle_era_of(pod, era);
    }
}

impl Source {
    fn of(config: &config::Upstream, host: Option<&HeaderValue>) -> Result<Self, Fault> {
        if !config.command.is_empty() {
            return Ok(Self::Command);
        }
        if let Some(path) = &config.pods_file {
            let (file, targets) = PodsFile::read(path, host.cloned())?;
            return Ok(Self::File(file, targets));
        }
        if let Some(url) = &config.dns {
            return Ok(Self::Name(called(Target::parse(url)?, host)));
        }
        Ok(Self::Fixed(fixed(&config.pods, host)?))
    }

    fn targets(&self) -> &[Target] {
        match self {
            Self::Fixed(targets) | Self::File(_, targets) => targets,
            Self::Name(target) => std::slice::from_ref(target),
            Self::Command => &[],
        }
    }
}

/// Pods that are named one by one, of which there is one at least.
fn fixed(pods: &[String], host: Option<&HeaderValue>) -> Result<Vec<Target>, Fault> {
    if pods.is_empty() {
        return Err(Fault::NoPods);
    }
    pods.iter().map(|pod| Ok(called(Target::parse(pod)?, host))).collect()
}

/// The headers of every request, and among them `Host`, which is told apart: it belongs to how a pod is addressed.
type Headers = (Box<[(HeaderName, HeaderValue)]>, Option<HeaderValue>);

fn headers_of(config: &config::Upstream) -> Result<Headers, Fault> {
    let mut headers = Vec::new();
    let mut host = None;
    for (name, value) in &config.headers {
        let wrong = || Fault::Header(name.clone());
        let parsed: HeaderName = name.parse().map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        if parsed == header::HOST {
            host = Some(value);
        } else {
            value.set_sensitive(true);
            headers.push((parsed, value));
        }
    }
    Ok((headers.into(), host))
}

/// Closes connections that nobody needs, again and again.
async fn sweep(pods: Arc<Pods>) {
    loop {
        sleep(SWEEP_EVERY).await;
        pods.all().iter().for_each(|pod| pod.sweep());
    }
}

/// Reads certificates again and again. Files that do not fit change nothing, and are complained of once.
async fn watch_certificates(pods: Arc<Pods>, config: config::Upstream, mut files: Files) {
    let mut complaint = String::new();
    loop {
        sleep(CERTIFICATES_EVERY).await;
        let config = config.clone();
        let Ok(read) = tokio::task::spawn_blocking(move || Files::read(&config)).await else { return };
        let changed = match read {
            Ok(read) if read == files => continue,
            Ok(read) => read.config().map(|tls| (read, tls)),
            Err(error) => Err(error),
        };
        match changed {
            Ok((read, tls)) => {
                files = read;
                pods.terms.dialer.secure(tls);
                complaint.clear();
                tracing::info!("certificates have been read again");
            }
            Err(error) if error.to_string() == complaint => {}
            Err(error) => {
                complaint = error.to_string();
                tracing::warn!(%error, "the certificates stay as they were");
            }
        }
    }
}
