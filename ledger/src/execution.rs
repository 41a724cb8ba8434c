//! Execution: what a seat says, and when it may say it.
//!
//! ```text
//! Open --CommitResult--> Committed --RevealResult--> Revealed
//!   |--Decline--> Declined        (a jailed winner sits as NoShow)
//!   `--InputUnavailable--> Unavailable
//! ```
//! A reveal is valid only after all commits are in: the window closes at the end of a block, so a
//! reveal never shares a block with the last commit.

use bincode::{Decode, Encode};
use protocol::codec::Canonical;
use protocol::digest::{Digest, JobId, TxId, ValidatorId, sha256};
use protocol::events::{Event, Level};
use protocol::job::{CommitPreimage, DeclineReason, Outcome, SeatRef};
use protocol::limits::INLINE_OUTPUT_BYTES_MAX;
use protocol::result::root_of_blob;
use protocol::tx::{CommitResult, Decline, InputUnavailable, RevealResult, RevealedOutput};
use protocol::units::{Amount, Fuel, Height};

use crate::error::TxError;
use crate::jobs::{self, Answer, Phase};
use crate::planted::{self, Bug};
use crate::table::Record;
use crate::work::Work;

/// A commit, and where it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Commit {
    /// The hash committed to.
    pub commit: Digest,
    /// The transaction.
    pub tx: TxId,
    /// Its height.
    pub at: Height,
}

/// What a revealed answer consists of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Output {
    /// An output blob.
    Blob {
        /// SHA-256 of the blob.
        sha256: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// The detail of outcomes 1 to 4.
    Code(u32),
}

/// A reveal, and where it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Reveal {
    /// The commit it opened.
    pub commit: Commit,
    /// How the run ended.
    pub outcome: Outcome,
    /// What it answered.
    pub result_root: Digest,
    /// What it cost.
    pub fuel: Fuel,
    /// How to recognise the output.
    pub output: Output,
    /// The transaction.
    pub tx: TxId,
    /// Its height.
    pub at: Height,
}

/// What a seat has said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub enum SeatState {
    /// Nothing yet.
    Open,
    /// It is bound.
    Committed(Commit),
    /// It has opened.
    Revealed(Reveal),
    /// It gave up.
    Declined(DeclineReason),
    /// It cannot get model or input.
    Unavailable,
    /// Its holder was in jail when it was drawn.
    NoShow,
}

/// One seat.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Seat {
    /// Layout version.
    pub version: u8,
    /// Whose.
    pub validator: ValidatorId,
    /// Drawn, or of the whole set.
    pub level: Level,
    /// The holder's stake at the freeze.
    pub stake: Amount,
    /// What it locks of that stake.
    pub bond: Amount,
    /// What was said from it.
    pub state: SeatState,
}

impl Canonical for Seat {
    const BYTES_MAX: usize = 512;
}

impl Record for Seat {
    type Key = SeatRef;
    const MODULE: u8 = 5;
    const KIND: u8 = 0;
}

impl Seat {
    /// The answer revealed from it.
    #[must_use]
    pub const fn answer(&self) -> Option<Answer> {
        match self.state {
            SeatState::Revealed(Reveal {
                outcome,
                result_root,
                fuel,
                ..
            }) => Some(Answer {
                outcome,
                result_root,
                fuel,
            }),
            _ => None,
        }
    }
}

/// The seat named by a message, if the sender holds it and its level is the one speaking.
fn seat_of(
    work: &Work,
    sender: ValidatorId,
    place: &SeatRef,
    speaking: impl Fn(Phase) -> Option<Level>,
) -> Result<Seat, TxError> {
    let unknown = TxError::UnknownJob { job: place.job };
    let head = work.state.jobs.get(&place.job).ok_or(unknown)?;
    let seat = work.state.seats.get(place).ok_or(TxError::UnknownSeat)?;
    if seat.validator != sender {
        return Err(TxError::NotYourSeat);
    }
    if speaking(head.phase) != Some(seat.level) {
        return Err(TxError::WrongPhase {
            phase: head.phase.name(),
        });
    }
    Ok(seat.clone())
}

const fn committing(phase: Phase) -> Option<Level> {
    match phase {
        Phase::Commit(level) => Some(level),
        _ => None,
    }
}

fn revealing(phase: Phase) -> Option<Level> {
    match phase {
        Phase::Reveal(level) => Some(level),
        Phase::Commit(level) if planted::is(Bug::RevealInCommitPhase) => Some(level),
        _ => None,
    }
}

fn open_seat(work: &Work, sender: ValidatorId, place: &SeatRef) -> Result<Seat, TxError> {
    let seat = seat_of(work, sender, place, committing)?;
    if seat.state == SeatState::Open {
        Ok(seat)
    } else {
        Err(TxError::AlreadySpoken)
    }
}

fn speak(work: &mut Work, place: SeatRef, seat: Seat, state: SeatState) -> Result<(), TxError> {
    work.state.seats.put(place, Seat { state, ..seat });
    jobs::hurry(work, place.job)?;
    Ok(())
}

/// Binds a seat to a result.
pub(crate) fn commit(
    work: &mut Work,
    sender: ValidatorId,
    body: &CommitResult,
    tx: TxId,
) -> Result<(), TxError> {
    let seat = open_seat(work, sender, &body.seat)?;
    let SeatRef {
        job,
        attempt,
        seat: number,
    } = body.seat;
    let commit = Commit {
        commit: body.commit,
        tx,
        at: work.block.height,
    };
    work.emit(Event::Committed {
        job,
        attempt,
        seat: number,
        validator: sender,
        commit: body.commit,
        tx,
    });
    speak(work, body.seat, seat, SeatState::Committed(commit))
}

/// Gives up a seat for a reason of the host.
pub(crate) fn decline(work: &mut Work, sender: ValidatorId, body: &Decline) -> Result<(), TxError> {
    give_up(
        work,
        sender,
        body.seat,
        Some(body.reason),
        SeatState::Declined(body.reason),
    )
}

/// Gives up a seat for want of model or input.
pub(crate) fn unavailable(
    work: &mut Work,
    sender: ValidatorId,
    body: &InputUnavailable,
) -> Result<(), TxError> {
    give_up(work, sender, body.seat, None, SeatState::Unavailable)
}

fn give_up(
    work: &mut Work,
    sender: ValidatorId,
    place: SeatRef,
    reason: Option<DeclineReason>,
    state: SeatState,
) -> Result<(), TxError> {
    let seat = open_seat(work, sender, &place)?;
    let SeatRef {
        job,
        attempt,
        seat: number,
    } = place;
    work.emit(Event::Declined {
        job,
        attempt,
        seat: number,
        validator: sender,
        reason,
    });
    speak(work, place, seat, state)
}

/// Opens what a seat committed to.
pub(crate) fn reveal(
    work: &mut Work,
    sender: ValidatorId,
    body: &RevealResult,
    tx: TxId,
) -> Result<(), TxError> {
    let seat = seat_of(work, sender, &body.seat, revealing)?;
    let commit = match seat.state {
        SeatState::Committed(commit) => commit,
        SeatState::Revealed(_) => return Err(TxError::AlreadyRevealed),
        _ => return Err(TxError::NotCommitted),
    };
    let found = preimage(work, sender, body).hash();
    if found != commit.commit {
        return Err(TxError::CommitMismatch {
            found,
            committed: commit.commit,
        });
    }
    let output = check_output(work, body.seat.job, body)?;
    let SeatRef {
        job,
        attempt,
        seat: number,
    } = body.seat;
    let RevealResult {
        outcome,
        result_root,
        fuel,
        ..
    } = *body;
    let at = work.block.height;
    let reveal = Reveal {
        commit,
        outcome,
        result_root,
        fuel,
        output,
        tx,
        at,
    };
    work.emit(Event::Revealed {
        job,
        attempt,
        seat: number,
        validator: sender,
        outcome,
        result_root,
        fuel,
        tx,
    });
    speak(work, body.seat, seat, SeatState::Revealed(reveal))
}

fn preimage(work: &Work, validator: ValidatorId, body: &RevealResult) -> CommitPreimage {
    CommitPreimage {
        chain: work.state.chain_id(),
        seat: body.seat,
        validator,
        salt: body.salt,
        outcome: body.outcome,
        result_root: body.result_root,
        work_digest: body.work_digest,
        fuel: body.fuel,
    }
}

fn check_output(work: &Work, job: JobId, body: &RevealResult) -> Result<Output, TxError> {
    let bad = |what| TxError::BadOutput { what };
    if body.work_digest != Digest::ZERO {
        return Err(bad("the work digest must be zero"));
    }
    let most = work.request(job)?.spec.params.out_bytes;
    match (&body.output, body.outcome.root(0)) {
        (RevealedOutput::Code(code), Some(_)) => {
            if body.outcome.root(*code) != Some(body.result_root) {
                return Err(bad("the root is not that of the outcome and its code"));
            }
            Ok(Output::Code(*code))
        }
        (RevealedOutput::Inline(blob), None) => {
            let size = u64::try_from(blob.len()).unwrap_or(u64::MAX);
            if blob.len() > INLINE_OUTPUT_BYTES_MAX || size > most {
                return Err(bad("the inline output is too long"));
            }
            if root_of_blob(blob).ok() != Some(body.result_root) {
                return Err(bad("the inline output does not give the root"));
            }
            Ok(Output::Blob {
                sha256: sha256(blob),
                size,
            })
        }
        (RevealedOutput::Blob { sha256, size }, None) => {
            let inline = u64::try_from(INLINE_OUTPUT_BYTES_MAX).unwrap_or(u64::MAX);
            if *size <= inline || *size > most {
                return Err(bad(
                    "an output apart is longer than 4 KiB and within out_bytes",
                ));
            }
            Ok(Output::Blob {
                sha256: *sha256,
                size: *size,
            })
        }
        _ => Err(bad("outcome and output do not belong together")),
    }
}
