//! The session of tasks: three pods, their store and the load share two cores, as those of a small machine do.

mod postgres;
mod stand;

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use self::{postgres::Postgres, stand::Stand};
use super::{
    Effort, machine, median,
    report::{
        Bar,
        Bar::{AtLeast, AtMost},
        Figure, Row, Table,
    },
};
use crate::load::{CallReport, EventReport, TaskReport};

/// Tasks that are open and at rest.
const AT_REST: u64 = 100_000;
/// How often, and for how long, pods without work are looked at.
const LOOKS: usize = 6;
const LOOK: Duration = Duration::from_secs(10);
/// Listeners on one pod.
const LISTENERS: usize = 10_000;
/// How long writes to the disk are measured.
const FLUSHED: Duration = Duration::from_secs(1);

/// Where tasks are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kept {
    /// In one file.
    Sqlite,
    /// In a database of its own process.
    Postgres,
}

impl Kept {
    const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// The value of one, where there are values of both.
    fn of<T>(self, both: &[Option<T>; 2]) -> Option<&T> {
        both[self as usize].as_ref()
    }
}

/// Measures tasks in the stores of `only`, or in all, and prints the table with the figures. The table goes into
/// `directory` if it is whole.
///
/// # Errors
/// When the machine has one core only, or a bar has no value because something failed.
pub fn tasks(effort: Effort, only: &[Kept], directory: &Path) -> Result<()> {
    ensure!(machine::cores() >= 2, "the bars are for two cores");
    let flushes = flushes().inspect_err(|error| eprintln!("flushes: {error:#}")).ok();
    let is_wanted = |kept: Kept| only.is_empty() || only.contains(&kept);
    let both = Kept::ALL.map(|kept| {
        let taken = is_wanted(kept).then(|| Taken::take(kept, effort));
        taken.and_then(|taken| taken.inspect_err(|error| eprintln!("{}: {error:#}", kept.name())).ok())
    });
    let table = Table {
        title: "Tasks: three pods, their store and the load on two cores",
        machine: machine::describe().into_iter().chain([durability()]).collect(),
        peers: Kept::ALL.map(Kept::name).into(),
        rows: rows(&both, flushes),
        figures: figures(&both).into_iter().filter(|(kept, _)| is_wanted(*kept)).map(|(_, figure)| figure).collect(),
    };
    if only.is_empty() { table.publish(directory) } else { table.print() }
}

/// Everything that was measured of one store.
struct Taken {
    run: Vec<TaskReport>,
    /// Core time of pods and store per task, in µs.
    core_us: Vec<f64>,
    looks: Vec<CallReport>,
    events: EventReport,
    /// With all listeners on one pod.
    hall: EventReport,
    /// How much the pod's largest memory grew by each of them, in KiB.
    listener_kib: f64,
    /// Core time of pods and store that have nothing to do, in ms per second: without tasks, and with many at rest.
    idle: [f64; 2],
    rest: TaskReport,
    /// Tasks run while many others are at rest.
    beside: TaskReport,
}

impl Taken {
    fn take(kept: Kept, effort: Effort) -> Result<Self> {
        let server = match kept {
            Kept::Sqlite => None,
            Kept::Postgres => Some(Postgres::start()?),
        };
        let stand = Stand::start(server.as_ref())?;
        let say = |what: &str| eprintln!("{}: {what}", kept.name());
        let seconds = effort.seconds.to_string();
        say("pods without tasks");
        let nothing = idle(&stand)?;
        say("events");
        let events = stand.load(&["events"])?;
        say("many listeners");
        let (before, listeners) = (stand.last_peak_kib()?, LISTENERS.to_string());
        let hall: EventReport =
            stand.load(&["events", "--one-pod", "--listeners", &listeners, "--events", "500", "--broadcasts", "9"])?;
        let listener_kib = (stand.last_peak_kib()? - before) / hall.streams as f64;
        let (mut run, mut core_us, mut looks) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..effort.rounds {
            say(&format!("round {} of {}", round + 1, effort.rounds));
            let before = stand.core_time()?;
            let report: TaskReport = stand.load(&["run", "--seconds", &seconds])?;
            // The second before they are counted is about as busy.
            let tasks = report.tasks as f64 + report.per_second;
            core_us.push((stand.core_time()? - before).as_secs_f64() * 1e6 / tasks);
            run.push(report);
            looks.push(stand.load(&["look", "--seconds", &seconds])?);
        }
        say("many tasks at rest");
        let rest = stand.load(&["run", "--kind", "rest", "--count", &AT_REST.to_string()])?;
        let idle = [nothing, idle(&stand)?];
        let beside = stand.load(&["run", "--seconds", &seconds])?;
        Ok(Self { run, core_us, looks, events, hall, listener_kib, idle, rest, beside })
    }

    fn median_of(values: &[TaskReport], value: fn(&TaskReport) -> f64) -> Option<f64> {
        median(values.iter().map(value).collect())
    }

    fn per_second(&self) -> Option<f64> {
        Self::median_of(&self.run, |run| run.per_second)
    }

    fn looks_per_second(&self) -> Option<f64> {
        median(self.looks.iter().map(|looks| looks.requests_per_second).collect())
    }
}

/// Core time per second of pods and store, which have nothing to do: the least of several looks, as the store has something to
/// clear away after much was written.
fn idle(stand: &Stand) -> Result<f64> {
    stand.settle()?;
    let mut least = f64::INFINITY;
    for _ in 0..LOOKS {
        let (started, before) = (Instant::now(), stand.core_time()?);
        std::thread::sleep(LOOK);
        let ran = stand.core_time()?.saturating_sub(before);
        least = least.min(ran.as_secs_f64() * 1_000.0 / started.elapsed().as_secs_f64());
    }
    Ok(least)
}

/// How often per second a block is written and flushed, one after the other, where the file of the tasks is.
fn flushes() -> Result<f64> {
    let path = env::temp_dir().join(format!("anypod-bench-flush-{}", std::process::id()));
    let mut file = File::create(&path).with_context(|| path.display().to_string())?;
    let (started, mut count) = (Instant::now(), 0_u32);
    while started.elapsed() < FLUSHED {
        file.write_all(&[0; 4_096])?;
        file.sync_data()?;
        count += 1;
    }
    let per_second = f64::from(count) / started.elapsed().as_secs_f64();
    fs::remove_file(&path)?;
    Ok(per_second)
}

/// What a commit outlasts.
fn durability() -> String {
    format!(
        "- durability: SQLite in WAL mode with synchronous=FULL, {} with fsync and synchronous_commit on: what was answered \
         outlasts a power cut, on a disk that flushes when it says so",
        postgres::version().unwrap_or_else(|| "PostgreSQL".to_owned())
    )
}

fn rows(both: &[Option<Taken>; 2], flushes: Option<f64>) -> Vec<Row> {
    let row = |measure: &str, value: &dyn Fn(&Taken) -> Option<f64>| Row {
        measure: measure.to_owned(),
        values: Kept::ALL.map(|kept| kept.of(both).and_then(value)).into(),
    };
    vec![
        Row { measure: "4 KiB written and flushed one by one, /s".to_owned(), values: vec![flushes, flushes] },
        row("one-step tasks/s", &Taken::per_second),
        row("the same, core time of pods and store per task, µs", &|taken| median(taken.core_us.clone())),
        row("the same, created to fetched, p50, ms", &|taken| Taken::median_of(&taken.run, |run| run.p50_ms)),
        row("the same, p99, ms", &|taken| Taken::median_of(&taken.run, |run| run.p99_ms)),
        row("the same, looks per task", &|taken| Taken::median_of(&taken.run, |run| run.looks)),
        row("tasks/get, /s", &Taken::looks_per_second),
        row("tasks/get, p99, µs", &|taken| median(taken.looks.iter().map(|looks| looks.p99_us).collect())),
        row("event to listeners of two other pods, p50, ms", &|taken| Some(taken.events.p50_ms)),
        row("the same, p99, ms", &|taken| Some(taken.events.p99_ms)),
        row("10,000 listeners on one pod, opened within, ms", &|taken| Some(taken.hall.opened_ms)),
        row("the same, memory of each, KiB", &|taken| Some(taken.listener_kib)),
        row("the same, event to one of them, p50, ms", &|taken| Some(taken.hall.p50_ms)),
        row("the same, p99, ms", &|taken| Some(taken.hall.p99_ms)),
        row("the same, event to all of them, the last, ms", &|taken| Some(taken.hall.broadcast_ms)),
        row("100,000 tasks that ask, created and asked, /s", &|taken| Some(taken.rest.per_second)),
        row("core time with no task open, ms/s", &|taken| Some(taken.idle[0])),
        row("core time with 100,000 at rest, ms/s", &|taken| Some(taken.idle[1])),
        row("one-step tasks/s beside 100,000 at rest", &|taken| Some(taken.beside.per_second)),
    ]
}

fn figures(both: &[Option<Taken>; 2]) -> Vec<(Kept, Figure)> {
    let figure = |name, kept: Kept, value: fn(&Taken) -> Option<f64>, unit, bar: Bar| {
        (kept, Figure { name, value: kept.of(both).and_then(value), unit, bar })
    };
    let beside = |taken: &Taken| Some(taken.beside.per_second / taken.per_second()?);
    let grown = |taken: &Taken| Some(taken.idle[1] - taken.idle[0]);
    let (sqlite, postgres) = (Kept::Sqlite, Kept::Postgres);
    vec![
        figure("tasks_sqlite", sqlite, Taken::per_second, "tasks/s", AtLeast(2_000.0)),
        figure("tasks_postgres", postgres, Taken::per_second, "tasks/s", AtLeast(1_500.0)),
        figure("tasks_get_sqlite", sqlite, Taken::looks_per_second, "requests/s", AtLeast(10_000.0)),
        figure("rest_growth_sqlite", sqlite, grown, "ms/s", AtMost(2.0)),
        figure("rest_growth_postgres", postgres, grown, "ms/s", AtMost(2.0)),
        figure("tasks_beside_rest_sqlite", sqlite, beside, "ratio", AtLeast(0.8)),
        figure("tasks_beside_rest_postgres", postgres, beside, "ratio", AtLeast(0.8)),
        figure("event_p99_sqlite", sqlite, |taken| Some(taken.events.p99_ms), "ms", AtMost(100.0)),
        figure("event_p99_postgres", postgres, |taken| Some(taken.events.p99_ms), "ms", AtMost(50.0)),
        figure("listeners_event_p99_sqlite", sqlite, |taken| Some(taken.hall.p99_ms), "ms", AtMost(100.0)),
        figure("listeners_event_p99_postgres", postgres, |taken| Some(taken.hall.p99_ms), "ms", AtMost(50.0)),
    ]
}
