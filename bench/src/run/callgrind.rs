//! Instructions per call, exact up to hash seeds: the difference of two runs of different length.

use std::fs;

use anyhow::{Context, Result};

use super::{
    Peer,
    process::{Server, beside},
};

/// Calls in the two runs. What both have in common, start-up and connection, cancels.
const LENGTHS: [u64; 2] = [400, 2_400];

/// User-space instructions that `peer` executes per small call on one connection.
pub(super) fn instructions_per_call(peer: Peer, tools: usize) -> Result<f64> {
    per_call(peer.binary(), |wrapper, flags| {
        let server = Server::start_within(peer, tools, wrapper, &[])?;
        server.calls(flags)?;
        server.terminate()
    })
}

/// The same of the program `name`, which `run` starts within a wrapper, calls by the flags of the load, and ends.
pub(super) fn per_call(name: &str, run: impl Fn(&[String], &[&str]) -> Result<()>) -> Result<f64> {
    let profile = beside(name)?.with_extension("callgrind");
    let wrapper = ["valgrind", "--quiet", "--tool=callgrind"].map(str::to_owned).into_iter();
    let wrapper: Vec<_> = wrapper.chain([format!("--callgrind-out-file={}", profile.display())]).collect();
    let instructions = |calls: u64| {
        run(&wrapper, &["--connections", "1", "--requests", &calls.to_string()])?;
        let text = fs::read_to_string(&profile).with_context(|| format!("reading {}", profile.display()))?;
        fs::remove_file(&profile)?;
        total_of(&text).with_context(|| format!("{} has no total", profile.display()))
    };
    let [short, long] = LENGTHS.map(instructions);
    Ok((long? as f64 - short? as f64) / (LENGTHS[1] - LENGTHS[0]) as f64)
}

fn total_of(profile: &str) -> Option<u64> {
    let line = |name| profile.lines().find_map(|line| line.strip_prefix(name));
    line("totals: ").or_else(|| line("summary: "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_total_of_a_profile() {
        assert_eq!(total_of("events: Ir\nfn=main\n1 2\n\ntotals: 123\n"), Some(123));
        assert_eq!(total_of("events: Ir\n"), None);
    }
}
