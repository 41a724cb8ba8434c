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
    0x24, 0xf4, 0x14, 0xa4, 0x0e, 0xed, 0xde, 0xc4,
    0xbd, 0x50, 0xe5, 0x50, 0xc3, 0x4b, 0xc9, 0x1d,
    0x0e, 0xfd, 0x2b, 0xd4, 0x55, 0x0f, 0xa3, 0x5d,
    0x3e, 0x10, 0x7a, 0x2a, 0x27, 0xee, 0x7b, 0xd0,
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
