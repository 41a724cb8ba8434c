//! Indexes: derived from leaves, never leaves themselves, rebuilt when a state is loaded.

use protocol::digest::{Address, JobId, TxId, ValidatorId};
use protocol::keys::PublicKey;
use protocol::units::Height;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::State;
use crate::jobs::{JobHead, JobRequest, JobTrace, Phase, Snapshot};
use crate::layout::UnbondingKey;
use crate::money::Breach;
use crate::staking::{Unbonding, Validator};
use crate::work::Work;

/// All indexes.
#[derive(Clone, Debug)]
pub(super) struct Index {
    operators: RedBlackTreeMapSync<Address, ValidatorId>,
    keys: RedBlackTreeMapSync<PublicKey, ValidatorId>,
    /// Live jobs by deadline.
    due: RedBlackTreeSetSync<(Height, JobId)>,
    /// Ended jobs by the height at which their record goes.
    retiring: RedBlackTreeSetSync<(Height, JobId)>,
    /// Unbonding entries by age.
    maturing: RedBlackTreeSetSync<(u64, ValidatorId)>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            operators: RedBlackTreeMapSync::new_sync(),
            keys: RedBlackTreeMapSync::new_sync(),
            due: RedBlackTreeSetSync::new_sync(),
            retiring: RedBlackTreeSetSync::new_sync(),
            maturing: RedBlackTreeSetSync::new_sync(),
        }
    }
}

fn until(set: &RedBlackTreeSetSync<(Height, JobId)>, height: Height, most: usize) -> Vec<JobId> {
    set.iter()
        .take_while(|(at, _)| *at <= height)
        .take(most)
        .map(|(_, job)| *job)
        .collect()
}

impl Index {
    pub(super) fn operator(&self, operator: &Address) -> Option<ValidatorId> {
        self.operators.get(operator).copied()
    }

    pub(super) fn key(&self, key: &PublicKey) -> Option<ValidatorId> {
        self.keys.get(key).copied()
    }

    pub(super) fn live_jobs(&self) -> Vec<JobId> {
        self.due.iter().map(|(_, job)| *job).collect()
    }

    pub(super) fn note_validator(&mut self, id: ValidatorId, row: &Validator) {
        self.keys.insert_mut(row.consensus_pk, id);
        self.keys.insert_mut(row.session_pk, id);
        // A validator that is still in stands before those its operator ran earlier.
        if row.exit.is_none() || !self.operators.contains_key(&row.operator) {
            self.operators.insert_mut(row.operator, id);
        }
    }

    pub(super) fn note_unbonding(&mut self, (id, number): UnbondingKey) {
        self.maturing.insert_mut((number, id));
    }

    pub(super) fn note_job(&mut self, job: JobId, head: &JobHead, kept_for: u64) {
        if head.phase.is_end() {
            self.retiring
                .insert_mut((head.deadline.plus(kept_for), job));
        } else {
            self.due.insert_mut((head.deadline, job));
        }
    }

    fn forget_job(&mut self, job: JobId, head: &JobHead, kept_for: u64) {
        self.due.remove_mut(&(head.deadline, job));
        self.retiring
            .remove_mut(&(head.deadline.plus(kept_for), job));
    }
}

impl State {
    pub(crate) fn add_validator(&mut self, id: ValidatorId, row: Validator) {
        self.index.note_validator(id, &row);
        self.validators.put(id, row);
    }

    pub(crate) fn add_unbonding(&mut self, key: UnbondingKey, row: Unbonding) {
        self.index.note_unbonding(key);
        self.unbonding.put(key, row);
    }

    pub(crate) fn drop_unbonding(&mut self, key: UnbondingKey) {
        self.index.maturing.remove_mut(&(key.1, key.0));
        self.unbonding.remove(&key);
    }

    pub(crate) fn oldest_unbonding(&self) -> Option<UnbondingKey> {
        self.index
            .maturing
            .first()
            .map(|(number, id)| (*id, *number))
    }

    pub(crate) fn add_job(&mut self, job: JobId, head: JobHead, request: JobRequest) {
        self.index
            .note_job(job, &head, self.fixed.params.job_record_blocks);
        self.jobs.put(job, head);
        self.requests.put(job, request);
    }

    pub(crate) fn retire_job(&mut self, job: JobId, head: &JobHead, trace: JobTrace) {
        self.index
            .forget_job(job, head, self.fixed.params.job_record_blocks);
        self.jobs.remove(&job);
        self.requests.remove(&job);
        for (seat, _) in (0_u16..).zip(&head.seats) {
            let attempt = head.attempt;
            self.seats
                .remove(&protocol::job::SeatRef { job, attempt, seat });
        }
        self.traces.put(job, trace);
    }

    pub(crate) fn due_jobs(&self, height: Height, most: usize) -> Vec<JobId> {
        until(&self.index.due, height, most)
    }

    pub(crate) fn retiring_jobs(&self, height: Height, most: usize) -> Vec<JobId> {
        until(&self.index.retiring, height, most)
    }

    /// Live jobs whose deadline is past: more than one block could take.
    #[must_use]
    pub fn jobs_past_deadline(&self) -> usize {
        let height = self.height();
        self.index
            .due
            .iter()
            .take_while(|(at, _)| *at <= height)
            .count()
    }

    pub(super) fn rebuild_index(&mut self) {
        let mut index = Index::default();
        for (id, row) in self.validators.iter() {
            index.note_validator(*id, row);
        }
        for (key, _) in self.unbonding.iter() {
            index.note_unbonding(*key);
        }
        for (job, head) in self.jobs.iter() {
            index.note_job(*job, head, self.fixed.params.job_record_blocks);
        }
        self.index = index;
    }

    /// The transaction that asked for a job.
    #[must_use]
    pub fn submitted_by(&self, job: &JobId) -> Option<TxId> {
        self.requests.get(job).map(|request| request.tx)
    }
}

impl Work {
    pub(crate) fn move_job(
        &mut self,
        job: JobId,
        phase: Phase,
        deadline: Height,
    ) -> Result<(), Breach> {
        let head = self.job(job)?;
        let kept_for = self.state.params().job_record_blocks;
        self.state.index.forget_job(job, &head, kept_for);
        let moved = JobHead {
            phase,
            deadline,
            ..head
        };
        self.state.index.note_job(job, &moved, kept_for);
        self.state.jobs.put(job, moved);
        Ok(())
    }

    pub(crate) fn request(&self, job: JobId) -> Result<&JobRequest, Breach> {
        self.state
            .requests
            .get(&job)
            .ok_or_else(|| Breach(format!("request of job {job} is missing")))
    }

    pub(crate) fn snapshot(&self, job: JobId) -> Result<Snapshot, Breach> {
        let snapshot = self.state.snapshots.get(&job).cloned();
        snapshot.ok_or_else(|| Breach(format!("frozen list of job {job} is missing")))
    }
}
