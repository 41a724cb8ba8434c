//! The sign guard: one value per (height, round, step), across restarts.
//!
//! A refusal can only mean a bug, a lost log or a cloned host, and stops the process.

use protocol::digest::Digest;
use protocol::units::{Height, Round};
use protocol::vote::VoteKind;

/// What is signed within a round, in the order in which it is signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Step {
    /// A proposal.
    Propose,
    /// A prevote.
    Prevote,
    /// A precommit.
    Precommit,
}

impl From<VoteKind> for Step {
    fn from(kind: VoteKind) -> Self {
        match kind {
            VoteKind::Prevote => Self::Prevote,
            VoteKind::Precommit => Self::Precommit,
        }
    }
}

/// One thing that may be signed once; ordered as it is signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SignPoint {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The step.
    pub step: Step,
}

/// A signature: where, and over which digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignMark {
    /// Where.
    pub point: SignPoint,
    /// The digest that is signed; zero if it is not known, which allows nothing at this point.
    pub digest: Digest,
}

/// The last point signed, and what was signed there if that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignGuard {
    point: SignPoint,
    digest: Option<Digest>,
}

impl SignGuard {
    /// Nothing at or below this height is signed any more.
    pub(crate) const fn above(committed: Height) -> Self {
        let point = SignPoint {
            height: committed,
            round: Round::MAX,
            step: Step::Precommit,
        };
        Self {
            point,
            digest: None,
        }
    }

    /// The last point signed.
    pub(crate) const fn point(&self) -> SignPoint {
        self.point
    }

    /// Learns of a signature made before. Two different ones at one point leave nothing allowed
    /// there.
    pub(crate) fn raise(&mut self, mark: &SignMark) {
        if mark.point > self.point {
            *self = Self {
                point: mark.point,
                digest: (mark.digest != Digest::ZERO).then_some(mark.digest),
            };
        } else if mark.point == self.point && self.digest != Some(mark.digest) {
            self.digest = None;
        }
    }

    /// Allows a signature above the last, or the last one again.
    pub(crate) fn allow(&mut self, mark: &SignMark) -> Result<(), SignPoint> {
        if mark.point > self.point {
            self.raise(mark);
            Ok(())
        } else if mark.point == self.point && self.digest == Some(mark.digest) {
            Ok(())
        } else {
            Err(self.point)
        }
    }

    /// Whether a message of our own key from outside is one that we cannot have signed.
    pub(crate) fn is_foreign(&self, mark: &SignMark) -> bool {
        mark.point > self.point
            || (mark.point == self.point && self.digest.is_some_and(|own| own != mark.digest))
    }
}

#[cfg(test)]
mod tests {
    use protocol::digest::sha256;

    use super::*;

    fn mark(height: u64, round: u32, step: Step, value: &[u8]) -> SignMark {
        let point = SignPoint {
            height: Height(height),
            round: Round(round),
            step,
        };
        SignMark {
            point,
            digest: sha256(value),
        }
    }

    #[test]
    fn signs_upwards_and_repeats_only_the_last() {
        let mut guard = SignGuard::above(Height(4));
        assert!(
            guard.allow(&mark(4, 0, Step::Prevote, b"a")).is_err(),
            "height 4 is over"
        );
        assert!(guard.allow(&mark(5, 0, Step::Prevote, b"a")).is_ok());
        assert!(
            guard.allow(&mark(5, 0, Step::Prevote, b"a")).is_ok(),
            "same bytes again"
        );
        assert!(
            guard.allow(&mark(5, 0, Step::Prevote, b"b")).is_err(),
            "another value"
        );
        assert!(
            guard.allow(&mark(5, 0, Step::Propose, b"a")).is_err(),
            "an earlier step"
        );
        assert!(guard.allow(&mark(5, 1, Step::Propose, b"b")).is_ok());
        assert!(
            guard.allow(&mark(5, 0, Step::Precommit, b"b")).is_err(),
            "an earlier round"
        );
    }

    /// An imported floor names the point, not the bytes: a message of that point may well be ours.
    #[test]
    fn unknown_bytes_at_the_floor_accuse_nobody() {
        let mut guard = SignGuard::above(Height(0));
        let floor = mark(4, 0, Step::Precommit, b"");
        guard.raise(&SignMark {
            digest: Digest::ZERO,
            ..floor
        });
        assert!(!guard.is_foreign(&mark(4, 0, Step::Precommit, b"a")));
        assert!(guard.is_foreign(&mark(4, 1, Step::Propose, b"a")));
        assert!(guard.allow(&mark(4, 0, Step::Precommit, b"a")).is_err());
    }

    #[test]
    fn two_signatures_at_the_floor_allow_neither() {
        let mut guard = SignGuard::above(Height(0));
        guard.raise(&mark(1, 0, Step::Prevote, b"a"));
        guard.raise(&mark(1, 0, Step::Prevote, b"b"));
        assert!(guard.allow(&mark(1, 0, Step::Prevote, b"a")).is_err());
        assert!(guard.allow(&mark(1, 0, Step::Precommit, b"a")).is_ok());
    }
}
