//! Writing JSON strings.
//!
//! Long texts are what tools mostly answer with, so the stretches between characters that need an escape
//! are found and copied whole.

use crate::scan::plain_prefix;

/// Appends `text` as a JSON string, quotes included. Escapes what JSON demands and nothing else, so that
/// the bytes are the same as those of `serde_json`.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, special) = rest.split_at(plain_prefix(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        match byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            0x08 => out.extend_from_slice(br"\b"),
            b'\t' => out.extend_from_slice(br"\t"),
            b'\n' => out.extend_from_slice(br"\n"),
            0x0c => out.extend_from_slice(br"\f"),
            b'\r' => out.extend_from_slice(br"\r"),
            control => {
                out.extend_from_slice(br"\u00");
                out.extend([control >> 4, control & 0xf].map(|digit| HEX[usize::from(digit)]));
            }
        }
        rest = after;
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        push_string(&mut out, text);
        out
    }

    #[test]
    fn writes_every_control_character_as_serde_json_does() {
        let all: String = (0..0x100).filter_map(char::from_u32).collect();
        assert_eq!(written(&all), serde_json::to_vec(&all).unwrap());
    }

    proptest! {
        #[test]
        fn writes_any_text_as_serde_json_does(text in any::<String>(), pad in 0..80usize) {
            let text = format!("{}{text}", "x".repeat(pad));
            prop_assert_eq!(written(&text), serde_json::to_vec(&text).unwrap());
        }
    }
}
