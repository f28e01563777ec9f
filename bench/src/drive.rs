//! How a client peer is driven: a closed loop of calls on one thread, so many in flight, timed one by one.

use std::{
    cell::{Cell, RefCell},
    fs,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use crate::{allocations, load::Histogram};

/// What a client saw.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct ClientReport {
    /// Calls per second.
    pub calls_per_second: f64,
    /// Median time of a call in microseconds.
    pub p50_us: f64,
    /// The same for the slowest hundredth.
    pub p99_us: f64,
    /// Calls that were counted. A wrong answer fails the run.
    pub calls: u64,
    /// Allocations per call.
    pub allocations: f64,
    /// Bytes asked for per call.
    pub allocated_bytes: f64,
    /// The most memory that was resident, in KiB.
    pub peak_kib: f64,
}

/// What a client peer is told.
struct Options {
    url: String,
    in_flight: usize,
    amount: Amount,
}

#[derive(Clone, Copy)]
enum Amount {
    Seconds(f64),
    Calls(u64),
}

impl Options {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        let (mut url, mut in_flight, mut amount) = (None, 1, Amount::Seconds(1.0));
        while let Some(flag) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--url" => url = Some(value),
                "--in-flight" => in_flight = value.parse()?,
                "--seconds" => amount = Amount::Seconds(value.parse()?),
                "--calls" => amount = Amount::Calls(value.parse()?),
                _ => bail!("unknown flag {flag}; there are --url, --in-flight, --seconds and --calls"),
            }
        }
        Ok(Self { url: url.context("--url is missing")?, in_flight, amount })
    }
}

/// How many calls come before those that count.
const WARM_UP: u64 = 200;

/// Connects, then calls until it is enough, and prints a [`ClientReport`]. `call` must check the answer.
///
/// # Errors
/// When the flags are bad, or a call fails.
pub fn run<C: 'static>(
    connect: impl AsyncFn(&str) -> Result<C>,
    call: impl AsyncFn(&C, &str) -> Result<()> + 'static,
) -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = LocalSet::new().block_on(&runtime, async {
        let client = Rc::new(connect(&options.url).await?);
        let call = Rc::new(call);
        for _ in 0..WARM_UP {
            call(&client, "warm").await?;
        }
        measure(&options, &client, &call).await
    })?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn measure<C: 'static>(
    options: &Options,
    client: &Rc<C>,
    call: &Rc<impl AsyncFn(&C, &str) -> Result<()> + 'static>,
) -> Result<ClientReport> {
    let (until, left) = match options.amount {
        Amount::Seconds(seconds) => (Some(Instant::now() + Duration::from_secs_f64(seconds)), u64::MAX),
        Amount::Calls(calls) => (None, calls),
    };
    let left = Rc::new(Cell::new(left));
    let histogram = Rc::new(RefCell::new(Histogram::default()));
    let (before, begun) = (allocations::so_far(), Instant::now());
    let mut loops = Vec::with_capacity(options.in_flight);
    for number in 0..options.in_flight {
        let (client, call, left, histogram) =
            (Rc::clone(client), Rc::clone(call), Rc::clone(&left), Rc::clone(&histogram));
        loops.push(tokio::task::spawn_local(async move {
            let text = format!("hello number {number:03}");
            while left.get() > 0 && until.is_none_or(|until| Instant::now() < until) {
                left.set(left.get() - 1);
                let begun = Instant::now();
                call(&client, &text).await?;
                histogram.borrow_mut().record(begun.elapsed());
            }
            anyhow::Ok(())
        }));
    }
    for one in loops {
        one.await??;
    }
    let (elapsed, after) = (begun.elapsed(), allocations::so_far());
    let histogram = histogram.borrow();
    let calls = histogram.count();
    Ok(ClientReport {
        calls_per_second: calls as f64 / elapsed.as_secs_f64(),
        p50_us: histogram.quantile_us(0.5),
        p99_us: histogram.quantile_us(0.99),
        calls,
        allocations: (after.0 - before.0) as f64 / calls as f64,
        allocated_bytes: (after.1 - before.1) as f64 / calls as f64,
        peak_kib: peak_kib()?,
    })
}

fn peak_kib() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
