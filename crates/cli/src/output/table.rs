//! Tables for lists: columns as wide as they must be, the last one broken into lines where the terminal ends.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::clean;

/// What is between two columns.
const GAP: usize = 2;
/// The widest that a column other than the last may get, in columns of the terminal. What is wider breaks the line
/// after it.
const WIDEST: usize = 40;
/// The least that is left for the last column; below, it is broken no further.
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

    /// The table as text for lines of `width` columns; unbroken without one. Heads are bold where colours are.
    pub(crate) fn render(&self, width: Option<usize>, coloured: bool) -> String {
        let widths = self.widths();
        let heads: Vec<String> = self.head.iter().map(|head| (*head).to_owned()).collect();
        let mut out = String::new();
        push_row(&mut out, &heads, &widths, None, |text, _| match coloured {
            true => format!("\x1b[1m{text}\x1b[0m"),
            false => text.to_owned(),
        });
        for row in &self.rows {
            push_row(&mut out, row, &widths, width, |text, column| match (coloured, column) {
                (true, 0) => format!("\x1b[36m{text}\x1b[0m"),
                (true, _) | (false, _) => text.to_owned(),
            });
        }
        out
    }

    /// How wide each column but the last is.
    fn widths(&self) -> Vec<usize> {
        let last = self.head.len().saturating_sub(1);
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
            let cells = cells.filter(|width| *width <= WIDEST).max().unwrap_or(0);
            cells.max(self.head[column].width())
        };
        (0..last).map(widest).collect()
    }
}

fn push_row(
    out: &mut String,
    cells: &[String],
    widths: &[usize],
    limit: Option<usize>,
    style: impl Fn(&str, usize) -> String,
) {
    let indent: usize = widths.iter().map(|width| width + GAP).sum();
    let mut line = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let Some(width) = widths.get(column) else {
            let room = limit.map(|limit| limit.saturating_sub(indent).max(NARROWEST));
            for (number, part) in wrap(cell, room).iter().enumerate() {
                if number > 0 {
                    line = format!("{}\n{}", line.trim_end(), " ".repeat(indent));
                }
                line.push_str(&style(part, column));
            }
            continue;
        };
        line.push_str(&style(cell, column));
        match width.checked_sub(cell.width()) {
            Some(rest) => line.push_str(&" ".repeat(rest + GAP)),
            None => line = format!("{line}\n{}", " ".repeat(widths[..=column].iter().map(|width| width + GAP).sum())),
        }
    }
    out.push_str(line.trim_end());
    out.push('\n');
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
    fn a_name_that_is_too_wide_does_not_push_the_others_aside() {
        let mut table = table();
        table.push(["x".repeat(100), "far".to_owned()]);
        let text = table.render(Some(200), false);
        assert!(text.contains(&format!("{}\n      far\n", "x".repeat(100))), "{text}");
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
