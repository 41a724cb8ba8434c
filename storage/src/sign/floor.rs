//! The rule for signing, and the floor below which nothing is signed; pure.

use protocol::digest::Digest;
use protocol::units::{Height, Round};

/// What is signed within a round, in the order in which it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A proposal.
    Propose = 1,
    /// A prevote.
    Prevote = 2,
    /// A precommit.
    Precommit = 3,
}

impl Step {
    /// The step with this byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Propose),
            2 => Some(Self::Prevote),
            3 => Some(Self::Precommit),
            _ => None,
        }
    }
}

/// One thing that may be signed once; ordered as it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignPoint {
    /// The height.
    pub height: Height,
    /// The round.
    pub round: Round,
    /// The step.
    pub step: Step,
}

impl SignPoint {
    /// The last point of a height: nothing at or below `height` is above it.
    #[must_use]
    pub const fn end_of(height: Height) -> Self {
        Self {
            height,
            round: Round::MAX,
            step: Step::Precommit,
        }
    }
}

/// A signature about to be released: where, and over which bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignMark {
    /// Where.
    pub point: SignPoint,
    /// SHA-256 of the bytes that are signed.
    pub sign_bytes: Digest,
}

/// The highest point known to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The point.
    pub point: SignPoint,
    /// What was signed there; `None` if unknown, so that nothing may be signed there again.
    pub sign_bytes: Option<Digest>,
}

/// A signature that may be released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// It is above everything signed before.
    Above,
    /// It is the last one again, over the same bytes.
    Again,
}

/// A signature that would contradict, or could contradict, an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused to sign at {asked:?}: already signed at {floor:?}")]
pub struct SignRefused {
    /// What was asked.
    pub asked: SignPoint,
    /// The floor.
    pub floor: SignPoint,
}

impl Floor {
    /// The floor of a height that is over.
    #[must_use]
    pub const fn end_of(height: Height) -> Self {
        Self {
            point: SignPoint::end_of(height),
            sign_bytes: None,
        }
    }

    /// The rule: above the last point, or the same point with the same bytes.
    ///
    /// # Errors
    /// For everything else.
    pub fn judge(&self, mark: &SignMark) -> Result<Allowed, SignRefused> {
        if mark.point > self.point {
            Ok(Allowed::Above)
        } else if mark.point == self.point && self.sign_bytes == Some(mark.sign_bytes) {
            Ok(Allowed::Again)
        } else {
            Err(SignRefused {
                asked: mark.point,
                floor: self.point,
            })
        }
    }

    /// The higher of the two. Two different signatures at one point leave the bytes unknown, so
    /// that nothing more is signed there.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        match self.point.cmp(&other.point) {
            std::cmp::Ordering::Less => other,
            std::cmp::Ordering::Greater => self,
            std::cmp::Ordering::Equal if self.sign_bytes == other.sign_bytes => self,
            std::cmp::Ordering::Equal => Self {
                point: self.point,
                sign_bytes: None,
            },
        }
    }
}

impl From<SignMark> for Floor {
    fn from(mark: SignMark) -> Self {
        Self {
            point: mark.point,
            sign_bytes: Some(mark.sign_bytes),
        }
    }
}
