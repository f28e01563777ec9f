//! A pod: a server on a port of its own, which can be stopped and begin again at the same place.

use std::net::{Ipv4Addr, SocketAddr};

use anypod_server::Server;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A pod. Dropped, it ends.
pub(crate) struct Pod {
    address: SocketAddr,
    server: Server,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl Pod {
    pub(crate) async fn start(server: Server) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), server).await
    }

    async fn at(address: SocketAddr, server: Server) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = server.clone().serve(listener, async {
            // A pod that is dropped ends just so.
            let _ = stopped.await;
        });
        let serving = tokio::spawn(async move { served.await.unwrap() });
        Self { address, server, stop: Some(stop), serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    /// Ends it, and its connections.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        super::soon(&mut self.serving).await.unwrap();
    }

    /// Another server in its place, which knows nothing of the one before.
    pub(crate) async fn restart(&mut self, server: Server) {
        self.stop().await;
        *self = Self::at(self.address, server).await;
    }
}
