//! Checking a receipt offline: four questions, answered apart.

use std::collections::BTreeMap;

use ledger::jobs::{JobHead, Phase};
use ledger::receipt::verify_job_record;
use ledger::root::Proof;
use protocol::block::Header;
use protocol::codec::{Canonical, decode_canonical};
use protocol::digest::{ChainId, Digest, JobId};
use protocol::genesis::Genesis;
use protocol::job::{CommitPreimage, JobSpec, Outcome, SeatRef};
use protocol::result::root_of_blob;
use protocol::signed::Signed;
use protocol::tx::{KeyKind, RevealResult, RevealedOutput, Tx, TxBody};
use protocol::validators::{ValidatorEntry, ValidatorSet};
use protocol::vote::CommitCertificate;

use super::{Link, Receipt};

/// One answer: yes, or why not.
pub(crate) type Answer = Result<(), String>;

/// What a receipt shows.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// Commits and reveals are signed by the seats' keys, fit each other and the record.
    pub(crate) signatures: Answer,
    /// More than two thirds of the power signed the header.
    pub(crate) certificate: Answer,
    /// The record is under the header's state root.
    pub(crate) inclusion: Answer,
    /// The set that signed follows from genesis.
    pub(crate) trust: Answer,
    /// The result given is the one agreed on.
    pub(crate) result: Option<Answer>,
    /// The record, if it could be read.
    pub(crate) record: Option<JobHead>,
}

impl Verdict {
    /// Whether everything holds.
    pub(crate) fn ok(&self) -> bool {
        self.first_false().is_none()
    }

    /// The first answer that is no.
    pub(crate) fn first_false(&self) -> Option<(&'static str, &str)> {
        let mut answers = vec![
            ("trust", &self.trust),
            ("certificate", &self.certificate),
            ("inclusion", &self.inclusion),
            ("signatures", &self.signatures),
        ];
        answers.extend(self.result.as_ref().map(|answer| ("result", answer)));
        answers
            .into_iter()
            .find_map(|(name, answer)| Some((name, answer.as_ref().err()?.as_str())))
    }
}

/// Verifies a receipt against a genesis, and a result against the receipt.
pub(crate) fn verify(receipt: &Receipt, genesis: &Genesis, result: Option<&[u8]>) -> Verdict {
    let trusted = trusted_set(receipt, genesis);
    let header = bytes_as::<Header>(&receipt.header, "header");
    let record = record_of(receipt, header.as_ref());
    let certificate = match (&header, &trusted) {
        (Ok(header), Ok(set)) => certified(header, &receipt.certificate, set, &genesis.chain_id),
        (Err(error), _) => Err(error.clone()),
        (_, Err(_)) => Err("no trusted set to check it with".to_owned()),
    };
    let signatures = match &record {
        Ok(head) => signatures(receipt, head, &genesis.chain_id),
        Err(_) => Err("no record to check them with".to_owned()),
    };
    let result = result.map(|blob| match &record {
        Ok(head) => is_result(head, blob),
        Err(_) => Err("no record to check it with".to_owned()),
    });
    Verdict {
        signatures,
        certificate,
        inclusion: record.as_ref().map(drop).map_err(Clone::clone),
        trust: trusted.map(drop),
        result,
        record: record.ok(),
    }
}

fn bytes_as<T: Canonical>(text: &str, what: &str) -> Result<T, String> {
    let bytes = hex::decode(text).map_err(|error| format!("{what}: {error}"))?;
    decode_canonical(&bytes).map_err(|error| format!("{what}: {error}"))
}

fn genesis_set(genesis: &Genesis) -> ValidatorSet {
    let entry = |validator: &protocol::genesis::GenesisValidator| ValidatorEntry {
        id: validator.id(&genesis.chain_id),
        consensus_key: validator.consensus_pk,
        power: validator.self_bond.0,
    };
    ValidatorSet::new(genesis.validators.iter().map(entry).collect())
}

/// Walks from the genesis set through every certified change.
fn trusted_set(receipt: &Receipt, genesis: &Genesis) -> Result<ValidatorSet, String> {
    if receipt.chain_id != genesis.chain_id.to_string() {
        return Err(format!(
            "chain {}, genesis {}",
            receipt.chain_id, genesis.chain_id
        ));
    }
    let mut set = genesis_set(genesis);
    let mut height = 0;
    for link in &receipt.trust_path {
        let (at, next) = follow(link, &set, genesis)?;
        if at <= height {
            return Err(format!("the path goes from height {height} to {at}"));
        }
        (height, set) = (at, next);
    }
    let last = bytes_as::<Header>(&receipt.header, "header")?.height.0;
    if last <= height {
        return Err(format!(
            "the path ends at {height}, the header is at {last}"
        ));
    }
    Ok(set)
}

fn follow(
    link: &Link,
    set: &ValidatorSet,
    genesis: &Genesis,
) -> Result<(u64, ValidatorSet), String> {
    let header = bytes_as::<Header>(&link.header, "header of the path")?;
    certified(&header, &link.certificate, set, &genesis.chain_id)?;
    let next = bytes_as::<ValidatorSet>(&link.set, "set of the path")?;
    if next.digest() != header.next_set {
        return Err("a set of the path is not the one its header names".to_owned());
    }
    if next == *set {
        return Err("a link of the path changes nothing".to_owned());
    }
    Ok((header.height.0, next))
}

fn certified(
    header: &Header,
    certificate: &str,
    set: &ValidatorSet,
    chain: &ChainId,
) -> Result<(), String> {
    let certificate = bytes_as::<CommitCertificate>(certificate, "certificate")?;
    if certificate.block != header.id() || certificate.height != header.height {
        return Err("the certificate is for another block".to_owned());
    }
    certificate
        .verify(set, chain)
        .map_err(|error| error.to_string())
}

fn record_of(receipt: &Receipt, header: Result<&Header, &String>) -> Result<JobHead, String> {
    let header = header.map_err(String::clone)?;
    let job: JobId = receipt
        .job_id
        .parse()
        .map_err(|_| "the job's id is malformed".to_owned())?;
    let record = hex::decode(&receipt.record).map_err(|error| error.to_string())?;
    let proof = bytes_as::<Proof>(&receipt.proof, "proof")?;
    verify_job_record(&header.state_root, &job, &record, &proof).map_err(|error| error.to_string())
}

/// Checks what seats signed, against the keys in the proved record.
fn signatures(receipt: &Receipt, head: &JobHead, chain: &ChainId) -> Result<(), String> {
    let spec = hex::decode(&receipt.spec).map_err(|error| error.to_string())?;
    let spec = JobSpec::from_bytes(&spec).map_err(|error| format!("spec: {error}"))?;
    if spec.hash() != head.spec_hash {
        return Err("the spec is not the record's".to_owned());
    }
    let mut commits = BTreeMap::new();
    for text in &receipt.commits {
        let (seat, body) = message(receipt, head, chain, text)?;
        let TxBody::CommitResult(commit) = body else {
            return Err("not a commit".to_owned());
        };
        insert(&mut commits, seat, commit.commit)?;
    }
    let mut reveals = BTreeMap::new();
    for text in &receipt.reveals {
        let (seat, body) = message(receipt, head, chain, text)?;
        let TxBody::RevealResult(reveal) = body else {
            return Err("not a reveal".to_owned());
        };
        opens(head, chain, &reveal, commits.get(&seat))?;
        insert(&mut reveals, seat, reveal)?;
    }
    agree(head, &reveals)
}

/// Seats stand in ascending order, each once.
fn insert<T>(map: &mut BTreeMap<u16, T>, seat: u16, value: T) -> Result<(), String> {
    if map.last_key_value().is_some_and(|(last, _)| *last >= seat) {
        return Err(format!("seat {seat} is out of order"));
    }
    map.insert(seat, value);
    Ok(())
}

fn message(
    receipt: &Receipt,
    head: &JobHead,
    chain: &ChainId,
    text: &str,
) -> Result<(u16, TxBody), String> {
    let bytes = hex::decode(text).map_err(|error| error.to_string())?;
    let signed = Signed::<Tx>::from_bytes(&bytes).map_err(|error| error.to_string())?;
    let tx = signed
        .verify(chain)
        .map_err(|_| "a seat's signature does not verify".to_owned())?;
    let tx = tx.message();
    let Some(SeatRef { job, attempt, seat }) = tx.body.seat() else {
        return Err("a message is not from a seat".to_owned());
    };
    let holder = head.seats.get(usize::from(seat));
    let Some(holder) = holder.filter(|_| attempt == head.attempt) else {
        return Err(format!("there is no seat {seat}"));
    };
    if job.to_string() != receipt.job_id || tx.key_kind != KeyKind::Session {
        return Err(format!("seat {seat} speaks of another job"));
    }
    if tx.signer != holder.session_pk {
        return Err(format!("seat {seat} is signed by a foreign key"));
    }
    Ok((seat, tx.body.clone()))
}

fn opens(
    head: &JobHead,
    chain: &ChainId,
    reveal: &RevealResult,
    commit: Option<&Digest>,
) -> Result<(), String> {
    let seat = reveal.seat;
    let Some(holder) = head.seats.get(usize::from(seat.seat)) else {
        return Err(format!("there is no seat {}", seat.seat));
    };
    let preimage = CommitPreimage {
        chain: *chain,
        seat,
        validator: holder.validator,
        salt: reveal.salt,
        outcome: reveal.outcome,
        result_root: reveal.result_root,
        work_digest: reveal.work_digest,
        fuel: reveal.fuel,
    };
    if commit != Some(&preimage.hash()) {
        return Err(format!("seat {} does not open its commit", seat.seat));
    }
    let root = match &reveal.output {
        RevealedOutput::Inline(blob) => root_of_blob(blob).ok(),
        RevealedOutput::Code(code) => reveal.outcome.root(*code),
        RevealedOutput::Blob { .. } => Some(reveal.result_root),
    };
    if root != Some(reveal.result_root) {
        return Err(format!("seat {}'s output is not its result", seat.seat));
    }
    Ok(())
}

/// A settled record needs unanimity of the seats shown; a resolved one, somebody who said it.
fn agree(head: &JobHead, reveals: &BTreeMap<u16, RevealResult>) -> Result<(), String> {
    let Some(answer) = head.answer else {
        return Ok(());
    };
    let same = |reveal: &&RevealResult| {
        (reveal.outcome, reveal.result_root, reveal.fuel)
            == (answer.outcome, answer.result_root, answer.fuel)
    };
    let agreeing = reveals.values().filter(same).count();
    let needed = match head.phase {
        Phase::Settled => usize::from(ledger::jobs::quorum(head.k)).max(reveals.len()),
        _ => 1,
    };
    if agreeing < needed {
        return Err(format!(
            "{agreeing} reveals say what the record says, {needed} needed"
        ));
    }
    Ok(())
}

fn is_result(head: &JobHead, blob: &[u8]) -> Result<(), String> {
    let answer = head.answer.filter(|answer| answer.outcome == Outcome::Ok);
    let Some(answer) = answer else {
        return Err("the job has no result".to_owned());
    };
    match root_of_blob(blob) {
        Ok(root) if root == answer.result_root => Ok(()),
        Ok(root) => Err(format!("result {root}, record {}", answer.result_root)),
        Err(error) => Err(error.to_string()),
    }
}
