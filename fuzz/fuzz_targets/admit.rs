//! Messages with their headers, through admission.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anypod_fuzz::admit::run(data));
