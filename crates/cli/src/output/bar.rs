//! One line that says how far something has come.

use unicode_width::UnicodeWidthChar;

use super::clean;

/// The widest that the bar itself gets, in columns of the terminal.
const BAR: usize = 30;

/// How far something has come, as its server says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Progress {
    /// How far.
    pub(crate) done: f64,
    /// How far it will go, if known.
    pub(crate) total: Option<f64>,
    /// What is being done.
    pub(crate) message: Option<String>,
}

impl Progress {
    /// As a bar that fits into `width` columns.
    pub(crate) fn bar(&self, width: usize) -> String {
        let share = self.share();
        let bar = match share {
            Some(share) => {
                let cells = BAR.min(width / 3);
                let full = filled(share, cells);
                format!("[{}{}] {:>3.0} %", "#".repeat(full), ".".repeat(cells - full), (share * 100.0).floor())
            }
            None => plain_number(self.done),
        };
        // The last column stays free: some terminals go to the next line once it is written.
        fit(&format!("{bar}{}", self.tail()), width.saturating_sub(1))
    }

    /// As a plain line.
    pub(crate) fn line(&self) -> String {
        match self.total {
            Some(total) => format!("{}/{}{}", plain_number(self.done), plain_number(total), self.tail()),
            None => format!("{}{}", plain_number(self.done), self.tail()),
        }
    }

    fn tail(&self) -> String {
        self.message.as_deref().map(|text| format!(" {}", clean::line(text.trim()))).unwrap_or_default()
    }

    /// From 0 to 1, if the total is known and the numbers make sense.
    fn share(&self) -> Option<f64> {
        let total = self.total.filter(|total| total.is_finite() && *total > 0.0)?;
        self.done.is_finite().then(|| (self.done / total).clamp(0.0, 1.0))
    }
}

/// How many of `cells` are full.
fn filled(share: f64, cells: usize) -> usize {
    (1..=cells).take_while(|cell| *cell as f64 <= share * cells as f64).count()
}

fn plain_number(number: f64) -> String {
    match number.fract() == 0.0 && number.abs() < 1e15 {
        true => format!("{number:.0}"),
        false => format!("{number}"),
    }
}

/// The beginning of a text that fits into `width` columns.
fn fit(text: &str, width: usize) -> String {
    let mut used = 0;
    let fits = |char: &char| {
        used += char.width().unwrap_or(0);
        used <= width
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(done: f64, total: Option<f64>) -> Progress {
        Progress { done, total, message: Some("step\x1b[31m".to_owned()) }
    }

    #[test]
    fn a_bar_shows_the_share_and_what_is_being_done() {
        assert_eq!(at(1.0, Some(2.0)).bar(36), "[######......]  50 % step\\u{1b}[31m");
        assert_eq!(at(2.0, None).bar(80), "2 step\\u{1b}[31m");
    }

    #[test]
    fn numbers_that_make_no_sense_neither_panic_nor_break_the_line() {
        let numbers = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e308];
        for done in numbers {
            for total in numbers.map(Some).into_iter().chain([None]) {
                for width in [0, 1, 2, 20, 80] {
                    let bar = at(done, total).bar(width);
                    assert!(bar.chars().count() < width.max(1) || bar.is_empty(), "{bar:?} in {width}");
                    assert!(!at(done, total).line().contains('\n'));
                }
            }
        }
    }

    #[test]
    fn a_plain_line_counts() {
        assert_eq!(Progress { done: 1.0, total: Some(3.0), message: None }.line(), "1/3");
        assert_eq!(Progress { done: 1.5, total: None, message: None }.line(), "1.5");
    }
}
