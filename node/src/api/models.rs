//! The models this node holds: a list of roots beside the blob store, which only knows hashes.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::codec::decode_canonical;
use protocol::digest::Digest;
use protocol::manifest::{DimSpec, ModelKind, ModelManifest};
use serde_json::{Value, json};
use storage::StorageHandle;

use super::answer::Answer;
use super::call::Call;
use super::shared::Shared;
use crate::keys::file::read_limited;
use crate::problem::Problem;

/// 65 bytes a model; more models than that are not listed.
const LIST_BYTES_MAX: u64 = 1 << 20;

/// The list.
#[derive(Debug)]
pub(crate) struct Shelf {
    file: PathBuf,
    roots: Mutex<BTreeSet<Digest>>,
}

impl Shelf {
    /// The list in this file; a missing or damaged one is empty, as it can be put again.
    pub(crate) fn open(file: PathBuf) -> Self {
        let bytes = read_limited(&file, LIST_BYTES_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let roots = text.lines().filter_map(|line| line.parse().ok()).collect();
        Self {
            file,
            roots: Mutex::new(roots),
        }
    }

    /// Adds a model.
    pub(crate) fn add(&self, root: Digest) -> io::Result<()> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if roots.insert(root) {
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.file)?;
            writeln!(file, "{root}")?;
            file.sync_data()?;
        }
        Ok(())
    }

    /// The models that are still here.
    fn held(&self, storage: &StorageHandle) -> Vec<(Digest, ModelManifest)> {
        let roots = self
            .roots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        roots
            .into_iter()
            .filter_map(|root| Some((root, manifest(storage, root)?)))
            .collect()
    }
}

fn manifest(storage: &StorageHandle, root: Digest) -> Option<ModelManifest> {
    let bytes = actors::blobs::read(storage, root)?;
    decode_canonical(&bytes).ok()
}

/// GET /v1/models
pub(crate) async fn list(shared: Arc<Shared>, _: Call) -> Result<Answer, Problem> {
    let held = tokio::task::spawn_blocking(move || shared.shelf.held(shared.node.storage())).await;
    let held = held.map_err(|_| Problem::new("internal", "the list was not made"))?;
    let rows: Vec<Value> = held
        .iter()
        .map(|(root, model)| summary(root, model))
        .collect();
    Ok(Answer::Json(
        json!({"schema": "palisade.models/1", "models": rows}),
    ))
}

/// GET /v1/models/{root}
pub(crate) async fn show(shared: Arc<Shared>, call: Call) -> Result<Answer, Problem> {
    let root: Digest = call.id(0, "model.unknown")?;
    let found = tokio::task::spawn_blocking(move || manifest(shared.node.storage(), root)).await;
    let model = found
        .ok()
        .flatten()
        .ok_or_else(|| Problem::new("model.unknown", root))?;
    let mut value = summary(&root, &model);
    value["schema"] = json!("palisade.model/1");
    value["manifest"] = json!(hex::encode(protocol::codec::encode(&model)));
    value["inputs"] = model
        .inputs
        .iter()
        .map(|input| {
            let dims: Vec<String> = input
                .dims
                .iter()
                .map(|dim| match dim {
                    DimSpec::Fixed(dim) => dim.to_string(),
                    DimSpec::UpTo(dim) => format!("1..{dim}"),
                })
                .collect();
            json!({"name": input.name, "dtype": input.dtype.to_string(), "dims": dims})
        })
        .collect();
    value["outputs"] = model.outputs.iter().map(|output| {
        json!({"name": output.name, "dtype": output.dtype.to_string(), "rank": output.rank})
    }).collect();
    Ok(Answer::Json(value))
}

fn summary(root: &Digest, model: &ModelManifest) -> Value {
    let kind = match model.kind {
        ModelKind::Onnx => "onnx",
        ModelKind::Probe => "probe",
    };
    json!({
        "root": root.to_string(), "name": model.name, "kind": kind, "licence": model.licence,
        "size": model.file.size, "sha256": model.file.sha256.to_string(),
    })
}
