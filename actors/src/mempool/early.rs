//! Seat messages that came before the block that makes them right.
//!
//! Nodes apply one block some milliseconds apart. Whoever is first speaks first, and gossip says
//! everything once: what were refused for being early would be lost to this node for good, and with
//! it, often enough, to the block that had to hold it.

use std::collections::VecDeque;

use protocol::signed::Verified;
use protocol::tx::Tx;
use protocol::units::Height;

/// Two messages of every seat of a few jobs that open together.
const EARLY_MAX: usize = 256;
/// A message still early after so many blocks is not early but wrong.
const EARLY_BLOCKS: u64 = 2;

/// Refusals that the next block may lift.
const NOT_YET: [&str; 3] = ["seat.wrong_phase", "seat.unknown", "job.unknown"];

/// What waits, in the order of arrival, each with the height it came at.
#[derive(Debug, Default)]
pub(crate) struct Early<S> {
    waiting: VecDeque<(Height, Verified<Tx>, S)>,
}

impl<S> Early<S> {
    pub(crate) const fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
        }
    }

    /// Whether a refused message is worth keeping.
    pub(crate) fn is_early(tx: &Tx, code: &str) -> bool {
        tx.body.kind().is_seat_message() && NOT_YET.contains(&code)
    }

    /// Keeps a message; the oldest makes room.
    pub(crate) fn keep(&mut self, came: Height, tx: Verified<Tx>, source: S) {
        if self.waiting.len() >= EARLY_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((came, tx, source));
    }

    /// Everything that is worth another try at this height.
    pub(crate) fn take(&mut self, now: Height) -> Vec<(Height, Verified<Tx>, S)> {
        let young = |(came, _, _): &(Height, Verified<Tx>, S)| came.plus(EARLY_BLOCKS) >= now;
        std::mem::take(&mut self.waiting)
            .into_iter()
            .filter(young)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::digest::{ChainId, Digest, JobId};
    use protocol::job::{DeclineReason, SeatRef};
    use protocol::keys::SecretKey;
    use protocol::signed::Signed;
    use protocol::tx::{Decline, KeyKind, TX_VERSION, TxBody};
    use protocol::units::Amount;

    fn decline(seat: u16) -> Verified<Tx> {
        let key = SecretKey::from_bytes(&[9; 32]).unwrap();
        let chain = ChainId::of_genesis(b"early");
        let job = JobId(Digest([1; 32]));
        let tx = Tx {
            version: TX_VERSION,
            key_kind: KeyKind::Session,
            signer: key.public(),
            nonce: 0,
            fee: Amount(0),
            valid_until: Height(100),
            anchor: None,
            body: TxBody::Decline(Decline {
                seat: SeatRef {
                    job,
                    attempt: 0,
                    seat,
                },
                reason: DeclineReason::HostTimeout,
            }),
        };
        Signed::sign(tx, &key, &chain).verify(&chain).unwrap()
    }

    #[test]
    fn early_messages_are_tried_again_for_two_blocks_and_then_dropped() {
        let mut early = Early::new();
        early.keep(Height(10), decline(1), ());
        let again = early.take(Height(11));
        assert_eq!(again.len(), 1);
        for (came, tx, source) in again {
            early.keep(came, tx, source);
        }
        assert_eq!(early.take(Height(13)).len(), 0);
        assert_eq!(early.take(Height(11)).len(), 0, "dropped for good");
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut early = Early::new();
        for seat in 0..=u16::try_from(EARLY_MAX).unwrap() {
            early.keep(Height(1), decline(seat), seat);
        }
        let kept = early.take(Height(1));
        assert_eq!((kept.len(), kept[0].2), (EARLY_MAX, 1));
    }

    #[test]
    fn only_seat_messages_that_the_next_block_may_allow() {
        let seat = decline(0);
        assert!(Early::<()>::is_early(seat.message(), "seat.wrong_phase"));
        assert!(!Early::<()>::is_early(seat.message(), "seat.not_yours"));
    }
}
