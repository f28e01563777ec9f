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
    // A dot is not encoded, so that a list of labels can come back as more labels than it has names.
    if again.len() <= MAX_URI_LEN && !template.as_str().contains("{.") {
        assert!(template.match_uri(&again).is_some(), "{template} gives {again} for {values:?}");
    }
}
