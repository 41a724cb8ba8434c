//! `palisade receipt fetch` and `palisade verify receipt`

mod save;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;

use super::Context;
use super::job::id_of;
use crate::exit::Exit;
use crate::home::Chain;
use crate::keys::file::read_given;
use crate::problem::Problem;
use crate::receipt::{RECEIPT_BYTES_MAX, Receipt, Verdict, verify as verify_receipt};

pub(crate) use save::{save, verify_saved};

/// What to fetch.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Write a job's receipt, and its result beside it.
    Fetch {
        /// The job's id or a prefix.
        job: String,
        /// Where to write the receipt.
        #[arg(
            long,
            visible_alias = "out",
            default_value = "receipt.json",
            value_name = "FILE"
        )]
        to: PathBuf,
        /// Where to write the result; beside the receipt by default.
        #[arg(long, value_name = "FILE")]
        result: Option<PathBuf>,
    },
}

/// What to verify.
#[derive(Subcommand, Debug)]
pub(crate) enum VerifyVerb {
    /// Check a receipt without asking anybody.
    Receipt {
        /// The receipt.
        file: PathBuf,
        /// The chain's genesis; the home's or the testnet's by default.
        #[arg(long, value_name = "FILE")]
        genesis: Option<PathBuf>,
        /// An output blob that should be its result.
        #[arg(long, value_name = "FILE")]
        result: Option<PathBuf>,
    },
}

/// Fetches.
pub(crate) fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    let Verb::Fetch { job, to, result } = verb;
    let node = context.resolve()?;
    let job = id_of(&node, job)?;
    let saved = save(&node, &job, to, result.as_deref())?;
    let document = json!({
        "schema": "palisade.receipt-fetch/1", "job": job, "file": to.display().to_string(),
        "result": saved.result.as_ref().map(|path| path.display().to_string()),
    });
    context.output.document(&document, || {
        format!("{}\nnext: {}", to.display(), saved.next())
    });
    Ok(Exit::Ok)
}

/// Verifies.
pub(crate) fn verify(context: &Context, verb: &VerifyVerb) -> Result<Exit> {
    let VerifyVerb::Receipt {
        file,
        genesis,
        result,
    } = verb;
    let chain = chain_of(context, genesis.as_deref())?;
    let bytes = match read(file) {
        Ok(bytes) => bytes,
        Err(problem) if problem.code == "receipt.malformed" => return malformed(context, &problem),
        Err(problem) => return Err(problem.into()),
    };
    let blob = result.as_deref().map(read).transpose()?;
    let verdict = match Receipt::parse(&bytes) {
        Ok(receipt) => verify_receipt(&receipt, &chain.genesis, blob.as_deref()),
        Err(problem) => return malformed(context, &problem),
    };
    print(context, &verdict);
    Ok(match verdict.first_false() {
        None => Exit::Ok,
        Some((part, why)) => {
            let problem = Problem::new("receipt.false", format!("{part}: {why}"));
            context.output.problem(&problem)
        }
    })
}

fn chain_of(context: &Context, genesis: Option<&Path>) -> Result<Chain> {
    match genesis {
        Some(path) => Ok(Chain::given(path)?),
        None => crate::client::resolve::chain_of(&context.global, &context.home),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    read_given(path, RECEIPT_BYTES_MAX, "receipt.malformed")
}

fn malformed(context: &Context, problem: &Problem) -> Result<Exit> {
    let document = json!({
        "schema": "palisade.verify-receipt/1", "ok": false, "cause": "malformed",
        "detail": problem.detail,
    });
    context.output.document(&document, || {
        format!("false: malformed: {}", problem.detail)
    });
    Ok(context.output.problem(problem))
}

fn print(context: &Context, verdict: &Verdict) {
    let said = verdict.first_false();
    let document = json!({
        "schema": "palisade.verify-receipt/1", "ok": verdict.ok(),
        "signatures": verdict.signatures.is_ok(), "certificate": verdict.certificate.is_ok(),
        "inclusion": verdict.inclusion.is_ok(), "trust": verdict.trust.is_ok(),
        "result": verdict.result.as_ref().map(Result::is_ok),
        "cause": said.map(|(name, _)| name), "detail": said.map(|(_, why)| why),
        "state": verdict.record.as_ref().map(|head| head.phase.name()),
        "outcome": verdict.record.as_ref().and_then(|head| Some(head.answer?.outcome.name())),
        "result_root": verdict.record.as_ref().and_then(|head| Some(head.answer?.result_root.to_string())),
        "paid": verdict.record.as_ref().map(|head| head.amounts.paid.to_string()),
    });
    context.output.document(&document, || match said {
        None => {
            let head = verdict.record.as_ref();
            let state = head.map_or("", |head| head.phase.name());
            format!("true: signatures, certificate, inclusion and trust hold; the job {state}")
        }
        Some((name, why)) => format!("false: {name}: {why}"),
    });
}
