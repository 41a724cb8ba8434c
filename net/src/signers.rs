//! The buckets of those who sign what others relay to us.
//!
//! Only a verified signature is charged: who forges a header must not spend the quota of the signer it
//! names. What a forger costs is the check, which the relayer's own buckets and the pool's budget bound.
//! A signer that is known to have spent its quota is turned away before the check, so that its excess
//! costs one check for each message it may have.

use std::collections::HashMap;
use std::time::Duration;

use crate::buckets::Buckets;
use crate::clock::Clock;
use crate::limits::Rate;

type Signer = [u8; 33];

/// One topic's buckets.
#[derive(Debug)]
pub(crate) struct SignerBuckets {
    buckets: Buckets<Signer>,
    /// When a signer that has spent its quota gains its next token. Verified signers only.
    spent: HashMap<Signer, Duration>,
}

impl SignerBuckets {
    pub(crate) fn new(rate: Rate, clock: &Clock) -> Self {
        Self {
            buckets: Buckets::new(rate, clock),
            spent: HashMap::new(),
        }
    }

    /// Whether a message that says it is this signer's is worth a check. Changes nothing.
    pub(crate) fn may_speak(&self, signer: &Signer, now: Duration) -> bool {
        self.spent.get(signer).is_none_or(|until| *until <= now)
    }

    /// Charges a verified message; `false` if its signer has no more.
    pub(crate) fn charge(&mut self, signer: &Signer) -> bool {
        match self.buckets.take_one(signer) {
            Ok(()) => true,
            Err(until) => {
                self.spent.insert(*signer, until);
                false
            }
        }
    }

    pub(crate) fn prune(&mut self, now: Duration) {
        self.buckets.prune();
        self.spent.retain(|_, until| *until > now);
        self.spent.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Signer = [2; 33];

    fn buckets(clock: &Clock) -> SignerBuckets {
        SignerBuckets::new(Rate::per_second(1, 3), clock)
    }

    #[test]
    fn claims_cost_nothing() {
        let clock = Clock::manual();
        let mut signers = buckets(&clock);
        assert!((0..1_000).all(|_| signers.may_speak(&ALICE, clock.now())));
        let taken = (0..10).filter(|_| signers.charge(&ALICE)).count();
        assert_eq!(taken, 3, "the whole burst is still there");
    }

    #[test]
    fn who_has_spent_its_quota_is_turned_away_until_the_next_token() {
        let clock = Clock::manual();
        let mut signers = buckets(&clock);
        while signers.charge(&ALICE) {}
        assert!(!signers.may_speak(&ALICE, clock.now()));
        assert!(signers.may_speak(&[3; 33], clock.now()), "others may");
        clock.advance(Duration::from_secs(1));
        assert!(signers.may_speak(&ALICE, clock.now()));
        assert!(signers.charge(&ALICE));
        assert!(!signers.charge(&ALICE), "one a second");
    }

    #[test]
    fn pruning_forgets_who_may_speak_again() {
        let clock = Clock::manual();
        let mut signers = buckets(&clock);
        while signers.charge(&ALICE) {}
        signers.prune(clock.now());
        assert!(!signers.may_speak(&ALICE, clock.now()));
        clock.advance(Duration::from_secs(5));
        signers.prune(clock.now());
        assert_eq!((signers.spent.len(), signers.buckets.len()), (0, 0));
    }
}
