//! What the numbers were taken on and from.

use std::{fs, process::Command};

/// Crates whose versions explain a peer's numbers.
const CRATES: [&str; 8] = ["axum", "hyper", "rmcp", "rusqlite", "serde_json", "tokio", "tokio-postgres", "mio"];

/// The lines that head a table of results. What cannot be found out is said to be unknown.
pub(super) fn describe() -> Vec<String> {
    let versions: Vec<_> =
        CRATES.iter().map(|name| format!("{name} {}", locked_version(name).unwrap_or("unknown"))).collect();
    vec![
        format!("- machine: {}, {} cores, Linux {}", cpu(), cores(), output("uname", &["-r"])),
        format!("- compiler: {}", output("rustc", &["--version"])),
        format!("- commit: {}", output("git", &["describe", "--always", "--dirty", "--exclude=*"])),
        format!("- crates: {}", versions.join(", ")),
    ]
}

/// How many cores this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn cpu() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown CPU".to_owned(), |(_, model)| model.to_owned())
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    text.map_or_else(|| "unknown".to_owned(), |text| String::from_utf8_lossy(&text).trim().to_owned())
}

fn locked_version(name: &str) -> Option<&'static str> {
    let lock = include_str!("../../Cargo.lock");
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_of_every_crate_it_names() {
        for name in CRATES {
            assert!(locked_version(name).is_some(), "{name}");
        }
    }
}
