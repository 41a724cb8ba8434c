//! A receipt and its result, from a node to this disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::Context;
use super::super::job::is_ended;
use super::{chain_of, read};
use crate::client::resolve::Resolved;
use crate::client::text;
use crate::clock;
use crate::problem::Problem;
use crate::receipt::{Receipt, verify as verify_receipt};

/// How long the block after a job's end is waited for.
const NEXT_BLOCK: Duration = Duration::from_secs(15);
/// How often it is asked for.
const POLL: Duration = Duration::from_millis(200);

/// A receipt on disk, and the result it speaks of if the job has one.
pub(crate) struct Saved {
    /// The receipt's file.
    pub(crate) receipt: PathBuf,
    /// The result's file.
    pub(crate) result: Option<PathBuf>,
}

impl Saved {
    /// The command that checks what was saved.
    pub(crate) fn next(&self) -> String {
        let result = self
            .result
            .as_ref()
            .map_or_else(String::new, |path| format!(" --result {}", path.display()));
        format!("palisade verify receipt {}{result}", self.receipt.display())
    }
}

/// Writes a job's receipt to `to`, and its result to `result` or else beside it as
/// `<stem>-result.bin`. A job without a result has a receipt all the same.
///
/// # Errors
/// If the job has not ended, a file cannot be written, or a result asked for by name is not there.
pub(crate) fn save(node: &Resolved, job: &str, to: &Path, result: Option<&Path>) -> Result<Saved> {
    let bytes = patient_receipt(node, job)?;
    Receipt::parse(&bytes)?;
    if let Some(dir) = to.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    std::fs::write(to, &bytes).with_context(|| format!("cannot write {}", to.display()))?;
    let beside = || {
        let stem = to.file_stem().unwrap_or_default().to_string_lossy();
        to.with_file_name(format!("{stem}-result.bin"))
    };
    let blob = result_blob(node, job, result.is_some())?;
    let mut saved = Saved {
        receipt: to.to_owned(),
        result: None,
    };
    if let Some(blob) = blob {
        let path = result.map_or_else(beside, Path::to_owned);
        std::fs::write(&path, blob).with_context(|| format!("cannot write {}", path.display()))?;
        saved.result = Some(path);
    }
    Ok(saved)
}

/// The result that a receipt speaks of. Receipts are for everybody, results for who paid: unless it
/// was asked for, one that is not there or not ours is none.
fn result_blob(node: &Resolved, job: &str, asked_for: bool) -> Result<Option<Vec<u8>>> {
    let path = format!("/v1/jobs/{job}/output");
    let withheld = |problem: &Problem| matches!(problem.status, 401 | 403 | 404);
    match node.as_wallet(|api| api.get_bytes(&path)) {
        Ok(blob) => Ok(Some(blob)),
        Err(error) if !asked_for && is_problem(&error, withheld) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A job's receipt rests on the block after its end, which an idle chain makes within its interval:
/// asked in between, wait for that block.
fn patient_receipt(node: &Resolved, job: &str) -> Result<Vec<u8>> {
    let until = clock::instant() + NEXT_BLOCK;
    loop {
        let error = match node.api.get_bytes(&format!("/v1/jobs/{job}/receipt")) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => error,
        };
        let state = node.api.get(&format!("/v1/jobs/{job}"))?;
        let soon = is_ended(text(&state, "state")) && clock::instant() < until;
        if !soon || !is_problem(&error, |problem| problem.code == "receipt.not_ended") {
            return Err(error);
        }
        std::thread::sleep(POLL);
    }
}

fn is_problem(error: &anyhow::Error, what: impl FnOnce(&Problem) -> bool) -> bool {
    error.downcast_ref::<Problem>().is_some_and(what)
}

/// Checks what was just fetched against the genesis at hand, asking nobody.
///
/// # Errors
/// If no genesis is at hand or a file is gone.
pub(crate) fn verify_saved(context: &Context, saved: &Saved) -> Result<bool> {
    let chain = chain_of(context, None)?;
    let receipt = Receipt::parse(&read(&saved.receipt)?)?;
    let blob = saved.result.as_deref().map(read).transpose()?;
    Ok(verify_receipt(&receipt, &chain.genesis, blob.as_deref()).ok())
}
