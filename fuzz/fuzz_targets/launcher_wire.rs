//! Whatever arrives on a launcher's socket decodes within bounds or is refused, and what decodes
//! can be laid out for a job without a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sandbox::fuzzing::launcher_wire(bytes));
