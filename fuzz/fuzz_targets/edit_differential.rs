//! Messages with the places in them that are edited.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anypod_fuzz::edit_differential::run(data));
