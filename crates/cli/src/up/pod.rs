//! One pod of a fleet: started, watched, and started again with growing pauses when it ends.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::command::Template;
use super::front::Places;
use super::port::{Port, Ports};
use super::process::{Order, Process};
use super::ready::{Answers, ready};
use crate::output;
use crate::usage::Usage;

/// How long a pod may take to its first answer.
const START: Duration = Duration::from_secs(20);
/// How often a pod may end before its first answer ever: someone else may have taken its port meanwhile.
const FIRST_TRIES: u32 = 3;
/// The pause before the first restart; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A pod that has lived this long begins again with [`FIRST_PAUSE`].
const STEADY: Duration = Duration::from_secs(10);

/// What all pods of a fleet have in common.
#[derive(Debug)]
pub(super) struct Plan {
    /// How to start a pod.
    pub(super) template: Template,
    /// When a pod counts as ready.
    pub(super) answers: Answers,
    /// The key ring that the pods share.
    pub(super) key_file: Option<PathBuf>,
    /// The store that they share.
    pub(super) store: Option<String>,
    /// Where the pods are.
    pub(super) places: watch::Sender<Places>,
    /// The ports that they have.
    pub(super) ports: Ports,
}

/// A pod that is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Running {
    number: u16,
    pid: i32,
    address: SocketAddr,
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}, {}", self.pid, self.address)
    }
}

impl Running {
    /// The pod's number, from 1.
    pub(super) fn number(&self) -> u16 {
        self.number
    }
}

/// What became of a pod's first start.
pub(super) type FirstStart = mpsc::Sender<anyhow::Result<Running>>;

/// Keeps one pod running.
pub(super) struct Keeper {
    number: u16,
    plan: Arc<Plan>,
    orders: watch::Receiver<Order>,
    /// Kept from one life to the next, so that the gateway finds the pod where it was; drawn anew after a life without an
    /// answer, as someone else may have taken it meanwhile.
    port: Option<Port>,
    /// Taken when the pod has come up for the first time.
    first: Option<FirstStart>,
}

/// Why a pod is no longer there.
enum End {
    /// It was told to stop.
    Ordered,
    /// It ended by itself, or was given up.
    Fell(String),
    /// It could not be started, or never answered.
    CannotStart(anyhow::Error),
}

impl Keeper {
    /// A keeper of the pod with that number and port; `first` is told how its first start went.
    pub(super) fn new(
        number: u16,
        port: Port,
        plan: Arc<Plan>,
        orders: watch::Receiver<Order>,
        first: FirstStart,
    ) -> Self {
        Self { number, plan, orders, port: Some(port), first: Some(first) }
    }

    /// Runs until told to stop, or until the first start has failed for good.
    pub(super) async fn keep(mut self) {
        let mut pause = FIRST_PAUSE;
        for tries in 1.. {
            let begun = Instant::now();
            let end = self.live().await;
            if begun.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            let why = match (end, self.first.take()) {
                (End::Ordered, _) => return,
                (End::CannotStart(error), Some(first)) => {
                    let error = error.context(format!("pod {} did not start", self.number));
                    return report(first, Err(error)).await;
                }
                (End::Fell(why), Some(first)) if tries >= FIRST_TRIES => {
                    let error = anyhow::anyhow!("pod {} {why}", self.number);
                    return report(first, Err(error)).await;
                }
                (End::CannotStart(error), None) => format!("did not start: {error:#}"),
                (End::Fell(why), first) => {
                    self.first = first;
                    why
                }
            };
            let number = self.number;
            output::line(&format!("pod {number} {why}; starting it again in {pause:?}")).await;
            tokio::select! {
                () = told_to_stop(&mut self.orders) => return,
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    /// One life of the pod, from its start to its end.
    async fn live(&mut self) -> End {
        let plan = Arc::clone(&self.plan);
        let port = match self.port.take().map_or_else(|| plan.ports.draw(), Ok) {
            Ok(port) => port,
            Err(error) => return End::CannotStart(error),
        };
        let command = plan.template.command(port.number(), plan.key_file.as_deref(), plan.store.as_deref());
        let mut process = match Process::start(self.number, command) {
            Ok(process) => process,
            Err(error) => return End::CannotStart(cannot_run(&plan.template, error)),
        };
        let address = port.address();
        tokio::select! {
            biased;
            () = told_to_stop(&mut self.orders) => {
                process.finish(&mut self.orders).await;
                return End::Ordered;
            }
            status = process.ended() => return End::Fell(format!("ended before it answered ({})", said(status))),
            up = timeout(START, ready(address, plan.answers)) => if up.is_err() {
                process.kill().await;
                return End::CannotStart(anyhow::anyhow!("no answer on {address} within {START:?}"));
            },
        }
        self.port = Some(port);
        plan.places.send_if_modified(|places| places.insert(self.number, address) != Some(address));
        self.announce(process.pid(), address).await;
        tokio::select! {
            biased;
            () = told_to_stop(&mut self.orders) => {
                process.finish(&mut self.orders).await;
                End::Ordered
            }
            status = process.ended() => End::Fell(format!("ended ({})", said(status))),
        }
    }

    /// The first time, the fleet says it for all pods together.
    async fn announce(&mut self, pid: i32, address: SocketAddr) {
        let number = self.number;
        let running = Running { number, pid, address };
        match self.first.take() {
            Some(first) => report(first, Ok(running)).await,
            None => output::line(&format!("pod {number} is up again: {running}")).await,
        }
    }
}

/// A fleet that no longer asks has been told to stop.
async fn report(first: FirstStart, outcome: anyhow::Result<Running>) {
    let _ = first.send(outcome).await;
}

async fn told_to_stop(orders: &mut watch::Receiver<Order>) {
    // No more orders: the fleet is gone, which is the same.
    let _ = orders.wait_for(|order| *order > Order::Serve).await;
}

fn said(status: io::Result<std::process::ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

fn cannot_run(template: &Template, error: io::Error) -> anyhow::Error {
    let program = template.program().display();
    match error.kind() {
        io::ErrorKind::NotFound => Usage::new(format!("there is no program '{program}': give --pod its path")).into(),
        io::ErrorKind::PermissionDenied => {
            Usage::new(format!("'{program}' must not be run: give --pod a program with execute permission")).into()
        }
        _ => anyhow::Error::new(error).context(format!("cannot run '{program}'")),
    }
}
