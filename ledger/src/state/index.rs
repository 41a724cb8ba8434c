//! Indexes: derived from leaves, never leaves themselves, rebuilt when a state is loaded.

use protocol::digest::{Address, JobId, TxId, ValidatorId};
use protocol::keys::PublicKey;
use protocol::units::{Amount, Height};
use protocol::validators::ValidatorSet;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use super::State;
use crate::jobs::{JobHead, JobRequest, JobTrace, Phase, Snapshot};
use crate::layout::{PowerKey, UnbondingKey};
use crate::money::Breach;
use crate::staking::{Power, Unbonding, Validator};
use crate::work::Work;

/// All indexes.
#[derive(Clone, Debug)]
pub(super) struct Index {
    operators: RedBlackTreeMapSync<Address, ValidatorId>,
    keys: RedBlackTreeMapSync<PublicKey, ValidatorId>,
    /// Jobs with a committee or a frozen list, by deadline.
    due: Queue,
    /// Jobs that nobody has tried to freeze a list for yet.
    fresh: Queue,
    /// Jobs that have waited in vain, by when to try again.
    retries: Queue,
    /// Jobs in either of these two, by the height at which their time is over.
    expiring: Queue,
    /// What frozen lists may still lock, in upal.
    promised: u128,
    /// Ended jobs by the height at which their record goes.
    retiring: Queue,
    /// Unbonding entries by age.
    maturing: RedBlackTreeSetSync<(u64, ValidatorId)>,
    /// Powers by the height from which no rule looks back on them.
    outdated: RedBlackTreeSetSync<(Height, PowerKey)>,
    /// The sets in force at the last height and the two after it, by the height they began at.
    sets: RedBlackTreeMapSync<Height, ValidatorSet>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            operators: RedBlackTreeMapSync::new_sync(),
            keys: RedBlackTreeMapSync::new_sync(),
            due: RedBlackTreeSetSync::new_sync(),
            fresh: RedBlackTreeSetSync::new_sync(),
            retries: RedBlackTreeSetSync::new_sync(),
            expiring: RedBlackTreeSetSync::new_sync(),
            promised: 0,
            retiring: RedBlackTreeSetSync::new_sync(),
            maturing: RedBlackTreeSetSync::new_sync(),
            outdated: RedBlackTreeSetSync::new_sync(),
            sets: RedBlackTreeMapSync::new_sync(),
        }
    }
}

/// Jobs by the height at which something is to happen to them.
type Queue = RedBlackTreeSetSync<(Height, JobId)>;

fn until(set: &Queue, height: Height, most: usize) -> Vec<JobId> {
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
        let queues = [&self.due, &self.fresh, &self.retries];
        let mut live: Vec<_> = queues.into_iter().flatten().collect();
        live.sort();
        live.into_iter().map(|(_, job)| *job).collect()
    }

    /// Which queue a job stands in, and at which place.
    fn place(
        &mut self,
        job: JobId,
        head: &JobHead,
        kept_for: u64,
    ) -> (&mut Queue, (Height, JobId)) {
        let at = (head.deadline, job);
        match head.phase {
            phase if phase.is_end() => (&mut self.retiring, (at.0.plus(kept_for), job)),
            Phase::Queued if head.deadline == head.submitted => (&mut self.fresh, at),
            Phase::Queued => (&mut self.retries, at),
            _ => (&mut self.due, at),
        }
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

    /// A row ends the one before it; a validator that is out needs none at all once that is history.
    fn note_power(&mut self, key: PowerKey, before: Option<PowerKey>, power: Amount) {
        if let Some(before) = before {
            self.outdated.insert_mut((key.1, before));
        }
        if power == Amount::ZERO {
            self.outdated.insert_mut((key.1, key));
        }
    }

    /// `expiry` is that of its request.
    pub(super) fn note_job(&mut self, job: JobId, head: &JobHead, expiry: Height, kept_for: u64) {
        let (queue, place) = self.place(job, head, kept_for);
        queue.insert_mut(place);
        if head.phase == Phase::Queued {
            self.expiring.insert_mut((expiry, job));
        }
    }

    fn forget_job(&mut self, job: JobId, head: &JobHead, expiry: Height, kept_for: u64) {
        let (queue, place) = self.place(job, head, kept_for);
        queue.remove_mut(&place);
        if head.phase == Phase::Queued {
            self.expiring.remove_mut(&(expiry, job));
        }
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

    /// Adds a power later than every other of its validator.
    pub(crate) fn add_power(&mut self, key: PowerKey, row: Power) {
        let before = self.powers.last_until(&key).map(|(before, _)| *before);
        let before = before.filter(|before| before.0 == key.0);
        self.index.note_power(key, before, row.power);
        self.powers.put(key, row);
    }

    /// Drops powers that were over before this height.
    pub(crate) fn prune_powers(&mut self, floor: Height) {
        while let Some((over, key)) = self.index.outdated.first().copied() {
            if over > floor {
                return;
            }
            self.index.outdated.remove_mut(&(over, key));
            self.powers.remove(&key);
        }
    }

    /// The kept set in force at a height.
    pub(crate) fn kept_set(&self, height: Height) -> Option<&ValidatorSet> {
        let mut until = self.index.sets.range(..=height);
        until.next_back().map(|(_, set)| set)
    }

    /// The set that was fixed last.
    pub(crate) fn last_set(&self) -> Option<&ValidatorSet> {
        self.index.sets.last().map(|(_, set)| set)
    }

    /// Keeps a set from its height on.
    pub(crate) fn keep_set(&mut self, from: Height, set: ValidatorSet) {
        self.index.sets.insert_mut(from, set);
    }

    /// Lets go of sets that ended before this height.
    pub(crate) fn forget_sets(&mut self, height: Height) {
        let ended = |sets: &RedBlackTreeMapSync<Height, ValidatorSet>| {
            let mut begins = sets.keys();
            let oldest = begins.next().copied()?;
            begins.next().filter(|next| **next <= height)?;
            Some(oldest)
        };
        while let Some(oldest) = ended(&self.index.sets) {
            self.index.sets.remove_mut(&oldest);
        }
    }

    /// The kept sets by the heights they began at: those of the last height and the two after it.
    pub fn recent_sets(&self) -> impl Iterator<Item = (&Height, &ValidatorSet)> {
        self.index.sets.iter()
    }

    pub(crate) fn oldest_unbonding(&self) -> Option<UnbondingKey> {
        self.index
            .maturing
            .first()
            .map(|(number, id)| (*id, *number))
    }

    pub(crate) fn add_job(&mut self, job: JobId, head: JobHead, request: JobRequest) {
        let kept_for = self.fixed.params.job_record_blocks;
        self.index
            .note_job(job, &head, request.spec.expiry, kept_for);
        self.jobs.put(job, head);
        self.requests.put(job, request);
    }

    pub(crate) fn retire_job(&mut self, job: JobId, head: &JobHead, trace: JobTrace) {
        let kept_for = self.fixed.params.job_record_blocks;
        self.index
            .forget_job(job, head, self.expiry_of(&job), kept_for);
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

    /// Jobs whose committee is drawn at the end of this height, unless one block cannot take them all.
    #[must_use]
    pub fn jobs_drawn_at(&self, height: Height) -> Vec<JobId> {
        let due = self.index.due.range((height, JobId::ZERO)..);
        let due = due.take_while(|(at, _)| *at == height).map(|(_, job)| *job);
        let frozen = |job: &JobId| {
            let head = self.jobs.get(job);
            head.is_some_and(|head| head.phase == Phase::Frozen)
        };
        due.filter(frozen).collect()
    }

    /// Jobs that wait for a committee though their time is over.
    pub(crate) fn expired_jobs(&self, height: Height, most: usize) -> Vec<JobId> {
        until(&self.index.expiring, height, most)
    }

    /// When a job stops waiting; without its request it never does.
    fn expiry_of(&self, job: &JobId) -> Height {
        let request = self.requests.get(job);
        request.map_or(Height(u64::MAX), |request| request.spec.expiry)
    }

    /// Jobs whose list may be frozen now. Those that have waited in vain get a quarter, and what fresh
    /// ones do not need: neither can crowd out the other. Asked for only as far as every expired job has
    /// had its turn, so few are skipped.
    pub(crate) fn waiting_jobs(&self, height: Height, most: usize) -> Vec<JobId> {
        let mut fresh = self.waiting_in(&self.index.fresh, height, most);
        let quarter = most.div_ceil(4).max(most.saturating_sub(fresh.len()));
        let mut jobs = self.waiting_in(&self.index.retries, height, quarter);
        fresh.truncate(most.saturating_sub(jobs.len()));
        jobs.append(&mut fresh);
        jobs
    }

    fn waiting_in(&self, queue: &Queue, height: Height, most: usize) -> Vec<JobId> {
        let due = queue.iter().take_while(|(at, _)| *at <= height);
        due.map(|(_, job)| *job)
            .filter(|job| self.expiry_of(job) > height)
            .take(most)
            .collect()
    }

    /// What frozen lists may still lock of all stake, in upal.
    #[must_use]
    pub fn promised_bonds(&self) -> u128 {
        self.index.promised
    }

    pub(crate) fn retiring_jobs(&self, height: Height, most: usize) -> Vec<JobId> {
        until(&self.index.retiring, height, most)
    }

    /// Jobs with a list or a committee whose deadline is past: more than one block could take.
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
            let kept_for = self.fixed.params.job_record_blocks;
            index.note_job(*job, head, self.expiry_of(job), kept_for);
            if head.phase == Phase::Frozen {
                let request = self.requests.get(job);
                let bonds = request.map_or(0, JobRequest::all_bonds);
                index.promised = index.promised.saturating_add(bonds);
            }
        }
        let mut before: Option<PowerKey> = None;
        for (key, row) in self.powers.iter() {
            index.note_power(*key, before.filter(|before| before.0 == key.0), row.power);
            before = Some(*key);
        }
        self.index = index;
        let now = self.height();
        for height in [now, now.plus(1), now.plus(2)] {
            match self.set_from_powers(height) {
                Some(set) if self.last_set() != Some(&set) => self.keep_set(height, set),
                _ => {}
            }
        }
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
        let request = self.request(job)?;
        let (bonds, expiry) = (request.all_bonds(), request.spec.expiry);
        let index = &mut self.state.index;
        if head.phase == Phase::Frozen {
            index.promised = index.promised.saturating_sub(bonds);
        }
        if phase == Phase::Frozen {
            index.promised = index.promised.saturating_add(bonds);
        }
        let kept_for = self.state.params().job_record_blocks;
        self.state.index.forget_job(job, &head, expiry, kept_for);
        let moved = JobHead {
            phase,
            deadline,
            ..head
        };
        self.state.index.note_job(job, &moved, expiry, kept_for);
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
