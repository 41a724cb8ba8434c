//! Quantities that must never be mistaken for one another: each is a newtype with its unit in its name.

use std::fmt;

use bincode::{Decode, Encode};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
        pub struct $name(pub $inner);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);
            /// The largest value.
            pub const MAX: Self = Self(<$inner>::MAX);

            /// The sum, or `None` when it does not fit.
            #[must_use]
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The difference, or `None` when it would be negative.
            #[must_use]
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(difference) => Some(Self(difference)),
                    None => None,
                }
            }

            /// The sum, or the largest value when it does not fit.
            #[must_use]
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, or zero when it would be negative.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

quantity! {
    /// A block's place in the chain. The first block has height 1; 0 stands for genesis.
    Height(u64)
}
quantity! {
    /// An attempt to agree on one height, from 0.
    Round(u32)
}
quantity! {
    /// Money, in upal: 1 PAL is 1,000,000 upal.
    Amount(u64)
}
quantity! {
    /// Work, in units of one multiply-add (models.md); 10^9 is about a second.
    Fuel(u64)
}
quantity! {
    /// Milliseconds since the Unix epoch.
    TimeMs(u64)
}
quantity! {
    /// A count of bytes.
    ByteLen(u64)
}

/// How many upal make one PAL.
pub const UPAL_PER_PAL: u64 = 1_000_000;

impl Height {
    /// The height after this one; stays at the largest.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The height before this one; stays at zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The height `blocks` later; stays at the largest.
    #[must_use]
    pub const fn plus(self, blocks: u64) -> Self {
        Self(self.0.saturating_add(blocks))
    }

    /// The height `blocks` earlier; stays at zero.
    #[must_use]
    pub const fn minus(self, blocks: u64) -> Self {
        Self(self.0.saturating_sub(blocks))
    }
}

impl Round {
    /// The round after this one; stays at the largest.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Amount {
    /// So many whole PAL, or the largest amount if that does not fit.
    #[must_use]
    pub const fn pal(pal: u64) -> Self {
        Self(pal.saturating_mul(UPAL_PER_PAL))
    }

    /// `floor(self * numerator / denominator)`, computed in 128 bits; zero for a zero denominator.
    #[must_use]
    pub fn share(self, numerator: u64, denominator: u64) -> Self {
        let product = u128::from(self.0).saturating_mul(u128::from(numerator));
        let share = product.checked_div(u128::from(denominator)).unwrap_or(0);
        Self(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_floor_and_never_overflow() {
        assert_eq!(Amount(7).share(1, 2), Amount(3));
        assert_eq!(Amount(u64::MAX).share(u64::MAX, u64::MAX), Amount(u64::MAX));
        assert_eq!(Amount(10).share(1, 0), Amount::ZERO);
    }

    #[test]
    fn heights_saturate() {
        assert_eq!(Height(0).previous(), Height(0));
        assert_eq!(Height(u64::MAX).next(), Height::MAX);
    }
}
