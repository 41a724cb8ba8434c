//! One strategy over many jobs, in batches of their own chains.

use std::collections::BTreeMap;

use ledger::execution::{Seat, SeatState};
use ledger::jobs::Phase;
use protocol::digest::{BlockId, Digest, JobId, ValidatorId, sha256};
use protocol::envelope::seal_vote;
use protocol::events::Level;
use protocol::evidence::EvidenceKind;
use protocol::job::{CommitPreimage, Outcome, SeatRef};
use protocol::keys::simulated::Scope;
use protocol::signed::{Signed, Verified};
use protocol::tx::{
    CancelJob, CommitResult, InputUnavailable, RevealResult, RevealedOutput, SubmitEvidence, Tx,
    TxBody, Unjail, heartbeat_digest,
};
use protocol::units::Round;
use protocol::vote::{Vote, VoteKind};

use super::market::{Holder, Market, Side};
use super::strategy::{Act, Idea, Strategy, TRUTH};
use super::{BATCHES, GUESS_PERMILLE, Preset};
use crate::sim::rng::Rng;

/// No job may take longer: two levels of the larger preset, and a wait.
const BLOCKS_A_JOB: u64 = 700;
/// Jobs that a spammer asks for and takes back, beside each real one.
const SPAM: u64 = 5;

/// What came of a strategy.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// For each batch: thousandths of a upal, a job.
    pub(super) profits: Vec<i64>,
    pub(super) jobs: u64,
    pub(super) runs: u64,
    pub(super) falsified: u64,
    pub(super) unserved: u64,
}

impl Played {
    /// So many of so many jobs, in each thousand.
    pub(super) fn per_thousand(&self, count: u64) -> u64 {
        count * 1_000 / self.jobs.max(1)
    }
}

/// Plays a strategy: as many batches as there are samples.
pub(super) fn strategy(
    preset: Preset,
    strategy: Strategy,
    jobs: u64,
    seed: u64,
    scope: &Scope,
) -> Result<Played, String> {
    let mut played = Played::default();
    // One double signature ends a validator: its batches have one job, and its line is per offence.
    let jobs = if strategy.idea == Idea::DoubleSign {
        1
    } else {
        jobs
    };
    for batch in 0..BATCHES {
        let mut table = Table::open(preset, strategy, Rng::new(seed).fork(batch), scope)?;
        let before = table.market.wealth();
        for _ in 0..jobs {
            match table.job()? {
                Served::Truth => {}
                Served::Falsehood => played.falsified += 1,
                Served::Nothing => played.unserved += 1,
            }
        }
        if strategy.idea == Idea::DoubleSign {
            table.double_sign()?;
        }
        table.market.check()?;
        let cost = table.runs * preset.run_cost().0;
        let gained = i128::from(table.market.wealth()) - i128::from(before) - i128::from(cost);
        let each = gained * 1_000 / i128::from(jobs.max(1));
        let each = i64::try_from(each).map_err(|error| error.to_string())?;
        played.profits.push(each);
        played.jobs += jobs;
        played.runs += table.runs;
    }
    Ok(played)
}

/// What a client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    Truth,
    Falsehood,
    Nothing,
}

/// One chain being played on.
pub(super) struct Table {
    pub(super) market: Market,
    strategy: Strategy,
    rng: Rng,
    /// What hostile seats of the job at hand do.
    acts: BTreeMap<u16, Act>,
    pub(super) runs: u64,
}

impl Table {
    pub(super) fn open(
        preset: Preset,
        strategy: Strategy,
        mut rng: Rng,
        scope: &Scope,
    ) -> Result<Self, String> {
        Ok(Self {
            market: Market::open(preset, &strategy, rng.draw(), scope)?,
            strategy,
            rng,
            acts: BTreeMap::new(),
            runs: 0,
        })
    }

    /// Submits a job and plays it to its end.
    pub(super) fn job(&mut self) -> Result<Served, String> {
        if self.strategy.idea == Idea::Spam {
            self.spam()?;
        }
        let (job, tx) = self.market.job(self.strategy.own_client, 0);
        self.acts.clear();
        self.market.block(&[tx])?;
        for _ in 0..BLOCKS_A_JOB {
            let head = self.market.state.jobs.get(&job).ok_or("the job is gone")?;
            if head.phase.is_end() {
                let answer = head.answer.map(|answer| answer.result_root);
                return Ok(match head.phase {
                    Phase::Settled | Phase::Resolved if answer == root(TRUTH) => Served::Truth,
                    Phase::Settled | Phase::Resolved => Served::Falsehood,
                    _ => Served::Nothing,
                });
            }
            let mut txs = self.messages(job)?;
            txs.extend(self.releases());
            self.market.block(&txs)?;
        }
        Err(format!("job {job} does not end"))
    }

    /// Asks for jobs, and takes them back before their draw.
    fn spam(&mut self) -> Result<(), String> {
        let (jobs, txs): (Vec<_>, Vec<_>) =
            (0..SPAM).map(|ahead| self.market.job(true, ahead)).unzip();
        self.market.block(&txs)?;
        let cancel = |(ahead, job)| {
            let body = TxBody::CancelJob(CancelJob { job });
            self.market.wallet(&self.market.clients[1], ahead, body)
        };
        let txs: Vec<_> = (0..).zip(jobs).map(cancel).collect();
        self.market.block(&txs)
    }

    /// What every seat of the level that speaks says in the next block.
    fn messages(&mut self, job: JobId) -> Result<Vec<Verified<Tx>>, String> {
        let head = self.market.state.jobs.get(&job).cloned();
        let head = head.ok_or("the job is gone")?;
        let (Phase::Commit(level) | Phase::Reveal(level)) = head.phase else {
            return Ok(Vec::new());
        };
        let seats = self.market.state.seats_of(job, &head, level);
        self.decide(&seats, level);
        let mut messages = Vec::new();
        let speaks = |state: &SeatState| match head.phase {
            Phase::Commit(_) => *state == SeatState::Open,
            _ => matches!(state, SeatState::Committed(_)),
        };
        for (number, seat) in seats.iter().filter(|(_, seat)| speaks(&seat.state)) {
            let holder = self
                .market
                .holder(&seat.validator)
                .ok_or("a stranger sits")?;
            let act = match holder.side {
                Side::Hostile => self.acts.get(number).copied().unwrap_or(Act::Silent),
                Side::Foil if level == Level::Committee => Act::False(50),
                Side::Foil | Side::Honest => Act::Run,
            };
            let place = SeatRef {
                job,
                attempt: head.attempt,
                seat: *number,
            };
            messages.extend(self.message(&seats, seat, place, act));
        }
        Ok(messages)
    }

    /// Decides for the hostile seats of a level, once.
    fn decide(&mut self, seats: &[(u16, Seat)], level: Level) {
        let ours: Vec<u16> = seats
            .iter()
            .filter(|(_, seat)| seat.state == SeatState::Open)
            .filter(|(number, seat)| {
                let holder = self.market.holder(&seat.validator);
                holder.is_some_and(|h| h.side == Side::Hostile) && !self.acts.contains_key(number)
            })
            .map(|(number, _)| *number)
            .collect();
        if ours.is_empty() {
            return;
        }
        let rng = &mut self.rng;
        let guess = || rng.chance(GUESS_PERMILLE);
        let acts = match level {
            Level::Committee => self.strategy.committee(ours.len(), seats.len(), guess),
            Level::WholeSet => {
                let before: Vec<Act> = self.acts.values().copied().collect();
                self.strategy.jury(ours.len(), &before)
            }
        };
        let runs = acts.iter().filter(|act| **act == Act::Run).count();
        self.runs += u64::try_from(runs).unwrap_or(0);
        self.acts.extend(ours.into_iter().zip(acts));
    }

    /// What a seat says now, if anything.
    fn message(
        &self,
        seats: &[(u16, Seat)],
        seat: &Seat,
        place: SeatRef,
        act: Act,
    ) -> Option<Verified<Tx>> {
        let holder = self.market.holder(&seat.validator)?;
        let code = match act {
            Act::False(code) => code,
            _ => TRUTH,
        };
        let reveal = reveal(&self.market, place, holder.id, code);
        let body = match (seat.state, act) {
            (SeatState::Open, Act::Silent) => return None,
            (SeatState::Open, Act::Unavailable) => {
                TxBody::InputUnavailable(InputUnavailable { seat: place })
            }
            (SeatState::Open, Act::CopyCommit) => {
                let (_, commit) = victim(seats)?;
                TxBody::CommitResult(CommitResult {
                    seat: place,
                    commit,
                })
            }
            (SeatState::Open, _) => TxBody::CommitResult(CommitResult {
                seat: place,
                commit: commitment(&self.market, holder.id, &reveal),
            }),
            (SeatState::Committed(_), Act::CopyCommit) => {
                let (author, _) = victim(seats)?;
                let salt = salt(author, place.job);
                TxBody::RevealResult(RevealResult { salt, ..reveal })
            }
            (SeatState::Committed(_), Act::Run | Act::Know | Act::False(_)) => {
                TxBody::RevealResult(reveal)
            }
            _ => return None,
        };
        let opening = seat.state != SeatState::Open;
        let tx = self.market.session(&holder.session, body);
        // A copied commit does not open. Whoever copies finds that out from its own node.
        let hopeless = act == Act::CopyCommit && opening && self.market.state.admit(&tx).is_err();
        (!hopeless).then_some(tx)
    }

    /// Brings hostile members back from jail as soon as they may.
    fn releases(&self) -> Vec<Verified<Tx>> {
        let state = &self.market.state;
        let least = state.params().self_bond_min;
        let served = |holder: &&Holder| {
            state.validators.get(&holder.id).is_some_and(|row| {
                let over = row
                    .jail
                    .is_some_and(|jail| jail.until <= state.height().next());
                over && row.exit.is_none() && row.bonded >= least
            })
        };
        let ours = self.market.holders.iter();
        ours.filter(|holder| holder.side == Side::Hostile)
            .filter(served)
            .map(|holder| {
                let (height, block) = (state.height(), state.head().block);
                let digest = heartbeat_digest(&state.chain_id(), &holder.id, &block);
                let body = TxBody::Unjail(Unjail {
                    height,
                    block,
                    consensus_heartbeat: holder.consensus.sign(&digest),
                    session_heartbeat: holder.session.sign(&digest),
                });
                self.market.wallet(&holder.operator, 0, body)
            })
            .collect()
    }

    /// One of ours signs two votes for one slot, and our client reports it.
    pub(super) fn double_sign(&mut self) -> Result<(), String> {
        let (height, chain) = (self.market.state.height(), self.market.state.chain_id());
        let ours = self.market.holders.iter();
        let culprit = ours.clone().find(|holder| holder.side == Side::Hostile);
        let key = &culprit.ok_or("nobody is ours")?.consensus;
        let vote = |block: &[u8]| {
            let vote = Vote {
                kind: VoteKind::Precommit,
                height,
                round: Round(0),
                block: Some(BlockId(sha256(block))),
                signer: key.public(),
            };
            seal_vote(&Signed::sign(vote, key, &chain))
        };
        let body = TxBody::SubmitEvidence(SubmitEvidence {
            kind: EvidenceKind::DoubleVote,
            a: vote(b"one"),
            b: vote(b"other"),
        });
        let tx = self.market.wallet(&self.market.clients[1], 0, body);
        self.market.block(&[tx])
    }
}

/// Another seat's commit, and whose it is: what a copier looks for.
fn victim(seats: &[(u16, Seat)]) -> Option<(ValidatorId, Digest)> {
    seats.iter().find_map(|(_, seat)| match seat.state {
        SeatState::Committed(commit) => Some((seat.validator, commit.commit)),
        _ => None,
    })
}

fn root(code: u32) -> Option<Digest> {
    Outcome::EngineRefused.root(code)
}

fn salt(validator: ValidatorId, job: JobId) -> Digest {
    sha256(&[validator.as_ref(), job.as_ref()].concat())
}

fn reveal(market: &Market, seat: SeatRef, validator: ValidatorId, code: u32) -> RevealResult {
    RevealResult {
        seat,
        salt: salt(validator, seat.job),
        outcome: Outcome::EngineRefused,
        result_root: root(code).unwrap_or_default(),
        work_digest: Digest::ZERO,
        fuel: market.preset.fuel(),
        output: RevealedOutput::Code(code),
    }
}

fn commitment(market: &Market, validator: ValidatorId, reveal: &RevealResult) -> Digest {
    CommitPreimage {
        chain: market.state.chain_id(),
        seat: reveal.seat,
        validator,
        salt: reveal.salt,
        outcome: reveal.outcome,
        result_root: reveal.result_root,
        work_digest: reveal.work_digest,
        fuel: reveal.fuel,
    }
    .hash()
}
