//! Evidence: a validator that signed two values for one slot loses five percent and its place.

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::digest::{EvidenceId, ValidatorId};
use protocol::events::{Event, Offence};
use protocol::evidence::{ContradictingPair, EvidenceKind, evidence_id};
use protocol::tx::SubmitEvidence;
use protocol::units::{Amount, Height};

use crate::error::TxError;
use crate::money::{Breach, Compartment, Reason};
use crate::planted::{self, Bug};
use crate::roles::Sender;
use crate::staking::{Exit, expel, slash};
use crate::table::Record;
use crate::work::Work;

/// The reporter's share never exceeds this.
const REPORTER_MOST: Amount = Amount::pal(1_000);

/// An offence that was punished.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct EvidenceRecord {
    /// Layout version.
    pub version: u8,
    /// What was proved.
    pub kind: EvidenceKind,
    /// Whose offence.
    pub validator: ValidatorId,
    /// The height of the offence.
    pub height: Height,
    /// The height at which it was punished.
    pub accepted: Height,
    /// What was taken.
    pub slashed: Amount,
}

impl Canonical for EvidenceRecord {
    const BYTES_MAX: usize = 80;
}

impl Record for EvidenceRecord {
    type Key = EvidenceId;
    const MODULE: u8 = 6;
    const KIND: u8 = 0;
}

/// Checks a proof in order of cost, and punishes.
pub(crate) fn submit(
    work: &mut Work,
    sender: Sender,
    body: &SubmitEvidence,
) -> Result<(), TxError> {
    let pair = ContradictingPair::parse(body.kind, &body.a, &body.b)?;
    let (height, key) = (pair.height(), pair.signer());
    // The holder of a consensus key never changes in S1, so the id is known before membership is.
    let validator = work.state.key_holder(&key).ok_or(TxError::NotMember)?;
    let id = evidence_id(pair.kind(), &validator, height, pair.round());
    if work.state.evidence.contains(&id) {
        return Err(TxError::EvidenceKnown);
    }
    if height > work.block.height {
        return Err(TxError::EvidenceFuture { height });
    }
    let (now, time) = (work.block.height, work.block.time_ms);
    if work.state.evidence_expired(height, now, time) && !planted::is(Bug::LateEvidence) {
        return Err(TxError::EvidenceExpired);
    }
    let member = work.state.member_at(height, &key);
    let member = member.ok_or(TxError::NotMember)?;
    let row = work
        .state
        .validators
        .get(&member.id)
        .ok_or(TxError::NotMember)?;
    if matches!(row.exit, Some(Exit::Tombstoned(_))) {
        return Err(TxError::OffenderGone);
    }
    pair.verify(&work.state.chain_id())?;
    punish(
        work,
        sender,
        pair.kind(),
        member.id,
        height,
        Amount(member.power),
        id,
    )?;
    Ok(())
}

fn punish(
    work: &mut Work,
    sender: Sender,
    kind: EvidenceKind,
    validator: ValidatorId,
    height: Height,
    stake: Amount,
    evidence: EvidenceId,
) -> Result<(), Breach> {
    let offence = match kind {
        EvidenceKind::DoubleVote => Offence::DoubleVote,
        EvidenceKind::DoubleProposal => Offence::DoubleProposal,
    };
    let reporter = sender.account();
    let mut purse = slash(work, validator, stake.share(5, 100))?;
    let amount = purse.total();
    let share = amount.share(5, 100).min(REPORTER_MOST);
    purse.pay(
        work,
        Compartment::Balance(reporter),
        share,
        Reason::SlashReporter,
    )?;
    let burned = purse.burn(work)?;
    let record = EvidenceRecord {
        version: 1,
        kind,
        validator,
        height,
        accepted: work.block.height,
        slashed: amount,
    };
    work.state.evidence.put(evidence, record);
    work.emit(Event::EvidenceAccepted {
        evidence,
        kind,
        validator,
        reporter,
    });
    let (job, evidence_ref) = (None, Some(evidence));
    work.emit(Event::Slashed {
        validator,
        offence,
        amount,
        burned,
        job,
        evidence: evidence_ref,
    });
    expel(work, validator, Exit::Tombstoned(evidence))?;
    work.emit(Event::Tombstoned {
        validator,
        evidence,
    });
    Ok(())
}

/// Drops records of offences that are too old to be proved again.
pub(crate) fn expire(work: &mut Work) {
    let (now, time) = (work.block.height, work.block.time_ms);
    let old: Vec<EvidenceId> = work
        .state
        .evidence
        .iter()
        .filter(|(_, record)| work.state.evidence_expired(record.height, now, time))
        .map(|(id, _)| *id)
        .collect();
    for evidence in old {
        work.state.evidence.remove(&evidence);
        work.emit(Event::EvidenceExpired { evidence });
    }
}
