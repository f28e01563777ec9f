//! Event streams, however they are cut.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anypod_fuzz::sse_decode::run(data));
