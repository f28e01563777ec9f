//! What others wrote, made safe for a terminal: nothing in it can move the cursor, colour, retitle, or reorder.
//!
//! Every text of a server goes through here before it is shown to a person, also into a pipe, because the pipe may
//! end at a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// Text of several lines: line feeds and tabs stay, everything else that is no text is written as an escape.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    escape(text, |char| matches!(char, '\n' | '\t'))
}

/// Text in one line: what would end the line is a space.
pub(crate) fn line(line: &str) -> Cow<'_, str> {
    match line.contains(['\n', '\r', '\t']) {
        true => Cow::Owned(escape(&line.replace("\r\n", " ").replace(['\n', '\r', '\t'], " "), |_| false).into_owned()),
        false => escape(line, |_| false),
    }
}

/// Text of several lines, each marked, so that none can be taken for one of ours.
pub(crate) fn quote(quoted: &str) -> String {
    text(quoted.trim_end()).lines().map(|line| format!("| {line}\n")).collect()
}

/// A line without the sequences that colour it, as programs log that know no terminal but their own.
pub(crate) fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out.push_str(before);
        let numbers = after.trim_start_matches(|char: char| char.is_ascii_digit() || char == ';');
        rest = numbers.strip_prefix('m').unwrap_or_else(|| {
            out.push('\x1b');
            after
        });
    }
    out.push_str(rest);
    out
}

/// JSON text in one line: what is between the values is left out, and what is no text is escaped as JSON has it, so
/// that the values stay the same.
pub(crate) fn json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for char in json.chars() {
        match (in_string, char) {
            (false, ' ' | '\t' | '\n' | '\r') => continue,
            (_, char) if is_unsafe(char) => push_json_escape(&mut out, char),
            (_, char) => out.push(char),
        }
        if char == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && char == '\\' && !escaped;
    }
    out
}

/// Indented JSON of what a server wrote.
pub(crate) fn pretty(value: &serde_json::Value) -> String {
    let text = serde_json::to_string_pretty(value).expect("a value is JSON");
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match is_unsafe(char) && char != '\n' {
            true => push_json_escape(&mut out, char),
            false => out.push(char),
        }
    }
    out
}

/// Whether a terminal may take it for a command, or show it where it does not stand, or not at all.
fn is_unsafe(char: char) -> bool {
    // Format characters reorder or hide: bidirectional controls, separators of lines, interlinear marks, tags.
    let formats = matches!(char,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    char.is_control() || formats
}

fn escape(text: &str, keeps: impl Fn(char) -> bool) -> Cow<'_, str> {
    let unsafe_here = |char: char| is_unsafe(char) && !keeps(char);
    if !text.contains(unsafe_here) {
        return Cow::Borrowed(text);
    }
    // The ends of lines that other systems write are no reason for escapes all over the text.
    let text = if keeps('\n') { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match unsafe_here(char) {
            true => out.extend(char.escape_unicode()),
            false => out.push(char),
        }
    }
    Cow::Owned(out)
}

fn push_json_escape(out: &mut String, char: char) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const HOSTILE: [&str; 8] = [
        "\x1b[2J\x1b]0;owned\x07",
        "\u{9b}31m",
        "a\rb",
        "\x08\x08",
        "\x7f",
        "\u{202e}txt.exe",
        "\u{2028}",
        "\u{e0041}",
    ];

    #[test]
    fn no_control_character_or_escape_sequence_is_left() {
        for hostile in HOSTILE {
            for clean in [text(hostile), line(hostile), Cow::Owned(json(&format!("\"{hostile}\"")))] {
                assert!(!clean.contains(is_unsafe), "{hostile:?} became {clean:?}");
            }
            assert!(!pretty(&Value::String(hostile.to_owned())).contains(is_unsafe), "{hostile:?}");
        }
        assert_eq!(text("\x1b[2J"), "\\u{1b}[2J");
    }

    #[test]
    fn plain_text_of_every_script_stays_as_it_is() {
        for plain in ["", "a\n\tb", "žluťoučký", "日本語", "👩‍💻", "עברית"] {
            assert!(matches!(text(plain), Cow::Borrowed(kept) if kept == plain), "{plain:?}");
        }
        assert_eq!(text("a\r\nb"), "a\nb");
        assert_eq!(line("a\r\nb\tc\nd"), "a b c d");
    }

    #[test]
    fn no_line_of_a_quotation_looks_like_ours() {
        assert_eq!(quote("a\nhost: good.example\r\n"), "| a\n| host: good.example\n");
    }

    #[test]
    fn colours_are_taken_away_and_nothing_else() {
        assert_eq!(without_colours("\x1b[1;31mred\x1b[0m and \x1b[mplain"), "red and plain");
        for kept in ["plain", "\x1b", "\x1b]0;x\x07"] {
            assert_eq!(without_colours(kept), kept);
        }
        assert_eq!(line(&without_colours("\x1b[2Jx")), "\\u{1b}2Jx");
    }

    #[test]
    fn json_in_one_line_has_the_same_values() {
        let raw = "{ \"a\" : [ 1.50, 1e400 ],\n\t\"b \\\" \\\\\" : \" x \u{9b}\u{e0041} \" }";
        let line = json(raw);
        assert_eq!(line, r#"{"a":[1.50,1e400],"b \" \\":" x \u009b\udb40\udc41 "}"#);
        let read = |text: &str| serde_json::from_str::<Value>(&text.replace("1e400", "1")).unwrap();
        assert_eq!(read(&line), read(raw));
    }
}
