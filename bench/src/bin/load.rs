//! Drives one server and prints what it saw as one line of JSON. See [`anypod_bench::load`].

use std::{
    io::{self, Write},
    time::Duration,
};

use anyhow::Result;
use anypod_bench::load::{Amount, Calls, Era, Target, Work, first_answer, listen};
use clap::{Parser, ValueEnum};

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// The server's endpoint, `http://HOST:PORT/PATH`.
    #[arg(long)]
    url: String,
    /// Connections with one call under way each.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// How many seconds to count.
    #[arg(long, default_value_t = 1.0, conflicts_with = "requests")]
    seconds: f64,
    /// How many calls to make, instead of a time; nothing is warmed up then.
    #[arg(long)]
    requests: Option<u64>,
    /// How many seconds to call before counting.
    #[arg(long, default_value_t = 0.3)]
    warm_up: f64,
    /// The length of the text in bytes.
    #[arg(long, default_value_t = 16)]
    payload: usize,
    /// The tool to call.
    #[arg(long, default_value = "echo")]
    tool: String,
    /// What to ask for.
    #[arg(long, value_enum, default_value = "call")]
    work: WorkName,
    /// Speak revision 2025-11-25, with a session for each connection.
    #[arg(long)]
    legacy: bool,
    /// Open this many listen streams, report, and hold them until standard input ends.
    #[arg(long, value_name = "N", conflicts_with = "requests")]
    listen_streams: Option<usize>,
    /// Start this command, which must serve the URL, and report the time to its first answer.
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true, conflicts_with = "listen_streams")]
    first_answer: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WorkName {
    /// A call of the tool.
    Call,
    /// The list of tools.
    List,
    /// A new legacy session each time.
    Initialize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let target = Target::parse(&options.url)?;
    if let Some(streams) = options.listen_streams {
        let (report, _open) = listen(&target, streams)?;
        writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
        io::copy(&mut io::stdin(), &mut io::sink())?;
        return Ok(());
    }
    let report = if options.first_answer.is_empty() {
        serde_json::to_string(&calls(&options, target).run()?)?
    } else {
        serde_json::to_string(&first_answer(&target, &options.first_answer)?)?
    };
    Ok(writeln!(io::stdout(), "{report}")?)
}

fn calls(options: &Options, target: Target) -> Calls {
    let amount = match options.requests {
        Some(requests) => Amount::Requests(requests),
        None => Amount::Time(Duration::from_secs_f64(options.seconds)),
    };
    Calls {
        target,
        era: if options.legacy { Era::Legacy } else { Era::Modern },
        work: match options.work {
            WorkName::Call => Work::Call(options.tool.clone()),
            WorkName::List => Work::List,
            WorkName::Initialize => Work::Initialize,
        },
        connections: options.connections,
        amount,
        warm_up: Duration::from_secs_f64(options.warm_up),
        payload: options.payload,
    }
}
