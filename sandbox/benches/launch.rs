//! Launch cost.
#![forbid(unsafe_code)]
fn main() {}
