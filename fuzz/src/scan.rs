//! JSON: the scanner takes what `serde_json` takes, and its slices are the values.

use anypod_proto::scan::{ScanError, Scanner, Str};
use serde_json::Value;

/// Scans `data` and reads it with `serde_json`.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let scanned = scan(text);
    match serde_json::from_str::<Value>(text) {
        Ok(value) => {
            let slice = scanned.unwrap_or_else(|error| panic!("refuses {text:?}: {error}"));
            assert_eq!(serde_json::from_str::<Value>(slice).ok().as_ref(), Some(&value));
            if let Value::String(value) = &value {
                let string = Str::parse(slice).expect("a string");
                assert_eq!((&*string.decode(), string.char_count()), (value.as_str(), value.chars().count()));
                assert!(string.is(value));
            }
        }
        // `serde_json` keeps numbers as doubles and stops at one that does not fit.
        Err(error) if error.to_string().starts_with("number out of range") => {}
        Err(error) => assert!(scanned.is_err(), "takes {text:?}, which is no JSON: {error}"),
    }
    if let Err(error) = scanned {
        assert!(error.at <= text.len());
    }
}

fn scan(text: &str) -> Result<&str, ScanError> {
    let mut scanner = Scanner::new(text);
    let value = scanner.value()?;
    scanner.end().map(|()| value)
}
