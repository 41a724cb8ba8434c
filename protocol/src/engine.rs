//! Engines by number, and the digest of the vectors that each must reproduce.
//!
//! A number never changes meaning: another release of tract, or other kernels, is another number.

use crate::digest::Digest;

/// Plays a captured runner; local chains only.
pub const ENGINE_PROBE: u16 = 0;
/// ONNX by tract 0.23.9 with portable kernels, cohort `gen`.
pub const ENGINE_ONNX_GEN: u16 = 1;

/// What the conformance vectors of [`ENGINE_ONNX_GEN`] give on every conforming host.
const CONFORMANCE_ONNX_GEN: [u8; 32] = [
    0x39, 0x6f, 0x55, 0xae, 0xaf, 0x7f, 0x71, 0x44, 0x39, 0xdf, 0xb2, 0xa1, 0x22, 0xa1, 0x10, 0x3a,
    0x70, 0x9d, 0x5e, 0x29, 0xb4, 0xf8, 0x5f, 0x10, 0x13, 0x9d, 0x92, 0xac, 0x18, 0xde, 0x7d, 0x72,
];

/// The digest a host must reproduce before it may compute for others; `None` for engines without
/// vectors.
#[must_use]
pub const fn conformance(engine: u16) -> Option<Digest> {
    match engine {
        ENGINE_ONNX_GEN => Some(Digest(CONFORMANCE_ONNX_GEN)),
        _ => None,
    }
}
