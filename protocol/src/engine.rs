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
    0x4a, 0xc6, 0x8c, 0x5f, 0x9f, 0xc6, 0x55, 0x0f, 0xc2, 0xcb, 0x5f, 0x8d, 0x9d, 0xb0, 0x71, 0x03,
    0x11, 0x36, 0xa5, 0x0b, 0x72, 0x36, 0x20, 0xcd, 0x46, 0x47, 0x28, 0xb0, 0xfe, 0x62, 0xed, 0x62,
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
