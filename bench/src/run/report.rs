//! One table for people and one line per bar for machines.

use std::{fmt, fs, path::Path};

use anyhow::{Result, bail};

/// What a figure must reach.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bar) => value >= bar,
            Self::AtMost(bar) => value <= bar,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bar) => write!(f, "at least {}", Number(*bar)),
            Self::AtMost(bar) if bar.is_nan() => f.write_str("not above the small call's"),
            Self::AtMost(bar) => write!(f, "at most {}", Number(*bar)),
        }
    }
}

/// A value that has a bar; none when a peer is missing or failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: Option<f64>,
    pub(super) unit: &'static str,
    pub(super) bar: Bar,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Some(value) => write!(f, "figure {} {} {}", self.name, Number(value), self.unit),
            None => write!(f, "missing {} (a peer was not built or failed)", self.name),
        }
    }
}

/// One measure of all peers, in the order of [`Table::peers`].
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) measure: String,
    pub(super) values: Vec<Option<f64>>,
}

/// What a session found out, as Markdown.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) machine: Vec<String>,
    pub(super) peers: Vec<&'static str>,
    pub(super) rows: Vec<Row>,
    pub(super) figures: Vec<Figure>,
}

impl Table {
    /// Puts the table into `RESULTS.md` in the place of its predecessor, and prints it with the figures.
    ///
    /// # Errors
    /// When the file cannot be written or a figure is missing.
    pub(super) fn publish(&self, directory: &Path) -> Result<()> {
        let text = self.to_string();
        let path = directory.join("RESULTS.md");
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, replace_section(&before, &text))?;
        self.print()
    }

    /// Prints the table, then the figures, one a line and nothing after them.
    ///
    /// # Errors
    /// When one is missing.
    pub(super) fn print(&self) -> Result<()> {
        print!("{self}");
        for figure in &self.figures {
            println!("{figure}");
        }
        match self.figures.iter().filter(|figure| figure.value.is_none()).count() {
            0 => Ok(()),
            missing => bail!("{missing} of {} figures are missing", self.figures.len()),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}\n", self.title)?;
        for line in &self.machine {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "\n| measure | {} |", self.peers.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(self.peers.len()))?;
        for row in &self.rows {
            let shown = |value: &Option<f64>| value.map_or_else(|| "–".to_owned(), |value| Number(value).to_string());
            let values: Vec<_> = row.values.iter().map(shown).collect();
            writeln!(f, "| {} | {} |", row.measure, values.join(" | "))?;
        }
        writeln!(f)?;
        for figure in &self.figures {
            let verdict = match figure.value {
                Some(value) if figure.bar.is_met_by(value) => "met",
                Some(_) => "MISSED",
                None => "no value",
            };
            writeln!(f, "- `{figure}`; bar: {}; {verdict}", figure.bar)?;
        }
        writeln!(f)
    }
}

/// `all` with the section that has the title of `section` replaced by it, or with it at the end.
fn replace_section(all: &str, section: &str) -> String {
    let title = section.lines().next().unwrap_or_default();
    let mut sections: Vec<String> = Vec::new();
    for line in all.lines() {
        match sections.last_mut() {
            Some(last) if !line.starts_with("# ") => last.push_str(&format!("{line}\n")),
            _ => sections.push(format!("{line}\n")),
        }
    }
    match sections.iter_mut().find(|own| own.lines().next() == Some(title)) {
        Some(own) => section.clone_into(own),
        None => sections.push(section.to_owned()),
    }
    sections.concat()
}

/// A number with as many decimals as its size deserves.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = match self.0.abs() {
            size if size < 10.0 => 2,
            size if size < 1_000.0 => 1,
            _ => 0,
        };
        write!(f, "{:.decimals$}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_without_a_value_is_never_a_number() {
        let figure = Figure { name: "speed", value: None, unit: "ratio", bar: Bar::AtLeast(0.8) };
        assert_eq!(figure.to_string(), "missing speed (a peer was not built or failed)");
        let figure = Figure { value: Some(0.834), ..figure };
        assert_eq!(figure.to_string(), "figure speed 0.83 ratio");
    }

    #[test]
    fn a_section_takes_the_place_of_its_predecessor_and_of_no_other() {
        let all = replace_section("# A\n\nold\n# B\n\nkept\n", "# A\n\nnew\n");
        assert_eq!(all, "# A\n\nnew\n# B\n\nkept\n");
        assert_eq!(replace_section(&all, "# C\n"), format!("{all}# C\n"));
    }

    #[test]
    fn a_bar_is_met_at_its_own_value() {
        assert!(Bar::AtLeast(0.8).is_met_by(0.8) && !Bar::AtLeast(0.8).is_met_by(0.79));
        assert!(Bar::AtMost(40.0).is_met_by(40.0) && !Bar::AtMost(40.0).is_met_by(41.0));
    }
}
