#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hookswitch_fuzz::dialect::check_all(data));
