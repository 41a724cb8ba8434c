//! What a proposer puts into its block: evidence, seat messages, then by fee per byte and arrival,
//! each sender's nonces in order, as far as the bytes go. Nothing that would not apply. A transaction
//! on which the ledger contradicts itself is not at fault: there is no block then, and the node stops.

use std::collections::{BTreeMap, BinaryHeap};

use protocol::digest::{Address, ValidatorId};
use protocol::limits::BLOCK_EVIDENCE_BYTES_MAX;
use protocol::signed::Verified;
use protocol::tx::Tx;
use protocol::units::TimeMs;

use crate::admit::Class;
use crate::error::TxError;
use crate::execute::{NonceRule, execute};
use crate::money::Breach;
use crate::state::State;
use crate::work::Work;

/// What each transaction costs a body beyond its own bytes: the length before it.
const LENGTH_BYTES: usize = 8;

/// What a proposer takes, by place in the list it was given.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// In block order.
    pub taken: Vec<usize>,
    /// What does not apply any more, and why: a pool may drop these.
    pub dropped: Vec<(usize, TxError)>,
}

struct Room {
    bytes: usize,
    evidence: usize,
}

impl Room {
    /// What is left beside this one, if it fits.
    fn beside(&self, tx: &Verified<Tx>) -> Option<Self> {
        let len = tx.byte_len();
        let evidence = match Class::of(&tx.message().body) {
            Class::Evidence => self.evidence.checked_sub(len),
            _ => Some(self.evidence),
        };
        Some(Self {
            bytes: self.bytes.checked_sub(len.saturating_add(LENGTH_BYTES))?,
            evidence: evidence?,
        })
    }
}

/// Fee per byte, in 2^-20 upal so that close offers differ; ties go to the earlier arrival.
fn rank(tx: &Verified<Tx>, place: usize) -> (u128, std::cmp::Reverse<usize>) {
    let len = u128::try_from(tx.byte_len()).unwrap_or(u128::MAX).max(1);
    let fee = u128::from(tx.message().fee.0).saturating_mul(1 << 20);
    (fee.checked_div(len).unwrap_or(0), std::cmp::Reverse(place))
}

/// Chooses a block's transactions from a pool given in order of arrival.
///
/// # Errors
/// [`Breach`]: the ledger contradicts itself, and the node must stop.
pub fn select(
    state: &State,
    builder: ValidatorId,
    time_ms: TimeMs,
    pool: &[&Verified<Tx>],
    bytes_max: usize,
) -> Result<Selection, Breach> {
    let mut work = Work::new(state.clone(), state.next_context(builder, time_ms));
    let mut room = Room {
        bytes: bytes_max.saturating_sub(LENGTH_BYTES),
        evidence: BLOCK_EVIDENCE_BYTES_MAX,
    };
    let mut selection = Selection::default();
    for class in [Class::Evidence, Class::Seat] {
        for (place, tx) in pool.iter().enumerate() {
            if Class::of(&tx.message().body) == class {
                consider(&mut work, &mut room, &mut selection, place, tx)?;
            }
        }
    }
    take_paid(&mut work, &mut room, &mut selection, pool)?;
    Ok(selection)
}

fn take_paid(
    work: &mut Work,
    room: &mut Room,
    selection: &mut Selection,
    pool: &[&Verified<Tx>],
) -> Result<(), Breach> {
    let mut senders: BTreeMap<Address, BTreeMap<u64, usize>> = BTreeMap::new();
    for (place, tx) in pool.iter().enumerate() {
        if Class::of(&tx.message().body) == Class::Paid {
            let nonces = senders.entry(tx.message().signer.address()).or_default();
            nonces.insert(tx.message().nonce, place);
        }
    }
    let mut heads = BinaryHeap::new();
    for (sender, nonces) in &mut senders {
        let expected = work.state.account(sender).nonce;
        let waiting = nonces.split_off(&expected);
        let stale = std::mem::replace(nonces, waiting);
        let stale = stale
            .into_iter()
            .map(|(nonce, place)| (place, TxError::StaleNonce { nonce, expected }));
        selection.dropped.extend(stale);
    }
    let addresses: Vec<Address> = senders.keys().copied().collect();
    let mut next_of = |sender: Address, work: &Work| {
        let next = work.state.account(&sender).nonce;
        let place = senders.get_mut(&sender)?.remove(&next)?;
        pool.get(place).map(|tx| (rank(tx, place), sender, place))
    };
    heads.extend(
        addresses
            .into_iter()
            .filter_map(|sender| next_of(sender, work)),
    );
    while let Some((_, sender, place)) = heads.pop() {
        let Some(tx) = pool.get(place) else {
            continue;
        };
        if consider(work, room, selection, place, tx)? {
            heads.extend(next_of(sender, work));
        }
    }
    Ok(())
}

/// Takes a transaction if it fits and has its effect; says whether the sender's next may follow.
fn consider(
    work: &mut Work,
    room: &mut Room,
    selection: &mut Selection,
    place: usize,
    tx: &Verified<Tx>,
) -> Result<bool, Breach> {
    // Asked first: a full block tries no more transactions.
    let Some(left) = room.beside(tx) else {
        return Ok(false);
    };
    let mark = work.mark();
    let taken = match execute(work, tx, NonceRule::Next) {
        Ok(outcome) => match outcome.refused {
            None => {
                *room = left;
                selection.taken.push(place);
                true
            }
            Some(error) => {
                work.return_to(mark);
                selection.dropped.push((place, error));
                false
            }
        },
        Err(TxError::Breach(breach)) => return Err(breach),
        Err(TxError::NonceGap { .. }) => {
            work.return_to(mark);
            false
        }
        Err(error) => {
            work.return_to(mark);
            selection.dropped.push((place, error));
            false
        }
    };
    Ok(taken)
}
