//! Properties of header values.

use anypod_proto::header::{decode_value, encode_value};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_value_survives_a_header(value in any::<String>()) {
        let header = encode_value(&value);
        prop_assert!(http::HeaderValue::from_str(&header).is_ok());
        prop_assert_eq!(decode_value(header.as_bytes()).expect("ours"), &value[..]);
    }

    #[test]
    fn values_that_look_encoded_survive_a_header(value in r"[ \t]?=?\?base64\?[A-Za-z0-9+/]{0,8}={0,2}\?=?[ \t]?") {
        let header = encode_value(&value);
        prop_assert_eq!(decode_value(header.as_bytes()).expect("ours"), &value[..]);
    }

    #[test]
    fn an_encoded_value_has_one_spelling(inner in "[A-Za-f0-3+/]{0,6}={0,2}") {
        let header = format!("=?base64?{inner}?=");
        if let Ok(value) = decode_value(header.as_bytes()) {
            let again = encode_value(&value);
            prop_assert!(again == header || again == value, "{again}");
        }
    }
}
