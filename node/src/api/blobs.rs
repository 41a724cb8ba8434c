//! Models, inputs and outputs: chunks under their own hash, manifests under their root.

use std::sync::Arc;

use actors::handle::PutError;
use protocol::codec::decode_canonical;
use protocol::digest::Digest;
use protocol::manifest::{FileDigest, InputManifest, ModelManifest};
use serde_json::json;
use storage::blobs::BlobError;

use super::answer::Answer;
use super::call::Call;
use super::shared::Shared;
use crate::problem::Problem;

fn refused(error: PutError) -> Problem {
    let code = match &error {
        PutError::Blob(error) => return unkept(error),
        PutError::WrongHash { .. } => "blob.digest",
        PutError::TooLong(_) => "api.body_too_large",
        PutError::Manifest(_) => "model.refused",
        PutError::NotTaken(_) => "api.overloaded",
        _ => "internal",
    };
    Problem::new(code, error)
}

/// Why the store did not keep a blob: what was sent, what is not here, or the disk.
fn unkept(error: &BlobError) -> Problem {
    let code = match error {
        BlobError::Missing { .. } | BlobError::Corrupt { .. } => "blob.missing",
        BlobError::WrongHash { .. } => "blob.digest",
        BlobError::TooLong { .. } => "api.body_too_large",
        BlobError::WrongParts { .. } => "model.refused",
        BlobError::QuotaFull { .. } => "blob.no_room",
        BlobError::Io { .. } => "storage.failed",
        _ => "internal",
    };
    Problem::new(code, error)
}

/// PUT /v1/blobs/{sha256}: one chunk.
pub(crate) async fn put(shared: Arc<Shared>, call: Call) -> Result<Answer, Problem> {
    let key: Digest = call.id(0, "api.bad_request")?;
    shared
        .node
        .put_chunk(key, call.body)
        .await
        .map_err(refused)?;
    Ok(Answer::Created)
}

/// GET /v1/blobs/{sha256}?offset=N: at most 256 KiB from there.
pub(crate) async fn get(shared: Arc<Shared>, call: Call) -> Result<Answer, Problem> {
    let key: Digest = call.id(0, "blob.missing")?;
    let offset = call.number("offset", 0)?;
    let storage = shared.node.storage().clone();
    let read =
        tokio::task::spawn_blocking(move || actors::blobs::chunk(&storage, key, offset)).await;
    let bytes = read.ok().flatten();
    bytes
        .map(Answer::Bytes)
        .ok_or_else(|| Problem::new("blob.missing", format!("{key} at {offset}")))
}

/// Whether a manifest is here with the file it names.
pub(crate) async fn is_whole(shared: &Arc<Shared>, root: Digest) -> bool {
    let Ok(bytes) = shared.node.get_blob(root).await else {
        return false;
    };
    let Some(file) = file_of(&bytes) else {
        return false;
    };
    matches!(shared.node.blob_length(file.sha256).await, Ok(Some(_)))
}

fn file_of(manifest: &[u8]) -> Option<FileDigest> {
    let model = decode_canonical::<ModelManifest>(manifest)
        .ok()
        .map(|model| model.file);
    model.or_else(|| Some(decode_canonical::<InputManifest>(manifest).ok()?.bundle))
}

/// POST /v1/blobs/manifests: keeps a manifest and assembles its file from its chunks, or names
/// those that are missing.
pub(crate) async fn manifest(shared: Arc<Shared>, call: Call) -> Result<Answer, Problem> {
    let is_model = decode_canonical::<ModelManifest>(&call.body).is_ok();
    let put = shared.node.put_manifest(call.body).await.map_err(refused)?;
    if is_model && put.missing.is_empty() {
        shared
            .shelf
            .add(put.root)
            .map_err(|error| Problem::new("storage.failed", error))?;
    }
    let missing: Vec<String> = put.missing.iter().map(ToString::to_string).collect();
    Ok(Answer::Json(json!({
        "schema": "palisade.manifest/1", "root": put.root.to_string(), "missing": missing,
    })))
}
