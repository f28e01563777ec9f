//! Encoded header values, read and written back.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anypod_fuzz::header_value::run(data));
