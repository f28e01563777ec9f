//! A small line diff, for reports.

use serde_json::Value;

/// How many equal lines are shown around those that differ.
const CONTEXT: usize = 3;

/// How many lines are shown at most.
const MAX_LINES: usize = 60;

/// The largest table that is searched for common lines; beyond that, everything between the first and the
/// last differing line counts as different.
const MAX_CELLS: usize = 1 << 20;

/// The differing lines of two values, written with one member per line.
pub(crate) fn json(expected: &Value, got: &Value) -> String {
    lines(&format!("{expected:#}"), &format!("{got:#}"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Missing(&'a str),
    Added(&'a str),
}

fn lines(expected: &str, got: &str) -> String {
    let (expected, got): (Vec<_>, Vec<_>) = (expected.lines().collect(), got.lines().collect());
    let lines = align(&expected, &got);
    let differs: Vec<_> = lines.iter().map(|line| !matches!(line, Line::Same(_))).collect();
    let near = |at: usize| {
        let window = at.saturating_sub(CONTEXT)..differs.len().min(at + CONTEXT + 1);
        differs[window].contains(&true)
    };
    let mut out = String::new();
    let (mut shown, mut skipping) = (0, false);
    for (at, line) in lines.iter().enumerate() {
        if shown == MAX_LINES {
            out.push_str("  … and more\n");
            break;
        }
        if near(at) {
            let (mark, text) = match line {
                Line::Same(text) => (' ', text),
                Line::Missing(text) => ('-', text),
                Line::Added(text) => ('+', text),
            };
            out.push_str(&format!("{mark} {text}\n"));
            shown += 1;
        } else if !skipping {
            out.push_str("  …\n");
        }
        skipping = !near(at);
    }
    out
}

/// Both texts as one sequence of lines, with as many common lines as there can be.
fn align<'a>(expected: &[&'a str], got: &[&'a str]) -> Vec<Line<'a>> {
    let start = expected.iter().zip(got).take_while(|(one, other)| one == other).count();
    let (left, right) = (&expected[start..], &got[start..]);
    let end = left.iter().rev().zip(right.iter().rev()).take_while(|(one, other)| one == other).count();
    let (left, right) = (&left[..left.len() - end], &right[..right.len() - end]);
    let mut lines: Vec<_> = expected[..start].iter().map(|line| Line::Same(line)).collect();
    if left.len().saturating_mul(right.len()) > MAX_CELLS {
        lines.extend(left.iter().map(|line| Line::Missing(line)));
        lines.extend(right.iter().map(|line| Line::Added(line)));
    } else {
        lines.extend(common(left, right));
    }
    lines.extend(expected[expected.len() - end..].iter().map(|line| Line::Same(line)));
    lines
}

fn common<'a>(left: &[&'a str], right: &[&'a str]) -> Vec<Line<'a>> {
    // `table[i][j]` is the length of the longest common subsequence of `left[i..]` and `right[j..]`.
    let mut table = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            table[i][j] = match left[i] == right[j] {
                true => table[i + 1][j + 1] + 1,
                false => table[i + 1][j].max(table[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::with_capacity(left.len() + right.len());
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            lines.push(Line::Same(left[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == right.len() || i < left.len() && table[i + 1][j] >= table[i][j + 1] {
            lines.push(Line::Missing(left[i]));
            i += 1;
        } else {
            lines.push(Line::Added(right[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_differs_and_a_little_around_it() {
        let before: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let mut after = before.clone();
        after[10] = "ten".to_owned();
        let shown = lines(&before.join("\n"), &after.join("\n"));
        assert_eq!(shown, "  …\n  7\n  8\n  9\n- 10\n+ ten\n  11\n  12\n  13\n  …\n");
    }

    #[test]
    fn finds_lines_that_were_added_and_removed() {
        assert_eq!(lines("a\nb\nc\nd", "a\nc\nx\nd"), "  a\n- b\n  c\n+ x\n  d\n");
        assert_eq!(lines("", "a"), "+ a\n");
        assert_eq!(lines("a\na", "a"), "  a\n- a\n");
    }

    #[test]
    fn gives_up_on_long_differences() {
        let many = |word: &str| (0..3000).map(|number| format!("{word}{number}\n")).collect::<String>();
        let shown = lines(&many("a"), &many("b"));
        assert_eq!(shown.lines().count(), MAX_LINES + 1);
    }
}
