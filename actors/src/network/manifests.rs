//! What bytes that should be a manifest turn out to be. Pure.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_arithmetic,
        clippy::as_conversions
    )
)]

use protocol::codec::decode_canonical;
use protocol::digest::{Digest, sha256};
use protocol::manifest::{FileDigest, InputManifest, MANIFEST_BYTES_MAX, ModelManifest};

use crate::jobs::workflow::Artifact;

/// What an answer to the question for a manifest is, if it is not that manifest.
pub(super) enum BlobKind {
    /// The key names these bytes, as something else.
    Other,
    /// Too long for a manifest: the start of a blob that cannot be checked from here.
    Unknown,
    /// The key names nothing like it.
    Forged,
}

/// What a blob that came as a manifest is.
pub(super) fn blob_kind(key: &Digest, bytes: &[u8]) -> BlobKind {
    if bytes.len() > MANIFEST_BYTES_MAX {
        return BlobKind::Unknown;
    }
    let model = decode_canonical::<ModelManifest>(bytes).is_ok_and(|model| model.root() == *key);
    let input = decode_canonical::<InputManifest>(bytes).is_ok_and(|input| input.root() == *key);
    if model || input || sha256(bytes) == *key {
        BlobKind::Other
    } else {
        BlobKind::Forged
    }
}

/// The file that a manifest names, if the manifest is the one with this root and makes sense.
pub(crate) fn file_of(artifact: &Artifact, manifest: &[u8]) -> Option<FileDigest> {
    match artifact {
        Artifact::Model(root) => {
            let model: ModelManifest = decode_canonical(manifest).ok()?;
            (model.root() == *root && model.check().is_ok()).then_some(model.file)
        }
        Artifact::Input(root) => {
            let input: InputManifest = decode_canonical(manifest).ok()?;
            (input.root() == *root && input.check().is_ok()).then_some(input.bundle)
        }
        Artifact::Output { .. } => None,
    }
}
