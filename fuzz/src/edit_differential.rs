//! Edits: what is edited in place is the value edited, however the message is cut, and nothing else changes.

use std::borrow::Cow;

use anypod_proto::edit::{EditError, Editor, Rules};
use anypod_proto::scan::{ScanError, Scanner};
use serde_json::Value;

/// Reads the first line of `data` as paths with spaces between them, the bytes of the second as the sizes of pieces,
/// and the rest as the message.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let Ok(paths) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    let paths: Vec<_> = paths.split(' ').filter(|path| !path.is_empty()).collect();
    let sizes: Vec<_> = parts.next().unwrap_or_default().iter().map(|byte| usize::from(*byte % 32) + 1).collect();
    let message = parts.next().unwrap_or_default();
    for sizes in [&sizes[..], &[1], &[usize::MAX]] {
        agrees(&paths, message, sizes);
    }
}

/// Holds the edit of a whole message and that of its pieces, of these sizes again and again, against the edit of its
/// value.
pub fn agrees(paths: &[&str], message: &[u8], sizes: &[usize]) {
    let Ok(rules) = Rules::new(paths.iter().copied()) else { return };
    let pieces = in_pieces(&rules, message, sizes);
    let Ok(text) = std::str::from_utf8(message) else {
        return assert!(matches!(pieces, Err(EditError::NotUtf8(_) | EditError::NotJson(_))), "{pieces:?}");
    };
    let whole = rules.edit(text, replacement);
    assert_eq!(pieces, whole.clone().map(|edited| edited.into_owned().into_bytes()));
    assert_eq!(whole.as_ref().err(), scan(text).map_err(EditError::NotJson).err().as_ref());
    // `serde_json` keeps numbers as doubles and stops at one that does not fit.
    if let (Ok(edited), Ok(mut value)) = (whole, serde_json::from_str::<Value>(text)) {
        for (rule, path) in paths.iter().enumerate() {
            // Of two rules for one path, the last counts.
            if !paths[rule + 1..].contains(path) {
                edit(&mut value, path, rule);
            }
        }
        assert_eq!(serde_json::from_str::<Value>(&edited).ok(), Some(value));
        if let Cow::Borrowed(same) = edited {
            assert_eq!(same, text);
        }
    }
}

/// Replaces every string but those of three characters, which tell their rule afterwards.
fn replacement(rule: usize, string: Cow<'_, str>) -> Option<String> {
    (string.chars().count() != 3).then(|| format!("{rule}\n\u{e9}\"{string}"))
}

fn in_pieces(rules: &Rules, message: &[u8], sizes: &[usize]) -> Result<Vec<u8>, EditError> {
    let mut editor = Editor::new(rules, usize::MAX);
    let (mut out, mut rest, mut sizes) = (Vec::new(), message, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(usize::MAX).min(rest.len());
        let (piece, after) = rest.split_at(size);
        editor.push(piece, &mut out, replacement)?;
        rest = after;
    }
    editor.finish().map(|()| out)
}

fn scan(text: &str) -> Result<(), ScanError> {
    let mut scanner = Scanner::new(text);
    scanner.value()?;
    scanner.end()
}

fn edit(value: &mut Value, path: &str, rule: usize) {
    if let Some(rest) = path.strip_prefix("[]") {
        return value.as_array_mut().into_iter().flatten().for_each(|item| edit(item, rest, rule));
    }
    if let (true, Value::String(string)) = (path.is_empty(), &mut *value) {
        if let Some(new) = replacement(rule, Cow::Borrowed(string)) {
            *string = new;
        }
        return;
    }
    let path = path.strip_prefix('.').unwrap_or(path);
    let (name, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
    if let (false, Some(member)) = (name.is_empty(), value.get_mut(name)) {
        edit(member, rest, rule);
    }
}
