//! Sealed tokens, opened under a fixed ring.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anypod_fuzz::seal_open::run(data));
