//! A profile compiles or is refused; one that compiles gives, merged, the answers of its parts.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sandbox::fuzzing::profile_loader(bytes));
