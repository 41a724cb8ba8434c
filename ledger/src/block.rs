//! One block: header rules, transactions in order, then what its end brings about.

use protocol::block::{Body, HEADER_VERSION, Header};
use protocol::digest::Digest;
use protocol::events::Event;
use protocol::limits::{
    BLOCK_EVIDENCE_BYTES_MAX, BLOCK_TIME_STEP_MS_MAX, BLOCK_TIME_STEP_MS_MIN, BLOCK_TXS_MAX,
    TRANSITIONS_PER_BLOCK,
};
use protocol::signed::{Signed, Verified};
use protocol::tx::Tx;
use protocol::validators::ValidatorSet;

use crate::admit::Class;
use crate::chain::{BlockRecord, ChainHead};
use crate::error::{BlockInvalid, TxError};
use crate::execute::{NonceRule, TxOutcome, execute};
use crate::layout::Only;
use crate::money::{Breach, Move};
use crate::state::State;
use crate::table::LeafChange;
use crate::work::{BlockContext, Work};
use crate::{evidence, jobs, staking};

/// How often a release build recounts all money.
const RECOUNT_BLOCKS: u64 = 100;

/// A state after a block, and everything that changed.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The state.
    pub state: State,
    /// What happened, in order; numbered by place.
    pub events: Vec<Event>,
    /// What became of each transaction, in order.
    pub outcomes: Vec<TxOutcome>,
    /// Every movement of money, in order.
    pub moves: Vec<Move>,
    /// Changed leaves, for storage.
    pub changes: Vec<LeafChange>,
    /// The set of two heights later, if it differs from the one before it.
    pub next_set: Option<ValidatorSet>,
}

/// Decodes a body and verifies every signature. Shells that verified some already may build the list
/// themselves.
///
/// # Errors
/// [`BlockInvalid::Decode`] or [`BlockInvalid::Signature`] with the place of the first bad one.
pub fn verify_body(state: &State, body: &Body) -> Result<Vec<Verified<Tx>>, BlockInvalid> {
    if body.0.len() > BLOCK_TXS_MAX {
        return Err(BlockInvalid::TooMany(body.0.len()));
    }
    let decode = |(index, bytes): (usize, &Vec<u8>)| {
        let signed = Signed::<Tx>::from_bytes(bytes);
        let signed = signed.map_err(|error| BlockInvalid::Decode { index, error })?;
        signed
            .verify(&state.chain_id())
            .map_err(|_| BlockInvalid::Signature { index })
    };
    body.0.iter().enumerate().map(decode).collect()
}

impl State {
    /// Applies a block. Neither the state nor anything else is changed if it is refused.
    ///
    /// # Errors
    /// [`BlockInvalid`]; its variant `Breach` is not the block's fault, and the node must stop.
    pub fn apply(&self, header: &Header, txs: &[Verified<Tx>]) -> Result<Applied, BlockInvalid> {
        self.check_header(header)?;
        let context = BlockContext {
            height: header.height,
            time_ms: header.time_ms,
            id: header.id(),
            builder: header.builder,
        };
        let mut work = Work::new(self.clone(), context);
        let outcomes = run(&mut work, txs)?;
        let next_set = end(&mut work, txs.len())?;
        let deep = cfg!(debug_assertions)
            || self.is_local()
            || header.height.0.is_multiple_of(RECOUNT_BLOCKS);
        if deep {
            work.state.check_invariants()?;
        }
        let Work {
            mut state,
            events,
            moves,
            ..
        } = work;
        let changes = state.seal()?;
        Ok(Applied {
            state,
            events,
            outcomes,
            moves,
            changes,
            next_set,
        })
    }

    /// The rules of a header that need the state: height, parent, time, root, next set, builder.
    ///
    /// # Errors
    /// [`BlockInvalid`] naming the first field that is wrong.
    pub fn check_header(&self, header: &Header) -> Result<(), BlockInvalid> {
        let head = self.head();
        let expected = head.height.next();
        if header.height != expected || header.version != HEADER_VERSION {
            return Err(BlockInvalid::Height {
                found: header.height,
                expected,
            });
        }
        if header.parent != head.block.0 {
            let (found, expected) = (header.parent, head.block.0);
            return Err(BlockInvalid::Parent { found, expected });
        }
        let step = header.time_ms.checked_sub(head.time_ms).map(|step| step.0);
        let steps = BLOCK_TIME_STEP_MS_MIN..=BLOCK_TIME_STEP_MS_MAX;
        if !step.is_some_and(|step| steps.contains(&step)) {
            let (found, parent) = (header.time_ms, head.time_ms);
            return Err(BlockInvalid::Time { found, parent });
        }
        let root = self.root();
        if header.state_root != root {
            return Err(BlockInvalid::StateRoot {
                found: header.state_root,
                expected: root,
            });
        }
        let next = self.set_digest(header.height.next());
        if header.next_set != next {
            return Err(BlockInvalid::NextSet {
                found: header.next_set,
                expected: next,
            });
        }
        let set = self.validator_set(header.height);
        match set.and_then(|set| set.get(&header.builder)) {
            Some(_) => Ok(()),
            None => Err(BlockInvalid::Builder(header.builder)),
        }
    }

    fn set_digest(&self, height: protocol::units::Height) -> Digest {
        self.validator_set(height)
            .map(ValidatorSet::digest)
            .unwrap_or_default()
    }

    /// The header that a builder puts before a body on this state. Its time is clamped to what the
    /// rules allow.
    #[must_use]
    pub fn header_for(
        &self,
        body: &Body,
        builder: protocol::digest::ValidatorId,
        clock: protocol::units::TimeMs,
    ) -> Header {
        let head = self.head();
        let height = head.height.next();
        Header {
            version: HEADER_VERSION,
            height,
            time_ms: self.clamp_time(clock),
            parent: head.block.0,
            state_root: self.root(),
            body_hash: body.hash(),
            next_set: self.set_digest(height.next()),
            builder,
        }
    }

    /// The nearest time to the clock's that the next header may carry.
    #[must_use]
    pub fn clamp_time(&self, clock: protocol::units::TimeMs) -> protocol::units::TimeMs {
        let parent = self.head().time_ms.0;
        let first = parent.saturating_add(BLOCK_TIME_STEP_MS_MIN);
        let last = parent.saturating_add(BLOCK_TIME_STEP_MS_MAX);
        protocol::units::TimeMs(clock.0.clamp(first, last))
    }
}

fn run(work: &mut Work, txs: &[Verified<Tx>]) -> Result<Vec<TxOutcome>, BlockInvalid> {
    if txs.len() > BLOCK_TXS_MAX {
        return Err(BlockInvalid::TooMany(txs.len()));
    }
    let mut outcomes = Vec::new();
    let mut evidence_bytes: usize = 0;
    let mut others_began = false;
    for (index, tx) in txs.iter().enumerate() {
        if Class::of(&tx.message().body) == Class::Evidence {
            evidence_bytes = evidence_bytes.saturating_add(tx.byte_len());
            if others_began || evidence_bytes > BLOCK_EVIDENCE_BYTES_MAX {
                return Err(BlockInvalid::Evidence { index });
            }
        } else {
            others_began = true;
        }
        outcomes.push(
            execute(work, tx, NonceRule::Next).map_err(|error| match error {
                TxError::Breach(breach) => BlockInvalid::Breach(breach),
                error => BlockInvalid::Tx { index, error },
            })?,
        );
    }
    Ok(outcomes)
}

/// What the end of a block brings about, in this order: jobs, maturity, expiry, the next set.
fn end(work: &mut Work, txs: usize) -> Result<Option<ValidatorSet>, Breach> {
    let BlockContext {
        height,
        time_ms,
        id,
        builder,
    } = work.block;
    jobs::end_block(work)?;
    staking::mature(work, TRANSITIONS_PER_BLOCK)?;
    evidence::expire(work);
    let next_set = staking::schedule_set(work);
    let head = ChainHead {
        height,
        time_ms,
        block: id,
        ..work.state.head()
    };
    work.state.chain.put(Only, head);
    let active_stake = work.state.active_stake(height);
    work.state.blocks.put(
        height,
        BlockRecord {
            version: 1,
            block: id,
            time_ms,
            active_stake,
        },
    );
    work.state
        .prune_blocks(height, time_ms, TRANSITIONS_PER_BLOCK);
    let txs = u32::try_from(txs).unwrap_or(u32::MAX);
    work.emit(Event::Block {
        height,
        id,
        builder,
        txs,
    });
    Ok(next_set)
}
