//! A state being changed: the one place where rules write.

use protocol::digest::{Address, BlockId, JobId, ValidatorId};
use protocol::events::Event;
use protocol::units::{Height, TimeMs};

use crate::jobs::JobHead;
use crate::layout::Only;
use crate::money::{Breach, Move};
use crate::staking::Validator;
use crate::state::State;

/// The block being applied, as far as rules may look at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockContext {
    /// Its height.
    pub height: Height,
    /// Its header time.
    pub time_ms: TimeMs,
    /// Its id.
    pub id: BlockId,
    /// Who built it.
    pub builder: ValidatorId,
}

/// A state with what has happened to it so far in this block.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) state: State,
    pub(crate) block: BlockContext,
    pub(crate) events: Vec<Event>,
    pub(crate) moves: Vec<Move>,
}

/// A point to return to.
pub(crate) struct Mark {
    state: State,
    events: usize,
    moves: usize,
}

impl Work {
    pub(crate) fn new(state: State, block: BlockContext) -> Self {
        Self {
            state,
            block,
            events: Vec::new(),
            moves: Vec::new(),
        }
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            state: self.state.clone(),
            events: self.events.len(),
            moves: self.moves.len(),
        }
    }

    pub(crate) fn return_to(&mut self, mark: Mark) {
        self.state = mark.state;
        self.events.truncate(mark.events);
        self.moves.truncate(mark.moves);
    }

    pub(crate) fn emit(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn with_validator(
        &mut self,
        id: ValidatorId,
        change: impl FnOnce(&mut Validator),
    ) -> Result<(), Breach> {
        let row = self.state.validators.get(&id);
        let mut row = row
            .cloned()
            .ok_or_else(|| Breach(format!("validator {id} is missing")))?;
        change(&mut row);
        self.state.validators.put(id, row);
        Ok(())
    }

    pub(crate) fn with_job(
        &mut self,
        id: JobId,
        change: impl FnOnce(&mut JobHead),
    ) -> Result<(), Breach> {
        let row = self.state.jobs.get(&id);
        let mut row = row
            .cloned()
            .ok_or_else(|| Breach(format!("job {id} is missing")))?;
        change(&mut row);
        self.state.jobs.put(id, row);
        Ok(())
    }

    pub(crate) fn job(&self, id: JobId) -> Result<JobHead, Breach> {
        self.state
            .jobs
            .get(&id)
            .cloned()
            .ok_or_else(|| Breach(format!("job {id} is missing")))
    }

    pub(crate) fn operator_of(&self, id: &ValidatorId) -> Result<Address, Breach> {
        let row = self.state.validators.get(id);
        row.map(|row| row.operator)
            .ok_or_else(|| Breach(format!("validator {id} is missing")))
    }

    pub(crate) fn take_unbonding_number(&mut self) -> Result<u64, Breach> {
        let mut head = self.state.head();
        let number = head.next_unbonding;
        head.next_unbonding = number
            .checked_add(1)
            .ok_or_else(|| Breach("unbonding numbers ran out".to_owned()))?;
        self.state.chain.put(Only, head);
        Ok(number)
    }
}
