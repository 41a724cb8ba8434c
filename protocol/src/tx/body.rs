//! What a transaction can ask for, one record per kind, in the order of protocol.md §2.

use bincode::{Decode, Encode};

use crate::digest::{Address, BlockId, ChainId, Digest, JobId, Tag, ValidatorId, th};
use crate::evidence::EvidenceKind;
use crate::job::{DeclineReason, JobSpec, Outcome, SeatRef, Sponsor};
use crate::keys::{PublicKey, Signature};
use crate::units::{Amount, Fuel, Height};

/// What is asked for. The number on the wire is the place in this list; the list only grows at its
/// end.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum TxBody {
    /// 0: moves balance.
    Transfer(Transfer),
    /// 1: makes the sender a validator candidate.
    RegisterValidator(RegisterValidator),
    /// 2: adds to the self-bond.
    Bond(Bond),
    /// 3: takes from the self-bond; pays itself out once matured.
    Unbond(Unbond),
    /// 4: ends a jail term.
    Unjail(Unjail),
    /// 5: asks for an execution and locks its price.
    SubmitJob(SubmitJob),
    /// 6: takes back a job that has no committee yet.
    CancelJob(CancelJob),
    /// 7: binds a seat to a result.
    CommitResult(CommitResult),
    /// 8: opens what a seat committed to.
    RevealResult(RevealResult),
    /// 9: gives up a seat for a reason of the host.
    Decline(Decline),
    /// 10: gives up a seat because model or input cannot be had.
    InputUnavailable(InputUnavailable),
    /// 11: proves that a validator contradicted itself.
    SubmitEvidence(SubmitEvidence),
}

/// The kinds of [`TxBody`], without their contents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TxKind {
    /// See [`TxBody::Transfer`].
    Transfer,
    /// See [`TxBody::RegisterValidator`].
    RegisterValidator,
    /// See [`TxBody::Bond`].
    Bond,
    /// See [`TxBody::Unbond`].
    Unbond,
    /// See [`TxBody::Unjail`].
    Unjail,
    /// See [`TxBody::SubmitJob`].
    SubmitJob,
    /// See [`TxBody::CancelJob`].
    CancelJob,
    /// See [`TxBody::CommitResult`].
    CommitResult,
    /// See [`TxBody::RevealResult`].
    RevealResult,
    /// See [`TxBody::Decline`].
    Decline,
    /// See [`TxBody::InputUnavailable`].
    InputUnavailable,
    /// See [`TxBody::SubmitEvidence`].
    SubmitEvidence,
}

impl TxKind {
    /// All kinds, by number.
    pub const ALL: [Self; 12] = [
        Self::Transfer,
        Self::RegisterValidator,
        Self::Bond,
        Self::Unbond,
        Self::Unjail,
        Self::SubmitJob,
        Self::CancelJob,
        Self::CommitResult,
        Self::RevealResult,
        Self::Decline,
        Self::InputUnavailable,
        Self::SubmitEvidence,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Transfer => 0,
            Self::RegisterValidator => 1,
            Self::Bond => 2,
            Self::Unbond => 3,
            Self::Unjail => 4,
            Self::SubmitJob => 5,
            Self::CancelJob => 6,
            Self::CommitResult => 7,
            Self::RevealResult => 8,
            Self::Decline => 9,
            Self::InputUnavailable => 10,
            Self::SubmitEvidence => 11,
        }
    }

    /// The name people and JSON use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::RegisterValidator => "register_validator",
            Self::Bond => "bond",
            Self::Unbond => "unbond",
            Self::Unjail => "unjail",
            Self::SubmitJob => "submit_job",
            Self::CancelJob => "cancel_job",
            Self::CommitResult => "commit_result",
            Self::RevealResult => "reveal_result",
            Self::Decline => "decline",
            Self::InputUnavailable => "input_unavailable",
            Self::SubmitEvidence => "submit_evidence",
        }
    }

    /// Whether this is said from a seat: by a session key, free of charge, once.
    #[must_use]
    pub const fn is_seat_message(self) -> bool {
        matches!(
            self,
            Self::CommitResult | Self::RevealResult | Self::Decline | Self::InputUnavailable
        )
    }
}

impl TxBody {
    /// Which kind this is.
    #[must_use]
    pub const fn kind(&self) -> TxKind {
        match self {
            Self::Transfer(_) => TxKind::Transfer,
            Self::RegisterValidator(_) => TxKind::RegisterValidator,
            Self::Bond(_) => TxKind::Bond,
            Self::Unbond(_) => TxKind::Unbond,
            Self::Unjail(_) => TxKind::Unjail,
            Self::SubmitJob(_) => TxKind::SubmitJob,
            Self::CancelJob(_) => TxKind::CancelJob,
            Self::CommitResult(_) => TxKind::CommitResult,
            Self::RevealResult(_) => TxKind::RevealResult,
            Self::Decline(_) => TxKind::Decline,
            Self::InputUnavailable(_) => TxKind::InputUnavailable,
            Self::SubmitEvidence(_) => TxKind::SubmitEvidence,
        }
    }

    /// How many signatures a validator checks for it, the transaction's own included.
    #[must_use]
    pub const fn signatures(&self) -> u64 {
        match self {
            Self::RegisterValidator(_) | Self::Unjail(_) | Self::SubmitEvidence(_) => 3,
            Self::SubmitJob(SubmitJob {
                sponsor: Some(_), ..
            }) => 2,
            _ => 1,
        }
    }

    /// The seat this is said from, if it is a seat message.
    #[must_use]
    pub const fn seat(&self) -> Option<SeatRef> {
        match self {
            Self::CommitResult(message) => Some(message.seat),
            Self::RevealResult(message) => Some(message.seat),
            Self::Decline(message) => Some(message.seat),
            Self::InputUnavailable(message) => Some(message.seat),
            _ => None,
        }
    }
}

/// Moves balance.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Transfer {
    /// To whom.
    pub to: Address,
    /// How much.
    pub amount: Amount,
}

/// Makes the sender, from now on its operator, a validator candidate.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct RegisterValidator {
    /// What people call it, at most 32 bytes.
    pub moniker: String,
    /// Signs votes and proposals.
    pub consensus_pk: PublicKey,
    /// Signs commits, reveals and peer proofs.
    pub session_pk: PublicKey,
    /// By the consensus key over [`possession_digest`].
    pub consensus_proof: Signature,
    /// By the session key over [`possession_digest`].
    pub session_proof: Signature,
    /// Where to find its node: a libp2p peer id in text form.
    pub peer_id: String,
    /// The first bond.
    pub self_bond: Amount,
}

/// Adds to the bond of the sender's validator.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Bond {
    /// How much.
    pub amount: Amount,
}

/// Takes from the bond of the sender's validator. The amount stays slashable until it has matured.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Unbond {
    /// How much; all of it ends the validator.
    pub amount: Amount,
}

/// Ends a jail term that has been served, with a sign of life from both hot keys.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Unjail {
    /// A height at most 20 blocks old.
    pub height: Height,
    /// The block there.
    pub block: BlockId,
    /// By the consensus key over [`heartbeat_digest`].
    pub consensus_heartbeat: Signature,
    /// By the session key over [`heartbeat_digest`].
    pub session_heartbeat: Signature,
}

/// Asks for an execution and locks its price.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SubmitJob {
    /// What to run, and on which terms.
    pub spec: JobSpec,
    /// Who pays the price, if not the client.
    pub sponsor: Option<Sponsor>,
}

/// Takes back a job that has no committee yet.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct CancelJob {
    /// Which job.
    pub job: JobId,
}

/// Binds a seat to a result without telling it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct CommitResult {
    /// Whose seat.
    pub seat: SeatRef,
    /// [`crate::job::CommitPreimage::hash`].
    pub commit: Digest,
}

/// Opens what a seat committed to.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct RevealResult {
    /// Whose seat.
    pub seat: SeatRef,
    /// Made the commit unguessable.
    pub salt: Digest,
    /// How the run ended.
    pub outcome: Outcome,
    /// What the run answered.
    pub result_root: Digest,
    /// All zero in this stage.
    pub work_digest: Digest,
    /// What the run cost.
    pub fuel: Fuel,
    /// The answer itself, or where it is.
    pub output: RevealedOutput,
}

/// The answer of a run, or how to recognise it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum RevealedOutput {
    /// The output blob, if it has at most 4 KiB; it must give the result root.
    Inline(Vec<u8>),
    /// A longer output blob.
    Blob {
        /// SHA-256 of the blob.
        sha256: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// No answer: the detail of outcomes 1 to 4.
    Code(u32),
}

/// Gives up a seat for a reason of the host.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Decline {
    /// Whose seat.
    pub seat: SeatRef,
    /// Why.
    pub reason: DeclineReason,
}

/// Gives up a seat because model or input cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct InputUnavailable {
    /// Whose seat.
    pub seat: SeatRef,
}

/// Two signed messages of one validator that contradict each other.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct SubmitEvidence {
    /// What they prove.
    pub kind: EvidenceKind,
    /// One envelope, without body.
    pub a: Vec<u8>,
    /// The other.
    pub b: Vec<u8>,
}

/// What a key signs to prove that a registration may name it.
#[must_use]
pub fn possession_digest(
    chain: &ChainId,
    operator: &Address,
    registration_nonce: u64,
    key: &PublicKey,
) -> Digest {
    let nonce = registration_nonce.to_be_bytes();
    th(
        Tag::Possession,
        &[chain.as_ref(), operator.as_ref(), &nonce, key.as_ref()],
    )
}

/// What both hot keys sign to prove that their node is alive.
#[must_use]
pub fn heartbeat_digest(chain: &ChainId, validator: &ValidatorId, block: &BlockId) -> Digest {
    th(
        Tag::Heartbeat,
        &[chain.as_ref(), validator.as_ref(), block.as_ref()],
    )
}
