//! JSON texts, held against another reader.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anypod_fuzz::scan::run(data));
