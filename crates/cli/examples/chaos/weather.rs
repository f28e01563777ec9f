//! What happens to processes: one of a group at a time is killed, paused or restarted, and is well again before the next.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::random::Random;
use crate::tally::Tally;
use crate::world::Process;

/// What happens to a process.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// SIGKILL, and a new start.
    Kill,
    /// SIGSTOP, and SIGCONT.
    Pause,
    /// SIGTERM, and a new start once it has ended.
    Restart,
}

/// Strikes one of the group again and again, until it is over; then all of them are well.
pub(crate) async fn blow(
    group: Vec<Arc<Process>>,
    mut random: Random,
    over: watch::Receiver<bool>,
    tally: Arc<Tally>,
    verbose: bool,
) -> anyhow::Result<()> {
    while !*over.borrow() {
        sleep(random.millis(100, 800)).await;
        let process = &group[random.below(group.len())];
        let blow = [Blow::Kill, Blow::Pause, Blow::Restart][random.below(3)];
        if verbose {
            println!("{:>6} ms {blow:?} {}", tally.now(), process.name);
        }
        let kind = process.name.split(' ').next().unwrap_or_default();
        tally.count(format!("{} {kind}", format!("{blow:?}").to_lowercase()));
        let pause = random.millis(200, 2000);
        strike(process, blow, pause).await?;
        if verbose {
            println!("{:>6} ms {} is well", tally.now(), process.name);
        }
    }
    Ok(())
}

async fn strike(process: &Process, blow: Blow, pause: Duration) -> anyhow::Result<()> {
    match blow {
        Blow::Kill => {
            process.kill().await?;
            sleep(pause / 4).await;
            process.start().await
        }
        Blow::Pause => {
            process.signal(Signal::STOP).await?;
            sleep(pause).await;
            process.signal(Signal::CONT).await?;
            process.ready().await
        }
        Blow::Restart => {
            process.finish().await?;
            process.start().await
        }
    }
}
