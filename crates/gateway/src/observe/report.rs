//! Who still speaks legacy, and whether it may be switched off: what `/report` says, and `anypod gateway report` prints.
//!
//! A report is what one replica has seen since it started. Those of several replicas are merged by whoever asks all of
//! them.

mod verdict;

use serde::{Deserialize, Serialize};

use anypod_proto::version::Era;

use super::Observer;
use super::seen::{ERAS, era_name};
use super::series::{Client, Upstream, Use};

pub use super::time::{Moment, NoMoment};
pub use verdict::{Answer, Verdict};

/// What replicas have seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of the gateway; of several replicas, that of the first.
    pub version: String,
    /// The names that the replicas gave themselves when they started.
    pub replicas: Vec<String>,
    /// When the report was made, by the clock of the (first) replica.
    pub now: Moment,
    /// Since when all of these replicas have been watching.
    pub since: Moment,
    /// The clients, as they call themselves.
    pub clients: Vec<ClientReport>,
    /// The upstreams.
    pub upstreams: Vec<UpstreamReport>,
    /// All of it.
    pub totals: TotalsReport,
}

/// What a client did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientReport {
    /// Its name: empty if it gives none, `other` for all that there was no room for.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it did in the modern era.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modern: Option<UseReport>,
    /// What it did in the legacy era.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<UseReport>,
    /// How many legacy sessions it opened.
    pub sessions: u64,
    /// When it opened the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_session: Option<Moment>,
}

/// What a client did in one era.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UseReport {
    /// Its requests.
    pub requests: u64,
    /// Those that failed or were refused.
    pub errors: u64,
    /// Those that the gateway refused.
    pub refused: u64,
    /// When the last that was not refused came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Moment>,
}

/// What an upstream took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamReport {
    /// Its name.
    pub name: String,
    /// Its era, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub era: Option<EraName>,
    /// Requests of modern clients.
    pub from_modern: u64,
    /// Requests of legacy clients.
    pub from_legacy: u64,
    /// Requests that it took in another era than the client's.
    pub bridged: u64,
    /// Sessions that the gateway opened with it.
    pub sessions_opened: u64,
    /// Those of them that are open.
    pub sessions_open: u64,
}

/// All of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TotalsReport {
    /// Legacy sessions that clients opened.
    pub sessions: u64,
    /// Requests that were translated between the eras.
    pub bridged: u64,
    /// Requests for which a plain balancer in place of the gateway would have had to be sticky.
    pub affinity: u64,
    /// Requests that another replica answered.
    pub hops: u64,
    /// Streams of legacy sessions that are open.
    pub legacy_streams: u64,
}

/// An era, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EraName {
    /// 2026-07-28 and later.
    Modern,
    /// What came before.
    Legacy,
    /// Replicas found it to be different, as while the upstream is replaced.
    Both,
}

/// What `/report` answers: the report with the verdict on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The report.
    #[serde(flatten)]
    pub report: Report,
    /// Whether legacy may be switched off.
    pub verdict: Verdict,
}

/// The replica is in the report already: the same address was asked twice, or a balancer stands in front.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("replica {0} has been asked already")]
pub struct SameReplica(String);

impl Report {
    /// Adds what another replica has seen. Its clock may be another: what counts is how long ago things were.
    ///
    /// # Errors
    /// It is in here already; nothing is changed.
    pub fn merge(&mut self, other: Self) -> Result<(), SameReplica> {
        if let Some(same) = other.replicas.iter().find(|replica| self.replicas.contains(replica)) {
            return Err(SameReplica(same.clone()));
        }
        let here =
            |moment: Moment| Moment::from_unix(self.now.unix().saturating_sub(moment.until(other.now).as_secs()));
        let client_here = |mut client: ClientReport| {
            for of in [&mut client.modern, &mut client.legacy].into_iter().flatten() {
                of.last = of.last.map(here);
            }
            client.last_session = client.last_session.map(here);
            client
        };
        self.since = self.since.max(here(other.since));
        let clients: Vec<_> = other.clients.into_iter().map(client_here).collect();
        self.replicas.extend(other.replicas);
        merge_each(&mut self.clients, clients, ClientReport::is_of, ClientReport::add);
        self.clients.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
        merge_each(&mut self.upstreams, other.upstreams, |one, other| one.name == other.name, UpstreamReport::add);
        self.upstreams.sort_by(|one, other| one.name.cmp(&other.name));
        self.totals.add(other.totals);
        Ok(())
    }
}

fn merge_each<T>(into: &mut Vec<T>, from: Vec<T>, same: impl Fn(&T, &T) -> bool, add: impl Fn(&mut T, T)) {
    for item in from {
        match into.iter_mut().find(|known| same(known, &item)) {
            Some(known) => add(known, item),
            None => into.push(item),
        }
    }
}

impl ClientReport {
    fn of(client: &Client) -> Option<Self> {
        let [modern, legacy] = ERAS.map(|era| UseReport::of(client.in_era(era)));
        let sessions = client.sessions();
        let last_session = client.last_session().map(Moment::from_unix);
        let report = Self {
            name: client.name().into(),
            version: client.version().into(),
            modern,
            legacy,
            sessions,
            last_session,
        };
        (report.modern.is_some() || report.legacy.is_some() || sessions > 0).then_some(report)
    }

    fn is_of(&self, other: &Self) -> bool {
        self.name == other.name && self.version == other.version
    }

    fn add(&mut self, other: Self) {
        for (of, more) in [(&mut self.modern, other.modern), (&mut self.legacy, other.legacy)] {
            if let Some(more) = more {
                of.get_or_insert_default().add(more);
            }
        }
        self.sessions += other.sessions;
        self.last_session = self.last_session.max(other.last_session);
    }
}

impl UseReport {
    fn of(of: &Use) -> Option<Self> {
        let requests = of.requests.value();
        let last = of.last.value().map(Moment::from_unix);
        let report = Self { requests, errors: of.errors.value(), refused: of.refused.value(), last };
        (requests > 0).then_some(report)
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.refused += other.refused;
        self.last = self.last.max(other.last);
    }
}

impl UpstreamReport {
    fn of(upstream: &Upstream) -> Self {
        let from = |client| ERAS.map(|own| upstream.requests(client, own));
        let ([modern, up], [down, legacy]) = (from(Era::Modern), from(Era::Legacy));
        Self {
            name: upstream.name.to_string(),
            era: upstream.era().map(EraName::of),
            from_modern: modern + up,
            from_legacy: down + legacy,
            bridged: up + down,
            sessions_opened: upstream.sessions_opened.value(),
            sessions_open: u64::try_from(upstream.sessions()).unwrap_or(0),
        }
    }

    fn add(&mut self, other: Self) {
        self.era = match (self.era, other.era) {
            (Some(one), Some(other)) if one != other => Some(EraName::Both),
            (one, other) => one.or(other),
        };
        self.from_modern += other.from_modern;
        self.from_legacy += other.from_legacy;
        self.bridged += other.bridged;
        self.sessions_opened += other.sessions_opened;
        self.sessions_open += other.sessions_open;
    }
}

impl TotalsReport {
    fn add(&mut self, other: Self) {
        self.sessions += other.sessions;
        self.bridged += other.bridged;
        self.affinity += other.affinity;
        self.hops += other.hops;
        self.legacy_streams += other.legacy_streams;
    }
}

impl EraName {
    const fn of(era: Era) -> Self {
        match era {
            Era::Modern => Self::Modern,
            Era::Legacy => Self::Legacy,
        }
    }
}

/// As it is written.
impl std::fmt::Display for EraName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Modern => era_name(Some(Era::Modern)),
            Self::Legacy => era_name(Some(Era::Legacy)),
            Self::Both => "both",
        })
    }
}

impl Observer {
    /// What this replica has seen.
    pub(crate) fn report(&self) -> Report {
        let upstreams: Vec<_> = self.all_upstreams().iter().map(|upstream| UpstreamReport::of(upstream)).collect();
        let totals = self.totals();
        Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            replicas: vec![self.instance.to_string()],
            now: Moment::from_unix(self.outside.now().0),
            since: Moment::from_unix(self.since),
            clients: self.clients.all().iter().filter_map(|client| ClientReport::of(client)).collect(),
            totals: TotalsReport {
                sessions: totals.sessions.value(),
                bridged: upstreams.iter().map(|upstream| upstream.bridged).sum(),
                affinity: totals.affinity.value(),
                hops: totals.hops.value(),
                legacy_streams: u64::try_from(totals.legacy_streams.value()).unwrap_or(0),
            },
            upstreams,
        }
    }
}

#[cfg(test)]
mod tests;
