//! The text that Prometheus reads: exposition format 0.0.4.

use std::fmt::{Display, Write};

use super::number::{BUCKETS, Histogram};

/// The media type of the format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A label with its value.
pub(super) type Label<'a> = (&'static str, &'a str);

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page of metrics. All samples of a metric follow its head.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    /// Begins a metric.
    pub(super) fn metric(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.name = name;
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Adds a sample of the metric.
    pub(super) fn sample(&mut self, labels: &[Label<'_>], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Adds the samples of a histogram.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], histogram: &Histogram) {
        let cumulated = histogram.cumulated();
        for (micros, count) in BUCKETS.iter().zip(cumulated) {
            let bound = seconds(*micros);
            self.line("_bucket", labels, Some(("le", &bound)), count);
        }
        let all = cumulated[BUCKETS.len()];
        self.line("_bucket", labels, Some(("le", "+Inf")), all);
        self.line("_sum", labels, None, histogram.sum());
        self.line("_count", labels, None, all);
    }

    /// The page.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], bound: Option<Label<'_>>, value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut opening = '{';
        for (label, value) in labels.iter().chain(bound.as_ref()) {
            self.text.push(opening);
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(&mut self.text, value);
            self.text.push('"');
            opening = ',';
        }
        if opening == ',' {
            self.text.push('}');
        }
        self.put(format_args!(" {value}\n"));
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a String takes everything");
    }
}

fn escape(out: &mut String, value: &str) {
    for char in value.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            char => out.push(char),
        }
    }
}

/// Microseconds as seconds, exactly.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_value_of_a_label_cannot_leave_its_quotes() {
        let mut page = Page::default();
        page.metric("x", Kind::Gauge, "a\\b\nc");
        page.sample(&[("a", "\"} 1\n# \\"), ("b", "é")], 7);
        let expected = "# HELP x a\\\\b\\nc\n# TYPE x gauge\nx{a=\"\\\"} 1\\n# \\\\\",b=\"é\"} 7\n";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn a_histogram_has_cumulated_buckets_a_sum_and_a_count() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(2));
        histogram.observe(Duration::from_secs(100));
        let mut page = Page::default();
        page.metric("x", Kind::Histogram, "times");
        page.histogram(&[], &histogram);
        let text = page.into_text();
        for line in ["x_bucket{le=\"0.0005\"} 0", "x_bucket{le=\"0.0025\"} 1", "x_bucket{le=\"60\"} 1"] {
            assert!(text.contains(&format!("{line}\n")), "{text}");
        }
        assert!(text.ends_with("x_bucket{le=\"+Inf\"} 2\nx_sum 100.002\nx_count 2\n"), "{text}");
    }
}
