//! URI templates: whatever matches can be expanded, and that matches again.

use anypod_proto::uri_template::{MAX_URI_LEN, UriTemplate};

/// Reads the first line of `data` as a template and matches the rest with it.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (template, uri) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(template) = UriTemplate::parse(template) else { return };
    assert_eq!(UriTemplate::parse(template.as_str()).as_ref(), Ok(&template));
    let Some(values) = template.match_uri(uri) else { return };
    assert!(values.len() <= template.variables().len());
    let lookup = |name: &str| values.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_str());
    let again = template.expand(lookup);
    // RFC 6570 cannot always be undone: dots are not encoded, so that labels can come back as more labels
    // than there are names, and `{+a}` and `{#a}` keep what looks encoded in a value, which is decoded then.
    let labels = template.as_str().contains("{.");
    let looks_encoded = values.iter().any(|(_, value)| value.contains('%'));
    if again.len() <= MAX_URI_LEN && !labels && !looks_encoded {
        assert!(template.match_uri(&again).is_some(), "{template} gives {again} for {values:?}");
    }
}
