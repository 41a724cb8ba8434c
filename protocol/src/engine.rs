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
    0xb5, 0xe2, 0xde, 0x8a, 0x81, 0x60, 0x29, 0xbe,
    0xea, 0xf9, 0x6c, 0xcf, 0x9e, 0x77, 0xfa, 0x5f,
    0xda, 0x2c, 0x77, 0x55, 0xc6, 0x03, 0xe9, 0x37,
    0x91, 0x9d, 0x6a, 0x58, 0x6a, 0x41, 0xf4, 0x54,
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
