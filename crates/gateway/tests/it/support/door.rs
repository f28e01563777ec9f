//! An address that stays while replicas come and go behind it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// An address, and what connections to it are led to. Dropped, it ends with all of them.
pub(crate) struct Door {
    address: SocketAddr,
    to: watch::Sender<Option<SocketAddr>>,
    _accepting: JoinSet<()>,
}

impl Door {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to, target) = watch::channel(None::<SocketAddr>);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let target = *target.borrow();
                connections.spawn(async move {
                    let Some(target) = target else { return };
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        // How a connection ends is between its two ends.
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self { address, to, _accepting: accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn leads_to(&self, target: SocketAddr) {
        self.to.send_replace(Some(target));
    }
}
