//! Messages with their headers, in pieces, through the verifier and admission.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anypod_fuzz::verify_differential::run(data));
