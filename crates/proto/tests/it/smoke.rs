//! Replays the corpora of the fuzz targets, as they are and changed, without a fuzzer.

#![expect(unreachable_pub, reason = "the targets' files are modules of the fuzz crate too")]

use std::fs;
use std::path::Path;

#[path = "../../../../fuzz/src/admit.rs"]
mod admit;
#[path = "../../../../fuzz/src/edit_differential.rs"]
pub(crate) mod edit_differential;
#[path = "../../../../fuzz/src/header_value.rs"]
mod header_value;
#[path = "../../../../fuzz/src/scan.rs"]
mod scan;
#[path = "../../../../fuzz/src/seal_open.rs"]
mod seal_open;
#[path = "../../../../fuzz/src/sse_decode.rs"]
mod sse_decode;
#[path = "../../../../fuzz/src/uri_template.rs"]
mod uri_template;
#[path = "../../../../fuzz/src/verify_differential.rs"]
pub(crate) mod verify_differential;

const ROUNDS: usize = 4000;

/// Repeats itself on every run; xorshift by Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-")));
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a seed")).collect()
}

fn change(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(input.len() + 1);
    let end = at + random.below((input.len() - at).min(8) + 1);
    let from = random.below(other.len() + 1);
    let until = from + random.below(other.len() - from + 1);
    match random.below(4) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 => drop(input.drain(at..end)),
        2 => input.extend_from_within(at..end),
        _ => drop(input.splice(at..end, other[from..until].iter().copied())),
    }
    input.truncate(4096);
}

fn replay(target: &str, run: impl Fn(&[u8])) {
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target} has no corpus");
    seeds.iter().for_each(|seed| run(seed));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..ROUNDS {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            let other = &seeds[random.below(seeds.len())];
            change(&mut random, &mut input, other);
        }
        run(&input);
    }
}

#[test]
fn admission_survives_its_corpus() {
    replay("admit", admit::run);
}

#[test]
fn json_survives_its_corpus() {
    replay("scan", scan::run);
}

#[test]
fn header_values_survive_their_corpus() {
    replay("header_value", header_value::run);
}

#[test]
fn sealed_tokens_survive_their_corpus() {
    replay("seal_open", seal_open::run);
}

#[test]
fn event_streams_survive_their_corpus() {
    replay("sse_decode", sse_decode::run);
}

#[test]
fn uri_templates_survive_their_corpus() {
    replay("uri_template", uri_template::run);
}

#[test]
fn verified_requests_survive_their_corpus() {
    replay("verify_differential", verify_differential::run);
}

#[test]
fn edits_survive_their_corpus() {
    replay("edit_differential", edit_differential::run);
}
