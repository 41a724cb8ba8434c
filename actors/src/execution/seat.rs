//! One seat's way from its run to its reveal, and what it says at a height. Pure.
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

use protocol::digest::Digest;
use protocol::job::{CommitPreimage, DeclineReason};
use protocol::tx::{CommitResult, Decline, TxBody};
use protocol::units::Height;

use super::workflow::{CANCEL_BLOCKS, Intent, Order};
use crate::seat::SeatResult;

/// One seat's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Running,
    /// The commit is on its way to the disk.
    Marking,
    /// The commit is on its way to the chain.
    Committing,
    /// The chain holds the commit.
    Sealed,
    Declining(DeclineReason),
    /// The chain holds the commit and the run failed: a later one may not.
    Failed,
}

#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) order: Order,
    pub(super) stage: Stage,
    pub(super) opened: Option<CommitPreimage>,
    pub(super) result: Option<SeatResult>,
    /// The output goes to the disk, and is not known to be there.
    pub(super) unstored: bool,
}

impl Seat {
    /// The run gave this commit: is it new, ours on the chain, or not what the chain holds?
    pub(super) fn found(&mut self, commit: Digest, height: Height) -> Vec<Intent> {
        match self.order.committed {
            None => {
                self.stage = Stage::Marking;
                self.say(height)
            }
            Some(held) if held == commit => {
                self.stage = Stage::Sealed;
                self.say(height)
            }
            // Not reproducible here: a reveal would not open the commit. The reveal is withheld.
            Some(_) => {
                self.opened = None;
                self.unstored = false;
                self.stage = Stage::Sealed;
                Vec::new()
            }
        }
    }

    /// What this seat has to store and to say now, if anything.
    pub(super) fn say(&self, height: Height) -> Vec<Intent> {
        let mut intents = self.store();
        intents.extend(self.speak(height));
        intents
    }

    /// Again at each height: a full queue takes nothing, a failed write may succeed the next time,
    /// and the same blob twice is one.
    fn store(&self) -> Vec<Intent> {
        match &self.result {
            Some(result) if self.unstored => vec![Intent::PutBlob {
                seat: self.order.seat,
                bytes: result.output.clone(),
            }],
            _ => Vec::new(),
        }
    }

    /// A reveal waits for its output to be stored, but not past its window: the other seats have the
    /// output too, and silence would be a fault of this one.
    fn holds_reveal(&self, height: Height, closes: Height) -> bool {
        self.unstored && height.plus(CANCEL_BLOCKS) < closes
    }

    fn speak(&self, height: Height) -> Vec<Intent> {
        let seat = self.order.seat;
        let closes = self.order.commit_closes;
        let (body, valid_until) = match (&self.stage, &self.opened, self.order.reveal_closes) {
            (Stage::Declining(reason), ..) => {
                let reason = *reason;
                (TxBody::Decline(Decline { seat, reason }), closes)
            }
            // Again at each height: a full journal takes nothing, and the same mark twice is one.
            (Stage::Marking, Some(opened), _) => {
                let commit = opened.hash();
                return vec![Intent::Mark { seat, commit }];
            }
            (Stage::Committing, Some(opened), _) => {
                let commit = opened.hash();
                (TxBody::CommitResult(CommitResult { seat, commit }), closes)
            }
            (Stage::Sealed, Some(opened), Some(valid_until))
                if !self.holds_reveal(height, valid_until) =>
            {
                let Some(result) = &self.result else {
                    return Vec::new();
                };
                (TxBody::RevealResult(result.reveal(opened)), valid_until)
            }
            _ => return Vec::new(),
        };
        vec![Intent::Submit { body, valid_until }]
    }
}
