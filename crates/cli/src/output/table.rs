//! Tables for lists: columns as wide as they must be, and at a terminal no wider than it is.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::clean;

/// What is between two columns.
const GAP: usize = 2;
/// The widest that a column other than the last gets, in columns of the terminal.
const WIDEST: usize = 40;
/// The least that a column gets, however narrow the terminal.
const NARROWEST: usize = 24;

/// Rows of text that others wrote.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| clean::line(cell.trim()).into_owned());
        self.rows.push(cells.collect());
    }

    /// The table as text for a terminal of `width` columns, in which every cell keeps to its column; without one, a
    /// line for each row. Heads are bold where colours are.
    pub(crate) fn render(&self, width: Option<usize>, coloured: bool) -> String {
        let widths = self.widths(width);
        let heads: Vec<String> = self.head.iter().map(|head| (*head).to_owned()).collect();
        let mut out = String::new();
        push_row(&mut out, &heads, &widths, |_| coloured.then_some("1"));
        for row in &self.rows {
            push_row(&mut out, row, &widths, |column| (coloured && column == 0).then_some("36"));
        }
        out
    }

    /// How wide each column is, and what becomes of wider cells.
    fn widths(&self, limit: Option<usize>) -> Vec<Width> {
        let last = self.head.len().saturating_sub(1);
        let mut used = 0;
        let mut widths = Vec::with_capacity(self.head.len());
        for (column, head) in self.head.iter().enumerate() {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
            let widest = cells.max().unwrap_or(0).max(head.width());
            widths.push(match limit {
                None => Width { columns: widest.min(WIDEST), breaks: false },
                Some(limit) if column == last => {
                    Width { columns: limit.saturating_sub(used).max(NARROWEST), breaks: true }
                }
                Some(limit) => Width { columns: widest.min(WIDEST).min((limit / 2).max(NARROWEST)), breaks: true },
            });
            used += widths[column].columns + GAP;
        }
        widths
    }
}

/// How wide a column is.
struct Width {
    columns: usize,
    /// Whether wider cells are broken into lines, or push the rest of their row aside.
    breaks: bool,
}

fn push_row(out: &mut String, cells: &[String], widths: &[Width], colour: impl Fn(usize) -> Option<&'static str>) {
    let cells = cells.iter().zip(widths);
    let parts: Vec<Vec<String>> =
        cells.map(|(cell, width)| wrap(cell, width.breaks.then_some(width.columns))).collect();
    let height = parts.iter().map(Vec::len).max().unwrap_or(0);
    for number in 0..height {
        let mut line = String::new();
        // Blanks come with what follows them: no line ends with any.
        let mut blanks = 0;
        for (column, (lines, width)) in parts.iter().zip(widths).enumerate() {
            let text = lines.get(number).map_or("", String::as_str);
            if !text.is_empty() {
                line.push_str(&" ".repeat(blanks));
                blanks = 0;
                match colour(column) {
                    Some(colour) => line.push_str(&format!("\x1b[{colour}m{text}\x1b[0m")),
                    None => line.push_str(text),
                }
            }
            blanks += width.columns.saturating_sub(text.width()) + GAP;
        }
        out.push_str(&line);
        out.push('\n');
    }
}

/// Breaks a text at its spaces, and words that are too long anywhere.
pub(crate) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let wide = word.width();
        if used > 0 && used + 1 + wide > width {
            lines.push(String::new());
            used = 0;
        } else if used > 0 {
            lines.last_mut().expect("there is a first line").push(' ');
            used += 1;
        }
        for char in word.chars() {
            let wide = char.width().unwrap_or(0);
            if used + wide > width && used > 0 {
                lines.push(String::new());
                used = 0;
            }
            lines.last_mut().expect("there is a first line").push(char);
            used += wide;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["NAME", "DESCRIPTION"]);
        table.push(["add".to_owned(), "Adds two numbers and says what comes of it".to_owned()]);
        table.push(["日本".to_owned(), "two wide characters".to_owned()]);
        table
    }

    #[test]
    fn columns_line_up_and_the_last_one_is_broken_where_the_terminal_ends() {
        let expected = "NAME  DESCRIPTION\n\
                        add   Adds two numbers and says\n      what comes of it\n\
                        日本  two wide characters\n";
        assert_eq!(table().render(Some(32), false), expected);
        assert!(table().render(Some(32), false).lines().all(|line| line.width() <= 32));
        assert_eq!(table().render(None, false).lines().count(), 3);
    }

    #[test]
    fn a_terminal_too_narrow_for_anything_still_gets_all_of_it() {
        let text: String = table().render(Some(1), false).split_whitespace().collect();
        assert_eq!(text, table().render(None, false).split_whitespace().collect::<String>());
    }

    #[test]
    fn a_cell_that_is_too_wide_is_broken_at_a_terminal_and_kept_whole_in_a_pipe() {
        let mut table = table();
        table.push(["x".repeat(100), "far".to_owned()]);
        let text = table.render(Some(60), false);
        assert!(text.lines().all(|line| line.width() <= 60), "{text}");
        assert_eq!(text.matches('x').count(), 100);
        let text = table.render(None, false);
        assert!(text.contains(&format!("{}  far\n", "x".repeat(100))), "{text}");
    }

    #[test]
    fn cells_are_one_line_and_bring_no_escapes_of_their_own() {
        let mut table = Table::new(&["NAME", "DESCRIPTION"]);
        table.push(["a\nb".to_owned(), "\x1b[31mred".to_owned()]);
        let text = table.render(Some(80), false);
        assert!(text.contains("a b") && !text.contains('\x1b'), "{text:?}");
    }

    #[test]
    fn long_words_are_broken_anywhere() {
        assert_eq!(wrap("abcdefgh ij", Some(3)), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", Some(3)), [""]);
    }
}
