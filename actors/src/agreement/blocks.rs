//! Blocks as the consensus actor sees them: building one, judging one, applying one.
//!
//! The state here is that of the last committed height; blocks of the next one are tried on clones of
//! it, and the outcome is kept until one of them is decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{Applied, BlockInvalid, Breach, State, select};
use protocol::block::{Block, BlockError, Body, HEADER_BYTES};
use protocol::digest::{BlockId, TxId, ValidatorId};
use protocol::limits::{BLOCK_BYTES_MAX, BLOCK_TXS_MAX};
use protocol::signed::Verified;
use protocol::tx::Tx;
use protocol::units::TimeMs;
use thiserror::Error;

use crate::verified::VerifiedTxs;

/// Outcomes kept for one height: as many as the machine keeps blocks.
const OUTCOMES_MAX: usize = 8;

/// Bytes of transactions that are looked at for one block. Each applies by itself, but not always beside
/// the others: with no more than a block's worth, a few accounts that promise the same money many times
/// would keep out, for nothing, whatever comes after them.
pub const OFFERED_BYTES_MAX: usize = 4 * (BLOCK_BYTES_MAX - HEADER_BYTES);

/// Why a block is not voted for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The bytes are no block.
    #[error(transparent)]
    Bytes(#[from] BlockError),
    /// The ledger refuses it.
    #[error(transparent)]
    Rules(#[from] BlockInvalid),
}

/// A block that was tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The block.
    pub block: Arc<Block>,
    /// What applying it gave.
    pub applied: Arc<Applied>,
}

/// See the module.
#[derive(Debug)]
pub struct Bench {
    state: State,
    verified: VerifiedTxs,
    tried: BTreeMap<BlockId, Tried>,
}

/// What was built, and what the pool may forget.
#[derive(Debug)]
pub struct Built {
    /// The block.
    pub block: Block,
    /// What does not apply any more.
    pub dropped: Vec<TxId>,
}

impl Bench {
    /// Begins at this state; `verified` remembers signatures.
    #[must_use]
    pub fn new(state: State, verified: VerifiedTxs) -> Self {
        Self {
            state,
            verified,
            tried: BTreeMap::new(),
        }
    }

    /// The state after the last committed block.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// A block of what the pool offers, on the present state.
    ///
    /// # Errors
    /// [`Breach`]: the state contradicts itself, and the node must stop.
    pub fn build(
        &self,
        builder: ValidatorId,
        clock: TimeMs,
        pool: &[Arc<Verified<Tx>>],
    ) -> Result<Built, Breach> {
        let offered: Vec<&Verified<Tx>> = pool.iter().map(AsRef::as_ref).collect();
        let bytes_max = BLOCK_BYTES_MAX - HEADER_BYTES;
        let time = self.state.clamp_time(clock);
        let selection = select(&self.state, builder, time, &offered, bytes_max)?;
        let chain = self.state.chain_id();
        let id_at = |place: usize| offered.get(place).map(|tx| tx.tx_id(&chain));
        let txs = selection
            .taken
            .iter()
            .filter_map(|place| offered.get(*place));
        let body = Body(txs.map(|tx| tx.to_bytes()).collect());
        let header = self.state.header_for(&body, builder, clock);
        let dropped = selection
            .dropped
            .iter()
            .filter_map(|(place, _)| id_at(*place))
            .collect();
        Ok(Built {
            block: Block { header, body },
            dropped,
        })
    }

    /// Tries a block of the next height, once.
    ///
    /// # Errors
    /// [`Refusal`]: the bytes are no block, or the ledger refuses it.
    pub fn judge(&mut self, id: BlockId, bytes: &[u8]) -> Result<Tried, Refusal> {
        if let Some(tried) = self.tried.get(&id) {
            return Ok(tried.clone());
        }
        let block = Block::from_bytes(bytes)?;
        let txs = self.verify(&block)?;
        let applied = self.state.apply(&block.header, &txs)?;
        let tried = Tried {
            block: Arc::new(block),
            applied: Arc::new(applied),
        };
        while self.tried.len() >= OUTCOMES_MAX {
            self.tried.pop_first();
        }
        self.tried.insert(id, tried.clone());
        Ok(tried)
    }

    /// Moves on to the state after a decided block.
    pub fn advance(&mut self, state: State) {
        self.state = state;
        self.tried.clear();
    }

    fn verify(&self, block: &Block) -> Result<Vec<Verified<Tx>>, BlockInvalid> {
        if block.body.0.len() > BLOCK_TXS_MAX {
            return Err(BlockInvalid::TooMany(block.body.0.len()));
        }
        let chain = self.state.chain_id();
        let verify = |(index, bytes): (usize, &Vec<u8>)| {
            self.verified
                .verify(bytes, &chain)
                .ok_or(BlockInvalid::Signature { index })
        };
        block.body.0.iter().enumerate().map(verify).collect()
    }
}
