//! `anypod gateway`: one replica of the gateway, from a file or from flags; and what can be said about a file.

mod origin;
mod report;
mod serve;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anypod_gateway::Config;
use anypod_gateway::config::schema;

use crate::output;

/// The arguments of `anypod gateway`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct GatewayArgs {
    #[command(subcommand)]
    command: Option<GatewayCommand>,
    #[command(flatten)]
    run: RunArgs,
}

/// What can be said about a configuration.
#[derive(Debug, clap::Subcommand)]
enum GatewayCommand {
    /// Check a configuration file and the files that it names, and print what is in effect.
    ///
    /// Otherwise everything that is wrong, each with its line; the exit code is 2 then.
    Check {
        /// The file to check.
        file: PathBuf,
    },
    /// Print the JSON Schema of configuration files, for editors.
    Schema,
    /// Say who still speaks legacy, and whether it may be switched off.
    Report(report::ReportArgs),
}

/// How one replica runs.
#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Do what this file says. It and the files that it names are read again when they change, and on SIGHUP.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["upstream", "port", "host", "key_file", "allow_host"])]
    config: Option<PathBuf>,
    /// A pod to stand before: http://HOST:PORT/PATH, https://… or unix:SOCKET:/PATH. Several are pods of one server.
    #[arg(long, value_name = "URL")]
    upstream: Vec<String>,
    /// The port to serve on; 0 picks a free one.
    #[arg(long, value_name = "P", default_value_t = 8080)]
    port: u16,
    /// The address to serve on.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// The key ring that all replicas share, read again when it changes, and on SIGHUP.
    ///
    /// Without it, the ring in ANYPOD_KEYS, and without that, a fresh one.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A host under which the gateway may be called, besides loopback names; may be given several times.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// The URL under which other replicas reach this one, such as http://10.0.0.7:8080.
    #[arg(long, value_name = "URL")]
    advertise: Option<String>,
}

/// Does what the subcommand says; without one, serves until told to stop.
///
/// # Errors
///
/// A `Usage` or a `ConfigError` when a flag, a file or an address is wrong; otherwise when the system fails us.
pub(crate) async fn run(args: GatewayArgs) -> anyhow::Result<()> {
    match args.command {
        Some(GatewayCommand::Check { file }) => check(&file),
        Some(GatewayCommand::Schema) => Ok(output::result(&format!("{:#}\n", schema()))?),
        Some(GatewayCommand::Report(args)) => report::run(args).await,
        None => serve::run(args.run).await,
    }
}

fn check(file: &Path) -> anyhow::Result<()> {
    let config = Config::read(file)?;
    config.warnings().iter().for_each(|text| output::warning(text));
    Ok(output::result(&config.show()?)?)
}
