//! A strict reader of the exposition format 0.0.4: it refuses what Prometheus would refuse or warn about.

use std::collections::{BTreeMap, BTreeSet};

/// A page that was read.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// The metrics with their types.
    pub(crate) kinds: BTreeMap<String, String>,
    /// The samples by name and labels.
    pub(crate) samples: BTreeMap<(String, Labels), f64>,
}

/// Labels with their values.
pub(crate) type Labels = BTreeMap<String, String>;

impl Metrics {
    /// Reads a page.
    #[track_caller]
    pub(crate) fn read(text: &str) -> Self {
        let mut metrics = Self::default();
        let mut current = String::new();
        let mut helped = BTreeSet::new();
        assert!(text.ends_with('\n'), "the last line has an end");
        for line in text.lines() {
            assert!(!line.is_empty() && !line.contains('\r'), "{line:?}");
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a text");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert!(["counter", "gauge", "histogram"].contains(&kind) && helped.contains(name), "{line}");
                assert!(is_name(name) && (kind == "counter") == name.ends_with("_total"), "{line}");
                let before = metrics.kinds.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "a metric has one head: {line}");
                name.clone_into(&mut current);
            } else {
                metrics.sample(line, &current);
            }
        }
        metrics.check_histograms();
        metrics
    }

    #[track_caller]
    fn sample(&mut self, line: &str, current: &str) {
        let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
        let (name, rest) = line.split_at(end);
        let suffixes: &[&str] = if self.kinds[current] == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(suffixes.iter().any(|suffix| name == format!("{current}{suffix}")), "{line} is below {current}");
        let (labels, value) = labels(rest);
        let value: f64 =
            value.strip_prefix(' ').and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        assert!(value.is_finite(), "{line}");
        let before = self.samples.insert((name.to_owned(), labels), value);
        assert_eq!(before, None, "a series is there once: {line}");
    }

    fn check_histograms(&self) {
        let mut last: Option<(Labels, f64)> = None;
        let by_bound = |name: &str| {
            let mut buckets: Vec<(Labels, f64, f64)> = Vec::new();
            for ((sample, labels), count) in &self.samples {
                if *sample == format!("{name}_bucket") {
                    let mut labels = labels.clone();
                    let bound = labels.remove("le").expect("a bound");
                    buckets.push((labels, bound.parse().expect("a number"), *count));
                }
            }
            buckets.sort_by(|one, other| one.partial_cmp(other).expect("no NaN"));
            buckets
        };
        for (name, _) in self.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
            for (labels, bound, count) in by_bound(name) {
                if let Some((of, before)) = &last
                    && *of == labels
                {
                    assert!(*before <= count, "{name} {labels:?} {bound}");
                }
                if bound.is_infinite() {
                    assert_eq!(self.samples[&(format!("{name}_count"), labels.clone())], count);
                }
                last = Some((labels, count));
            }
        }
    }

    /// The value of a series; 0 if it is not there.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied().unwrap_or(0.0)
    }

    /// The sum of all series of that name with these labels among theirs.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |of: &Labels| labels.iter().all(|(name, value)| of.get(*name).is_some_and(|is| is == value));
        self.samples.iter().filter(|((sample, of), _)| sample == name && fits(of)).map(|(_, value)| value).sum()
    }

    /// The values of a label among the series of that name.
    pub(crate) fn values(&self, name: &str, label: &str) -> BTreeSet<&str> {
        let of_name = self.samples.keys().filter(|(sample, _)| sample == name);
        of_name.filter_map(|(_, labels)| labels.get(label).map(String::as_str)).collect()
    }
}

/// The labels in braces, if there are any, and what follows them.
#[track_caller]
fn labels(text: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    loop {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{text}"));
        assert!(is_name(name) && !name.contains(':'), "{text}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("{text}")) {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next().map(|(_, char)| char) {
                    Some('n') => '\n',
                    Some(char @ ('\\' | '"')) => char,
                    other => panic!("\\{other:?} in {text}"),
                }),
                (_, char) => value.push(char),
            }
        };
        assert_eq!(labels.insert(name.to_owned(), value), None, "{text}");
        rest = &after[end..];
        match rest.as_bytes().first() {
            Some(b',') => rest = &rest[1..],
            Some(b'}') => return (labels, &rest[1..]),
            _ => panic!("{text}"),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

#[test]
#[should_panic(expected = "a series is there once")]
fn the_reader_refuses_a_series_that_is_there_twice() {
    Metrics::read("# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\"} 1\na_total{b=\"c\"} 2\n");
}

#[test]
#[should_panic(expected = "is below")]
fn the_reader_refuses_a_sample_of_another_metric() {
    Metrics::read("# HELP a x\n# TYPE a gauge\nb 1\n");
}
