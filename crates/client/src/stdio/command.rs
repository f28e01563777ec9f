//! The program that a server is, and how it is started.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use super::process::Process;
use super::{Reader, Writer};

/// What becomes of what a server writes to its stderr, where most of them log.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Stderr {
    /// It goes where ours goes.
    #[default]
    Inherit,
    /// Nobody sees it.
    Discard,
    /// Its last 4 KiB are kept, and shown in the error when the server ends unexpectedly.
    Capture,
    /// As [`Stderr::Capture`], and every line is handed over, in pieces of at most 16 KiB, without its end.
    Lines(Arc<dyn Fn(&str) + Send + Sync>),
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inherit => "Inherit",
            Self::Discard => "Discard",
            Self::Capture => "Capture",
            Self::Lines(_) => "Lines",
        })
    }
}

/// A server to be run as a child process, in a process group of its own.
///
/// It inherits the environment, unless [`Command::env_clear`] says otherwise.
///
/// ```
/// use anypod_client::stdio::{Command, Stderr};
///
/// let command = Command::new("python3").args(["server.py", "--quiet"]).env("MODE", "test").stderr(Stderr::Capture);
/// assert_eq!(command.to_string(), "python3");
/// ```
#[derive(Clone)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    env_clear: bool,
    current_dir: Option<PathBuf>,
    stderr: Stderr,
}

impl Command {
    /// A program: a path, or a name to be looked for in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            env_clear: false,
            current_dir: None,
            stderr: Stderr::default(),
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds a variable to the environment, or replaces it.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Lets the server inherit no variables: it gets those of [`Command::env`] only.
    #[must_use]
    pub const fn env_clear(mut self) -> Self {
        self.env_clear = true;
        self
    }

    /// Runs it in this directory instead of ours.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(dir.into());
        self
    }

    /// Says what becomes of its stderr. Default [`Stderr::Inherit`].
    #[must_use]
    pub fn stderr(mut self, stderr: Stderr) -> Self {
        self.stderr = stderr;
        self
    }

    /// The program.
    pub fn program(&self) -> &OsStr {
        &self.program
    }

    /// The arguments.
    pub fn arguments(&self) -> impl Iterator<Item = &OsStr> {
        self.args.iter().map(OsString::as_os_str)
    }

    /// Starts it.
    ///
    /// # Errors
    /// If the program is not there, must not be run, or the system has no room for it.
    pub(super) fn start(&self) -> io::Result<(Process, Reader, Writer)> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // A group of its own, so that a wrapper such as `npx` or `sh -c` does not outlive us in what it has started.
        command.process_group(0);
        if self.env_clear {
            command.env_clear();
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.current_dir {
            command.current_dir(dir);
        }
        command.stderr(match self.stderr {
            Stderr::Inherit => Stdio::inherit(),
            Stderr::Discard => Stdio::null(),
            Stderr::Capture | Stderr::Lines(_) => Stdio::piped(),
        });
        let mut child = command.spawn()?;
        let (Some(stdout), Some(stdin)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(io::Error::other("the process has no pipes"));
        };
        let lines = match &self.stderr {
            Stderr::Lines(lines) => Some(Arc::clone(lines)),
            Stderr::Inherit | Stderr::Discard | Stderr::Capture => None,
        };
        Ok((Process::new(child, lines)?, Box::new(stdout), Box::new(stdin)))
    }
}

/// The program alone: arguments and environment often hold secrets.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.display().fmt(f)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("program", &self.program).finish_non_exhaustive()
    }
}
