#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anypod_fuzz::uri_template::run(data));
