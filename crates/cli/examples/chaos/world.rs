//! The processes: four pods of the demo, two replicas of the gateway.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command as Plain, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use crate::Principal;

const PODS: usize = 4;
const REPLICAS: usize = 2;
/// Ports from here on are below those that the system gives to outgoing connections, which might take the port of a process
/// that is down for a moment.
const FIRST_PORT: u16 = 20_000;
/// How long a process may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(45);

/// Everything that runs.
pub(crate) struct World {
    pub(crate) pods: Vec<Arc<Process>>,
    pub(crate) replicas: Vec<Arc<Process>>,
    directory: PathBuf,
}

/// One process, through all its lives.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    /// How often it was killed, twice: odd while it is being killed.
    kills: AtomicU64,
    child: Mutex<Option<Child>>,
}

impl World {
    pub(crate) async fn start(anypod: Option<PathBuf>, principals: &[Arc<Principal>]) -> anyhow::Result<Self> {
        let program = match anypod {
            Some(program) => program,
            None => beside()?,
        };
        let directory = std::env::temp_dir().join(format!("anypod-chaos-{}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let keys = directory.join("keys");
        let made = Plain::new(&program).args(["keys", "new", "--out"]).arg(&keys).stdout(Stdio::null()).status()?;
        ensure!(made.success(), "no key file was made");
        let ports = free_ports(PODS + REPLICAS)?;
        let (of_pods, of_replicas) = ports.split_at(PODS);
        let process = |name: String, port: u16, arguments: Vec<String>| {
            let log = directory.join(format!("{name}.log"));
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let program = program.clone();
            Arc::new(Process {
                name,
                address,
                program,
                arguments,
                log,
                kills: AtomicU64::new(0),
                child: Mutex::default(),
            })
        };
        let keys = keys.display().to_string();
        let pod = |(index, port): (usize, &u16)| {
            let arguments = ["demo", "--exit-with-parent", "--port", &port.to_string(), "--key-file", &keys];
            process(format!("pod {}", index + 1), *port, arguments.map(str::to_owned).into())
        };
        let pods: Vec<_> = of_pods.iter().enumerate().map(pod).collect();
        let mut replicas = Vec::new();
        for (index, port) in of_replicas.iter().enumerate() {
            let file = directory.join(format!("replica-{}.toml", index + 1));
            fs::write(&file, configuration(*port, &keys, of_pods, of_replicas, principals)?)?;
            let arguments = vec!["gateway".to_owned(), "--config".to_owned(), file.display().to_string()];
            replicas.push(process(format!("replica {}", index + 1), *port, arguments));
        }
        let world = Self { pods, replicas, directory };
        for process in world.pods.iter().chain(&world.replicas) {
            process.start().await?;
        }
        Ok(world)
    }

    /// Ends everything; keeps the logs if something was wrong.
    pub(crate) async fn stop(&self, all_is_well: bool) {
        for process in self.replicas.iter().chain(&self.pods) {
            process.child.lock().await.take();
        }
        match all_is_well {
            true => drop(fs::remove_dir_all(&self.directory)),
            false => println!("logs are in {}", self.directory.display()),
        }
    }
}

impl Process {
    /// A mark of this moment, for [`Process::was_killed_since`].
    pub(crate) fn mark(&self) -> u64 {
        self.kills.load(Ordering::SeqCst)
    }

    /// Whether it was killed since that mark, or just then: what clients that are connected to it notice.
    pub(crate) fn was_killed_since(&self, mark: u64) -> bool {
        mark % 2 == 1 || self.mark() != mark
    }

    /// Starts it, and waits until it says that it is ready.
    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            // Pods end when this closes.
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        *self.child.lock().await = Some(child);
        self.ready().await
    }

    /// Ends it at once.
    pub(crate) async fn kill(&self) -> anyhow::Result<()> {
        // Before it is, so that nobody sees the effect before the cause.
        self.kills.fetch_add(1, Ordering::SeqCst);
        if let Some(child) = &mut *self.child.lock().await {
            child.kill().await?;
        }
        self.kills.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn finish(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM).await?;
        let mut child = self.child.lock().await;
        let Some(child) = &mut *child else { bail!("{} does not run", self.name) };
        let status = timeout(PATIENCE, child.wait()).await.with_context(|| format!("{} does not end", self.name))??;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    pub(crate) async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child.lock().await;
        let pid = child.as_ref().and_then(Child::id).and_then(|pid| Pid::from_raw(pid.cast_signed()));
        Ok(kill_process(pid.with_context(|| format!("{} is gone", self.name))?, signal)?)
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let asking = async {
            while !matches!(timeout(Duration::from_secs(2), self.is_ready()).await, Ok(Ok(true))) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, asking)
            .await
            .with_context(|| format!("{} does not come up, see {}", self.name, self.log.display()))
    }

    async fn is_ready(&self) -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        Ok(head == *b"HTTP/1.1 200")
    }
}

/// The binary that was built beside this program.
fn beside() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own.parent().and_then(Path::parent).context("this program is nowhere")?.join("anypod");
    ensure!(program.exists(), "{} is missing: cargo build --workspace --bin anypod", program.display());
    Ok(program)
}

fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let first = FIRST_PORT + u16::try_from(std::process::id() % 1000)? * 10;
    let free: Vec<u16> = (first..first + 1000)
        .filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .take(count)
        .collect();
    ensure!(free.len() == count, "there are no free ports");
    Ok(free)
}

/// The configuration of a replica.
fn configuration(
    port: u16,
    keys: &str,
    pods: &[u16],
    replicas: &[u16],
    principals: &[Arc<Principal>],
) -> anyhow::Result<String> {
    let list = |ports: &[u16], path: &str| {
        ports.iter().map(|port| format!("\"http://127.0.0.1:{port}{path}\"")).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "[[listener]]\naddress = \"127.0.0.1:{port}\"\n\n[fleet]\nkey-file = \"{keys}\"\nreplicas = {}\npeers = [{}]\n\n",
        replicas.len(),
        list(replicas, ""),
    );
    text += &format!(
        "[[upstream]]\nname = \"server\"\npods = [{}]\nidempotent = [\"echo\"]\n\n[[route]]\npath = \"/mcp\"\n\
         upstreams = [\"server\"]\n\n",
        list(pods, "/mcp"),
    );
    for principal in principals {
        text += &format!(
            "[[route.token]]\nprincipal = \"{}\"\nsha256 = \"{}\"\n",
            principal.name,
            sha256(&principal.token)?
        );
    }
    Ok(text)
}

/// As the page of the configuration says to do it.
fn sha256(token: &str) -> anyhow::Result<String> {
    let output = Plain::new("sh").args(["-c", "printf %s \"$0\" | sha256sum", token]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let digest = text.split_whitespace().next().context("there is no sha256sum")?;
    Ok(digest.to_owned())
}
