//! Whatever a job leaves in its scratch directory, nothing but small regular files come out.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sandbox::fuzzing::output_collector(bytes));
