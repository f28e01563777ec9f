//! What a backend tells a listener besides changes: notifications of extensions that the server knows nothing of.
//!
//! Such a notification cannot be merged with another one, so whoever tells waits for the listener.

use std::task::{Context, Poll};

use tokio::sync::mpsc;

use crate::extension::Told;

/// Notifications that may wait for a listener.
const WAITING: usize = 16;

/// Notifications for one listener, in their order. When the last [`Teller`] is gone, the listener's stream ends, on purpose and
/// after what was told: who listens begins again.
#[derive(Debug)]
pub struct Aside(mpsc::Receiver<Told>);

/// Tells one listener.
#[derive(Debug, Clone)]
pub struct Teller(mpsc::Sender<Told>);

impl Aside {
    /// Both ends. At most 16 notifications wait in between.
    pub fn new() -> (Teller, Self) {
        let (teller, told) = mpsc::channel(WAITING);
        (Teller(teller), Self(told))
    }

    /// The next notification; none when nothing more will come.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Told>> {
        self.0.poll_recv(cx)
    }
}

impl Teller {
    /// Tells the listener, once there is room for it. Gives whether somebody still listens.
    pub async fn tell(&self, told: Told) -> bool {
        self.0.send(told).await.is_ok()
    }
}
