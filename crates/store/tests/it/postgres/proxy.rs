//! A network between pods and the server, which can fail.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the network does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// Carries everything.
    Open,
    /// Carries nothing, and says nothing: as if the server were paused.
    Still,
    /// Refuses everything, and ends what there is: as if the server were gone.
    Closed,
}

/// Carries bytes between pods and the server.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    state: Arc<watch::Sender<Network>>,
    _listener: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(Network::Open));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, Arc::clone(&state)));
        Self { address, state, _listener: tasks }
    }

    pub(super) fn be(&self, network: Network) {
        self.state.send_replace(network);
    }
}

async fn accept(listener: TcpListener, server: String, state: Arc<watch::Sender<Network>>) {
    let mut connections = JoinSet::new();
    loop {
        let (pod, _) = listener.accept().await.unwrap();
        let (server, state) = (server.clone(), state.subscribe());
        connections.spawn(async move {
            let mut closed = state.clone();
            tokio::select! {
                _ = carry(pod, server, state) => {}
                _ = closed.wait_for(|state| *state == Network::Closed) => {}
            }
        });
    }
}

async fn carry(pod: TcpStream, server: String, state: watch::Receiver<Network>) -> Option<()> {
    state.clone().wait_for(|state| *state == Network::Open).await.ok()?;
    let server = TcpStream::connect(server).await.ok()?;
    let ((from_pod, to_pod), (from_server, to_server)) = (pod.into_split(), server.into_split());
    tokio::select! {
        end = copy(from_pod, to_server, state.clone()) => end,
        end = copy(from_server, to_pod, state) => end,
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<Network>) -> Option<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        state.wait_for(|state| *state == Network::Open).await.ok()?;
        to.write_all(&buffer[..count]).await.ok()?;
    }
}
