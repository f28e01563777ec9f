//! Who stands in front, who behind, and how they are set up.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::super::process::beside;
use crate::load::Era;

/// What stands before the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    Nginx,
    HaProxy,
    McpProxy,
    Anypod,
}

impl Front {
    pub(super) const ALL: [Self; 4] = [Self::Nginx, Self::HaProxy, Self::McpProxy, Self::Anypod];

    /// What the table calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::HaProxy => "HAProxy",
            Self::McpProxy => "mcp-proxy",
            Self::Anypod => "anypod",
        }
    }

    /// Its program.
    ///
    /// # Errors
    /// When it was not built. Whether a package is installed shows at the start.
    pub(super) fn program(self) -> Result<PathBuf> {
        match self {
            Self::Nginx => Ok("nginx".into()),
            Self::HaProxy => Ok("haproxy".into()),
            // `bench/run` installs it into a directory beside that of the build.
            Self::McpProxy => beside("../peers/bin/mcp-proxy"),
            Self::Anypod => beside("anypod_gateway"),
        }
    }

    /// Its version, where it comes from elsewhere.
    ///
    /// # Errors
    /// When it is not installed or does not say.
    pub(super) fn version(self) -> Result<String> {
        let program = self.program()?;
        let said = match self {
            Self::Nginx | Self::HaProxy => {
                let output = Command::new(&program).arg("-v").output()?;
                String::from_utf8([output.stdout, output.stderr].concat())?
            }
            // Its own record, beside `bin`, of what cargo has installed.
            Self::McpProxy => fs::read_to_string(program.with_file_name("../.crates.toml"))?,
            Self::Anypod => return Ok("of this commit".to_owned()),
        };
        let version = said.split([' ', '/']).find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        Ok(version.context("no version")?.trim().to_owned())
    }

    /// Whether it was built. A binary that an earlier build left behind does not count.
    pub(super) fn is_built(self) -> bool {
        self != Self::Anypod || cfg!(feature = "gateway")
    }

    /// The path at which it serves.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Nginx | Self::HaProxy | Self::Anypod => "/mcp",
            Self::McpProxy => "/",
        }
    }
}

/// What serves behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pods {
    /// Two lean pods of the modern era.
    Modern,
    /// One lean pod that is legacy only: mcp-proxy knows no pods, only servers.
    Legacy,
    /// The same, written with the official Rust SDK.
    LegacySdk,
    /// Two servers of anypod's, which have subscriptions.
    Anypod,
}

impl Pods {
    pub(super) fn count(self) -> usize {
        match self {
            Self::Modern | Self::Anypod => 2,
            Self::Legacy | Self::LegacySdk => 1,
        }
    }
}

/// How bodies are held against headers: the names are those of anypod's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Verify,
    Trust,
    Parse,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Trust => "trust",
            Self::Parse => "parse",
        }
    }
}

/// A way to set up the two sides of a proxy. Only anypod has modes and several upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    /// What the table adds to the workload.
    pub(super) label: &'static str,
    pub(super) client: Era,
    pub(super) pods: Pods,
    pub(super) mode: Mode,
    /// Servers that are configured. With more than one, the last one's last tool is called.
    pub(super) upstreams: usize,
    /// Tools of each.
    pub(super) tools: usize,
}

impl Variant {
    /// The plain case: a modern client, modern pods, every default.
    pub(super) const PLAIN: Self =
        Self { label: "", client: Era::Modern, pods: Pods::Modern, mode: Mode::Verify, upstreams: 1, tools: 1 };
    pub(super) const TRUST: Self = Self { label: ", trust", mode: Mode::Trust, ..Self::PLAIN };
    pub(super) const PARSE: Self = Self { label: ", parse", mode: Mode::Parse, ..Self::PLAIN };
    pub(super) const LEGACY_CLIENT: Self = Self { label: ", legacy to modern", client: Era::Legacy, ..Self::PLAIN };
    pub(super) const LEGACY_SERVER: Self = Self { label: ", modern to legacy", pods: Pods::Legacy, ..Self::PLAIN };
    pub(super) const LEGACY: Self =
        Self { label: ", legacy to legacy", client: Era::Legacy, pods: Pods::Legacy, ..Self::PLAIN };
    pub(super) const LEGACY_SDK_SERVER: Self =
        Self { label: ", modern to legacy, rmcp", pods: Pods::LegacySdk, ..Self::PLAIN };
    pub(super) const LEGACY_SDK: Self =
        Self { label: ", legacy to legacy, rmcp", client: Era::Legacy, pods: Pods::LegacySdk, ..Self::PLAIN };
    pub(super) const ONE_UPSTREAM: Self = Self { label: ", 1 upstream", ..Self::PLAIN };
    pub(super) const MANY_UPSTREAMS: Self = Self { label: ", 100 upstreams", upstreams: 100, ..Self::PLAIN };
    pub(super) const FEW_TOOLS: Self = Self { label: ", 10 tools", upstreams: 2, tools: 5, ..Self::PLAIN };
    pub(super) const MANY_TOOLS: Self = Self { label: ", 10,000 tools", upstreams: 2, tools: 5_000, ..Self::PLAIN };
    pub(super) const LIST: Self = Self { tools: 10, ..Self::PLAIN };
    pub(super) const STREAMS: Self = Self { pods: Pods::Anypod, ..Self::PLAIN };

    /// What the tools of upstream `number` are called after. The pods' path says so.
    pub(super) fn tool(&self, number: usize) -> String {
        if self.upstreams == 1 { "echo".to_owned() } else { format!("u{number:03}") }
    }

    /// Where upstream `number` is on the pod at `port`.
    pub(super) fn pod_url(&self, port: u16, number: usize) -> String {
        let prefix = if self.upstreams == 1 { String::new() } else { format!("/{}", self.tool(number)) };
        format!("http://127.0.0.1:{port}{prefix}/mcp")
    }

    /// The tool that is called at `front`.
    pub(super) fn called_at(&self, front: Front) -> String {
        let tool = self.tool(self.upstreams - 1);
        if front == Front::McpProxy { format!("pods/{tool}") } else { tool }
    }
}
