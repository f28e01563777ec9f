//! The pods of one supervisor, from the first start to the last end.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::pod::{Keeper, Plan, Running};
use super::port::Port;
use super::process::Order;

/// Pods that are kept running. Dropped, they are killed.
#[derive(Debug)]
pub(super) struct Fleet {
    count: u16,
    orders: watch::Sender<Order>,
    pods: JoinSet<()>,
    started: mpsc::Receiver<anyhow::Result<Running>>,
}

impl Fleet {
    /// Starts a pod on each of the ports, all at once.
    pub(super) fn start(plan: Plan, ports: Vec<Port>) -> Self {
        let plan = Arc::new(plan);
        let count = u16::try_from(ports.len()).unwrap_or(u16::MAX);
        let (orders, received) = watch::channel(Order::Serve);
        let (first, started) = mpsc::channel(ports.len().max(1));
        let mut pods = JoinSet::new();
        for (number, port) in (1..).zip(ports) {
            let keeper = Keeper::new(number, port, Arc::clone(&plan), received.clone(), first.clone());
            pods.spawn(keeper.keep());
        }
        Self { count, orders, pods, started }
    }

    /// Waits until every pod has come up, and lists them by number.
    ///
    /// # Errors
    ///
    /// When one of them does not come up.
    pub(super) async fn all_up(&mut self) -> anyhow::Result<Vec<Running>> {
        let mut running = Vec::new();
        for _ in 0..self.count {
            let pod = self.started.recv().await.context("a pod was given up")??;
            running.push(pod);
        }
        running.sort();
        Ok(running)
    }

    /// Tells every pod to finish and end, and waits until all have.
    pub(super) async fn finish(&mut self) {
        self.order(Order::Finish).await;
    }

    /// Ends every pod at once.
    pub(super) async fn kill(&mut self) {
        self.order(Order::Kill).await;
    }

    async fn order(&mut self, order: Order) {
        self.orders.send_replace(order);
        while self.pods.join_next().await.is_some() {}
    }
}
