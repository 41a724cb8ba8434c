//! `palisade model …`

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use protocol::codec::{decode_canonical, encode};
use protocol::digest::Digest;
use protocol::manifest::{
    CHUNK_BYTES, FileDigest, InputManifest, MANIFEST_VERSION, MODEL_FILE_BYTES_MAX, ModelKind,
    ModelManifest, OutputSpec,
};
use protocol::result::Dtype;
use runner::describe;
use serde_json::{Value, json};

use super::Context;
use super::chain::pairs;
use crate::client::resolve::Resolved;
use crate::client::{Api, number, text};
use crate::exit::Exit;
use crate::keys::file::read_given;
use crate::printable::printable;
use crate::problem::{Problem, refuse};

/// What to do with models.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Give a node an ONNX file.
    Put {
        /// The file.
        file: PathBuf,
        /// What people call it; the file's name by default.
        #[arg(long)]
        name: Option<String>,
        /// Its licence, an SPDX expression.
        #[arg(long, default_value = "NOASSERTION")]
        licence: String,
    },
    /// The models this node holds.
    List,
    /// One of them.
    Show {
        /// Its root, a prefix of it, or its name.
        model: String,
    },
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let node = context.resolve()?;
    match verb {
        Verb::Put {
            file,
            name,
            licence,
        } => {
            let (manifest, bytes) = describe_file(file, name.as_deref(), licence)?;
            put(context, &node, &manifest, &bytes)?;
            let root = manifest.root();
            let document = json!({
                "schema": "palisade.model-put/1", "root": root.to_string(),
                "name": manifest.name, "size": manifest.file.size,
            });
            context.output.document(&document, || {
                format!(
                    "{root}  {}\nnext: palisade job submit --model {root} --input FILE.npy",
                    printable(&manifest.name)
                )
            });
        }
        Verb::List => {
            let value = node.api.get("/v1/models")?;
            context.output.document(&value, || rows(&value));
        }
        Verb::Show { model } => {
            let root = root_of(&node, model)?;
            let mut value = node.api.get(&format!("/v1/models/{root}"))?;
            value["schema"] = json!("palisade.model/1");
            context.output.document(&value, || {
                let mut shown = value.clone();
                if let Some(map) = shown.as_object_mut() {
                    map.remove("manifest");
                }
                pairs(&shown)
            });
        }
    }
    Ok(Exit::Ok)
}

/// Models in lines for people. Their names are their owners' choice.
fn rows(value: &Value) -> String {
    let models = value["models"].as_array().into_iter().flatten();
    let lines: Vec<String> = models
        .map(|row| {
            format!(
                "{}  {:>10} B  {}",
                text(row, "root"),
                number(row, "size"),
                printable(text(row, "name"))
            )
        })
        .collect();
    if lines.is_empty() {
        "none".to_owned()
    } else {
        lines.join("\n")
    }
}

/// Reads an ONNX file and makes its manifest.
pub(crate) fn describe_file(
    path: &Path,
    name: Option<&str>,
    licence: &str,
) -> Result<(ModelManifest, Vec<u8>)> {
    let bytes = read_given(path, MODEL_FILE_BYTES_MAX, "model.refused")?;
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let name = name.map_or(stem, str::to_owned);
    let manifest = describe::manifest_of(&bytes, &name, licence, describe::FREE_AXIS_MAX)
        .map_err(|error| Problem::new("model.refused", printable(&error.to_string())))?;
    Ok((manifest, bytes))
}

/// A model file of engine 0: the name of an attack, for local chains.
pub(crate) fn describe_attack(name: &str) -> (ModelManifest, Vec<u8>) {
    let bytes = name.as_bytes().to_vec();
    let manifest = ModelManifest {
        version: MANIFEST_VERSION,
        kind: ModelKind::Probe,
        name: format!("probe/{name}").chars().take(60).collect(),
        licence: "Apache-2.0".to_owned(),
        file: FileDigest::of(&bytes),
        inputs: Vec::new(),
        outputs: vec![OutputSpec {
            name: "none".to_owned(),
            dtype: Dtype::U8,
            rank: 0,
        }],
    };
    (manifest, bytes)
}

/// Gives the node a model.
pub(crate) fn put(
    context: &Context,
    node: &Resolved,
    manifest: &ModelManifest,
    bytes: &[u8],
) -> Result<()> {
    node.as_wallet(|api| upload(context, api, &encode(manifest), bytes))
}

/// Gives the node a job's input.
pub(crate) fn put_input(
    context: &Context,
    node: &Resolved,
    manifest: &InputManifest,
    bytes: &[u8],
) -> Result<()> {
    node.as_wallet(|api| upload(context, api, &encode(manifest), bytes))
}

/// Asks what is missing, sends that, and asks again.
fn upload(context: &Context, api: &Api, manifest: &[u8], bytes: &[u8]) -> Result<()> {
    let path = "/v1/blobs/manifests";
    let missing = missing_of(&api.post(path, manifest)?)?;
    if missing.is_empty() {
        return Ok(());
    }
    for chunk in bytes.chunks(CHUNK_BYTES) {
        let digest = protocol::digest::sha256(chunk);
        if missing.contains(&digest) {
            api.put(&format!("/v1/blobs/{digest}"), chunk)?;
        }
    }
    context
        .output
        .progress(&format!("{} chunks sent to {}", missing.len(), api.base()));
    match missing_of(&api.post(path, manifest)?)?.len() {
        0 => Ok(()),
        left => refuse!(
            "blob.missing",
            "{left} chunks are still missing after sending them"
        ),
    }
}

fn missing_of(answer: &Value) -> Result<Vec<Digest>> {
    let list = answer["missing"].as_array().into_iter().flatten();
    list.map(|item| {
        let digest = item.as_str().and_then(|text| text.parse().ok());
        digest.ok_or_else(|| Problem::new("api.bad_request", "missing is no list of hashes").into())
    })
    .collect()
}

/// The root of a held model by root, prefix or name.
pub(crate) fn root_of(node: &Resolved, model: &str) -> Result<Digest> {
    if let Ok(root) = model.parse() {
        return Ok(root);
    }
    let value = node.api.get("/v1/models")?;
    let mut fitting = value["models"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|row| {
            text(row, "name") == model || (model.len() >= 4 && text(row, "root").starts_with(model))
        })
        .filter_map(|row| text(row, "root").parse::<Digest>().ok());
    match (fitting.next(), fitting.next()) {
        (Some(root), None) => Ok(root),
        (Some(_), Some(_)) => refuse!(
            "model.unknown",
            "{model} fits several models; give the root"
        ),
        (None, _) => refuse!("model.unknown", "{model}"),
    }
}

/// A held model's manifest, checked against its root.
pub(crate) fn manifest_of(node: &Resolved, root: &Digest) -> Result<ModelManifest> {
    let value = node.api.get(&format!("/v1/models/{root}"))?;
    let bytes = hex::decode(text(&value, "manifest")).unwrap_or_default();
    let manifest: ModelManifest = decode_canonical(&bytes)
        .map_err(|error| Problem::new("api.bad_request", format!("manifest: {error}")))?;
    if manifest.root() != *root {
        refuse!(
            "api.bad_request",
            "the node sent another manifest for {root}"
        );
    }
    Ok(manifest)
}

/// A file by its chunks, each checked.
pub(crate) fn fetch(node: &Resolved, file: &FileDigest) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while u64::try_from(bytes.len())? < file.size {
        let path = format!("/v1/blobs/{}?offset={}", file.sha256, bytes.len());
        let part = node.api.get_bytes(&path)?;
        if part.is_empty() {
            refuse!("blob.missing", "{} ends early", file.sha256);
        }
        bytes.extend(part);
    }
    if !file.matches(&bytes) {
        refuse!("blob.digest", "the chunks do not make {}", file.sha256);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_licences_of_strangers_move_no_cursor() {
        let model = json!({
            "root": "ab12", "size": 7, "name": "\x1b[2J\nx", "licence": "\u{202e}TIM",
            "inputs": [{"name": "\u{9b}2J"}],
        });
        let shown = rows(&json!({"models": [&model]}));
        assert_eq!(shown, "ab12           7 B  \\u{1b}[2J\\nx");
        let shown = pairs(&model);
        assert_eq!(shown.lines().count(), 5, "{shown}");
        assert!(!shown.contains(['\x1b', '\u{202e}', '\u{9b}']), "{shown:?}");
    }
}
