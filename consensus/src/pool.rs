//! Every verified vote and proposal of the last heights, one per slot; a second that says something
//! else is a contradiction.
//!
//! Messages are compared, never signatures: a signer can make many signatures for one message. The
//! core forgets votes below its height and below its lock; the pool does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::evidence::ContradictingPair;
use protocol::keys::PublicKey;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{Proposal, Vote};

use crate::guard::{SignPoint, Step};
use crate::limits::{POOL_HEIGHTS, POOL_SLOTS_PER_VALIDATOR};

/// A message in its slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Held {
    Vote(Signed<Vote>),
    Proposal(Signed<Proposal>),
}

impl Held {
    pub(crate) fn point(&self) -> SignPoint {
        match self {
            Self::Vote(vote) => {
                let Vote {
                    height,
                    round,
                    kind,
                    ..
                } = vote.message;
                SignPoint {
                    height,
                    round,
                    step: kind.into(),
                }
            }
            Self::Proposal(proposal) => {
                let Proposal { height, round, .. } = proposal.message;
                SignPoint {
                    height,
                    round,
                    step: Step::Propose,
                }
            }
        }
    }

    pub(crate) fn signer(&self) -> PublicKey {
        match self {
            Self::Vote(vote) => vote.message.signer,
            Self::Proposal(proposal) => proposal.message.signer,
        }
    }

    fn against(&self, other: &Self) -> Option<ContradictingPair> {
        match (self, other) {
            (Self::Vote(a), Self::Vote(b)) => ContradictingPair::votes(a.clone(), b.clone()).ok(),
            (Self::Proposal(a), Self::Proposal(b)) => {
                ContradictingPair::proposals(a.clone(), b.clone()).ok()
            }
            _ => None,
        }
    }
}

/// What a message was to the pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Added {
    /// The first of its slot.
    New,
    /// What the slot holds already, or not different in what counts.
    Same,
    /// The second, different one of its slot.
    Contradiction(Box<ContradictingPair>),
    /// A further one of a slot that was contradicted before.
    Further,
}

#[derive(Clone, Debug)]
struct Slot {
    held: Held,
    contradicted: bool,
}

type Slots = BTreeMap<(PublicKey, Round, Step), Slot>;

/// The pool; a clone shares what does not change, because one is made after every step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    /// Heights about which something still comes.
    near: BTreeMap<Height, Arc<Slots>>,
    /// Those before them.
    past: Arc<BTreeMap<Height, Arc<Slots>>>,
}

/// Heights below the current one that are near: their last precommits come late, every time.
const NEAR_HEIGHTS: u64 = 2;
const _: () = assert!(NEAR_HEIGHTS < POOL_HEIGHTS);

impl Pool {
    pub(crate) fn add(&mut self, held: Held) -> Added {
        let (point, signer) = (held.point(), held.signer());
        let slots = Arc::make_mut(self.height_mut(point.height));
        let key = (signer, point.round, point.step);
        let Some(slot) = slots.get_mut(&key) else {
            make_room(slots, signer);
            slots.insert(
                key,
                Slot {
                    held,
                    contradicted: false,
                },
            );
            return Added::New;
        };
        match slot.held.against(&held) {
            None => Added::Same,
            Some(_) if slot.contradicted => Added::Further,
            Some(pair) => {
                slot.contradicted = true;
                Added::Contradiction(Box::new(pair))
            }
        }
    }

    fn height_mut(&mut self, height: Height) -> &mut Arc<Slots> {
        if self.past.contains_key(&height) {
            return Arc::make_mut(&mut self.past).entry(height).or_default();
        }
        self.near.entry(height).or_default()
    }

    fn height(&self, height: Height) -> Option<&Arc<Slots>> {
        self.near.get(&height).or_else(|| self.past.get(&height))
    }

    /// Whether the slot holds something that this message contradicts, for the first time.
    pub(crate) fn would_contradict(&self, held: &Held) -> bool {
        self.slot(held.signer(), held.point())
            .is_some_and(|slot| !slot.contradicted && slot.held.against(held).is_some())
    }

    /// Whether this message would change nothing.
    pub(crate) fn knows(&self, held: &Held) -> bool {
        let slot = self.slot(held.signer(), held.point());
        slot.is_some_and(|slot| slot.contradicted || slot.held.against(held).is_none())
    }

    /// Whether this slot can bring nothing new any more.
    pub(crate) fn is_spent(&self, signer: PublicKey, point: SignPoint) -> bool {
        self.slot(signer, point)
            .is_some_and(|slot| slot.contradicted)
    }

    fn slot(&self, signer: PublicKey, point: SignPoint) -> Option<&Slot> {
        self.height(point.height)?
            .get(&(signer, point.round, point.step))
    }

    /// What is held of one round, for peers that missed it.
    pub(crate) fn round(&self, height: Height, round: Round) -> Vec<Held> {
        let slots = self
            .height(height)
            .into_iter()
            .flat_map(|slots| slots.iter());
        slots
            .filter(|((_, r, _), _)| *r == round)
            .map(|(_, slot)| slot.held.clone())
            .collect()
    }

    /// What is held of one height, in a fixed order.
    pub(crate) fn at(&self, height: Height) -> Vec<Held> {
        let slots = self.height(height).into_iter();
        slots
            .flat_map(|slots| slots.values().map(|slot| slot.held.clone()))
            .collect()
    }

    pub(crate) fn heights(&self) -> usize {
        self.near.len().saturating_add(self.past.len())
    }

    /// How many messages of one validator are kept at this height, of the one that has most.
    pub(crate) fn most_of_a_validator(&self, height: Height) -> usize {
        let slots = self.height(height);
        let mut most = 0_usize;
        let mut counted: Option<(PublicKey, usize)> = None;
        for (signer, _, _) in slots.iter().flat_map(|slots| slots.keys()) {
            let count = match counted {
                Some((last, count)) if last == *signer => count.saturating_add(1),
                _ => 1,
            };
            counted = Some((*signer, count));
            most = most.max(count);
        }
        most
    }

    pub(crate) fn prune(&mut self, current: Height) {
        let near = self.near.split_off(&current.minus(NEAR_HEIGHTS));
        let mut over = std::mem::replace(&mut self.near, near);
        let past = Arc::make_mut(&mut self.past);
        past.append(&mut over);
        *past = past.split_off(&current.minus(POOL_HEIGHTS));
    }
}

/// A validator that fills its slots loses the one of its lowest round.
fn make_room(slots: &mut Slots, signer: PublicKey) {
    let mine = (signer, Round::ZERO, Step::Propose)..=(signer, Round::MAX, Step::Precommit);
    let lowest = slots.range(mine.clone()).next().map(|(key, _)| *key);
    if slots.range(mine).count() >= POOL_SLOTS_PER_VALIDATOR
        && let Some(lowest) = lowest
    {
        slots.remove(&lowest);
    }
}

#[cfg(test)]
mod tests {
    use protocol::digest::{BlockId, ChainId, sha256};
    use protocol::keys::{SecretKey, Signature};
    use protocol::vote::{BodyPlace, VoteKind};

    use super::*;

    fn vote(round: u32, block: Option<&[u8]>) -> Held {
        let secret = SecretKey::from_bytes(&[1; 32]).unwrap();
        let message = Vote {
            kind: VoteKind::Prevote,
            height: Height(1),
            round: Round(round),
            block: block.map(|b| BlockId(sha256(b))),
            signer: secret.public(),
        };
        Held::Vote(Signed::sign(message, &secret, &ChainId::ZERO))
    }

    #[test]
    fn second_value_is_a_contradiction_and_a_third_is_nothing() {
        let mut pool = Pool::default();
        assert_eq!(pool.add(vote(0, None)), Added::New);
        assert_eq!(pool.add(vote(0, None)), Added::Same);
        assert!(matches!(
            pool.add(vote(0, Some(b"a"))),
            Added::Contradiction(_)
        ));
        assert_eq!(pool.add(vote(0, Some(b"b"))), Added::Further);
        assert_eq!(
            pool.add(vote(1, Some(b"a"))),
            Added::New,
            "another round is another slot"
        );
    }

    #[test]
    fn same_message_two_signatures_is_no_evidence() {
        let mut pool = Pool::default();
        let Held::Vote(first) = vote(0, None) else {
            panic!("a vote")
        };
        let second = Signed {
            signature: Signature([9; 64]),
            ..first.clone()
        };
        assert_eq!(pool.add(Held::Vote(first)), Added::New);
        assert_eq!(pool.add(Held::Vote(second)), Added::Same);
    }

    #[test]
    fn place_of_the_block_is_no_contradiction() {
        let secret = SecretKey::from_bytes(&[1; 32]).unwrap();
        let proposal = |body| {
            let message = Proposal {
                height: Height(1),
                round: Round(0),
                pol_round: None,
                block: BlockId::ZERO,
                body,
                signer: secret.public(),
            };
            Held::Proposal(Signed::sign(message, &secret, &ChainId::ZERO))
        };
        let mut pool = Pool::default();
        assert_eq!(pool.add(proposal(BodyPlace::Inline)), Added::New);
        assert_eq!(pool.add(proposal(BodyPlace::Apart)), Added::Same);
    }

    #[test]
    fn a_second_value_is_found_however_late_until_its_height_is_pruned() {
        let mut pool = Pool::default();
        pool.add(vote(0, None));
        for current in 1..=POOL_HEIGHTS {
            pool.prune(Height(current));
            let window = pool.clone();
            assert_eq!(window.round(Height(1), Round(0)).len(), 1, "at {current}");
        }
        pool.prune(Height(POOL_HEIGHTS + 1));
        let contradiction = pool.add(vote(0, Some(b"a")));
        assert!(matches!(contradiction, Added::Contradiction(_)));
        pool.prune(Height(POOL_HEIGHTS + 2));
        assert!(pool.round(Height(1), Round(0)).is_empty());
    }

    #[test]
    fn one_validator_fills_its_own_slots_only() {
        let mut pool = Pool::default();
        (0..100).for_each(|round| {
            pool.add(vote(round, None));
        });
        let slots = pool.height(Height(1)).unwrap();
        assert_eq!(slots.len(), POOL_SLOTS_PER_VALIDATOR);
        assert_eq!(
            pool.round(Height(1), Round(99)).len(),
            1,
            "the newest stays"
        );
    }
}
