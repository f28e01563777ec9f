//! A PostgreSQL server of the session's own, with what its defaults are.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::super::process::free_port;

/// Who runs it where this process is root, as whom it does not run.
const USER: &str = "postgres";
const PATIENCE: Duration = Duration::from_secs(30);
/// Clock ticks per second in `/proc`, on every architecture that Linux has now.
const TICKS: f64 = 100.0;

/// A server that accepts connections.
pub(super) struct Postgres {
    child: Child,
    port: u16,
    _data: Data,
}

impl Postgres {
    /// Makes a cluster and starts a server on it.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub(super) fn start() -> Result<Self> {
        let data = Data(env::temp_dir().join(format!("anypod-bench-postgres-{}", process::id())));
        fs::create_dir(&data.0).with_context(|| format!("creating {}", data.0.display()))?;
        if is_root() {
            let status = Command::new("chown").arg(format!("{USER}:")).arg(&data.0).status()?;
            ensure!(status.success(), "chown failed");
        }
        let cluster = data.0.join("data");
        let output = program("initdb")?
            .args(["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--pgdata"])
            .arg(&cluster)
            .output()?;
        ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let port = free_port()?;
        let mut child = program("postgres")?
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", &port.to_string(), "-D"])
            .arg(&cluster)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C is for the one who started both: the server ends with its owner.
            .process_group(0)
            .spawn()?;
        let stderr = child.stderr.take().context("standard error was asked for")?;
        let (sender, ready) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.contains("ready to accept connections") {
                    let _ = sender.send(());
                }
                if ["WARNING", "ERROR", "FATAL", "PANIC"].iter().any(|level| line.contains(level)) {
                    eprintln!("postgres: {line}");
                }
            }
        });
        let server = Self { child, port, _data: data };
        ready.recv_timeout(PATIENCE).context("PostgreSQL does not accept connections")?;
        Ok(server)
    }

    /// The address of its database.
    pub(super) fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Writes down now what it would write in the minutes to come.
    ///
    /// # Errors
    /// When it does not.
    pub(super) fn settle(&self) -> Result<()> {
        let output = Command::new(find("psql")?).args(["--quiet", "--command", "CHECKPOINT", &self.url()]).output()?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// How long its processes have been on cores, those that have ended included.
    pub(super) fn core_time(&self) -> Result<Duration> {
        let own = self.child.id().to_string();
        let mut ticks = 0.0;
        for process in fs::read_dir("/proc")? {
            // Processes end while they are looked at.
            let Ok(stat) = fs::read_to_string(process?.path().join("stat")) else { continue };
            let Some((head, rest)) = stat.rsplit_once(") ") else { continue };
            let fields: Vec<&str> = rest.split(' ').collect();
            let [_, parent, ..] = fields[..] else { continue };
            let is_own = head.split(' ').next() == Some(&own);
            // utime, stime, and for the one that waited for others also theirs: cutime, cstime.
            let counted = match (is_own, parent == own) {
                (true, _) => 11..15,
                (false, true) => 11..13,
                (false, false) => continue,
            };
            let numbers = fields.get(counted).context("a short /proc/…/stat")?;
            ticks += numbers.iter().map(|number| number.parse::<f64>()).sum::<Result<f64, _>>()?;
        }
        Ok(Duration::from_secs_f64(ticks / TICKS))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Disconnects everybody, flushes and ends.
        let asked = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let until = Instant::now() + PATIENCE;
        while asked.is_ok() && Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // Both fail only when the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the server says that it is.
pub(super) fn version() -> Option<String> {
    let output = Command::new(find("postgres").ok()?).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Some(text.replace("postgres (PostgreSQL)", "PostgreSQL")).filter(|text| !text.is_empty())
}

/// A program of the server's, to be run by somebody who may.
fn program(name: &str) -> Result<Command> {
    let path = find(name)?;
    if !is_root() {
        return Ok(Command::new(path));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--init-groups", "--"]).arg(path);
    Ok(command)
}

/// Debian has them beside each other, by version, and not where programs are looked for.
fn find(name: &str) -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|version| {
            Some((version.file_name().to_str()?.parse().ok()?, version.path().join("bin").join(name)))
        })
        .filter(|(_, path)| path.exists())
        .collect();
    found.sort();
    match found.pop() {
        Some((_, path)) => Ok(path),
        None => bail!("{name} is not in /usr/lib/postgresql (Debian: postgresql)"),
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A directory that is gone with its owner.
struct Data(PathBuf);

impl Drop for Data {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        // What is left over is in the directory for temporary files, where it harms nobody.
        let _ = fs::remove_dir_all(path);
    }
}
