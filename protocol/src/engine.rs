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
    0x59, 0xd5, 0x33, 0xc6, 0x73, 0x79, 0x81, 0x6c, 0xcd, 0xd2, 0xa3, 0x1e, 0xf4, 0xdb, 0x9f, 0xe1,
    0x79, 0xde, 0x55, 0x77, 0x2d, 0x47, 0x3c, 0x45, 0x09, 0x81, 0x80, 0x0d, 0xe7, 0xeb, 0xfa, 0x76,
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
