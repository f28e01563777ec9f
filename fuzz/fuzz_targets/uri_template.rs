//! URI templates and the URIs that they match.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anypod_fuzz::uri_template::run(data));
