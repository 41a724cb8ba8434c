//! What each ended job pays, keeps, returns and burns, and what each offence costs: the rules of
//! protocol.md §3, §7 and §9 written down a second time, compared with the movements of the block.

use std::collections::BTreeMap;

use ledger::State;
use ledger::execution::{Seat, SeatState};
use ledger::jobs::{Answer, JobHead, Phase};
use ledger::money::{Compartment, Reason};
use protocol::digest::{Address, JobId, ValidatorId};
use protocol::events::{Event, FailCode, Level, Offence};

use super::{Broken, Checked, Seen};

/// Money by where it goes and why.
type Flows = BTreeMap<(Compartment, Reason), u64>;

const JOB_REASONS: [Reason; 9] = [
    Reason::SeatPay,
    Reason::ProtocolFee,
    Reason::Refund,
    Reason::DeclinedPay,
    Reason::CancelledDraw,
    Reason::SlashBurn,
    Reason::SlashClient,
    Reason::SlashJuror,
    Reason::SlashReporter,
];

/// One offence and what the rule takes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fine {
    pub(super) validator: ValidatorId,
    pub(super) offence: Offence,
    pub(super) amount: u64,
}

fn share(amount: u64, part: u64, whole: u64) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(part) / u128::from(whole)).unwrap_or(u64::MAX)
}

/// Compares what moved in this block with what the rules say.
pub(super) fn follow(seen: &Seen<'_>) -> Checked {
    let mut expected = Expected::new(seen);
    for event in &seen.applied.events {
        expected.evidence(event)?;
    }
    for (job, phase) in ended(seen) {
        expected.job(job, phase)?;
    }
    let mut found = Flows::new();
    for movement in &seen.applied.moves {
        if JOB_REASONS.contains(&movement.reason) {
            *found.entry((movement.to, movement.reason)).or_default() += movement.amount.0;
        }
    }
    expected.flows.retain(|_, amount| *amount > 0);
    if found != expected.flows {
        let flows = &expected.flows;
        let differs = |place: &&(Compartment, Reason)| found.get(place) != flows.get(place);
        let place = found.keys().chain(flows.keys()).find(differs);
        let text = place.map(|place| {
            let (moved, rule) = (found.get(place), flows.get(place));
            format!("{place:?}: moved {moved:?}, the rule says {rule:?}")
        });
        return Err(Broken("E1", text.unwrap_or_default()));
    }
    expected.fines.sort();
    let mut fined = fined(seen);
    fined.sort();
    super::must(fined == expected.fines, "S1", || {
        format!("slashed {fined:?}, the rules say {:?}", expected.fines)
    })
}

/// Jobs that ended in this block, in the order of their ends.
pub(super) fn ended(seen: &Seen<'_>) -> Vec<(JobId, Phase)> {
    let end = |event: &Event| {
        let job = match event {
            Event::Settled { job, .. }
            | Event::Resolved { job, .. }
            | Event::Ambiguous { job }
            | Event::Cancelled { job }
            | Event::Expired { job }
            | Event::Failed { job, .. } => *job,
            _ => return None,
        };
        Some((job, seen.after().jobs.get(&job)?.phase))
    };
    seen.applied.events.iter().filter_map(end).collect()
}

fn fined(seen: &Seen<'_>) -> Vec<Fine> {
    let fine = |event: &Event| match event {
        Event::Slashed {
            validator,
            offence,
            amount,
            ..
        } => Some(Fine {
            validator: *validator,
            offence: *offence,
            amount: amount.0,
        }),
        _ => None,
    };
    seen.applied.events.iter().filter_map(fine).collect()
}

struct Expected<'a> {
    seen: &'a Seen<'a>,
    flows: Flows,
    fines: Vec<Fine>,
    /// Stake that is left to take, by validator.
    stake: BTreeMap<ValidatorId, u64>,
}

/// A job's escrow while it is handed out.
struct Purse<'a> {
    job: JobId,
    head: &'a JobHead,
    left: u64,
}

type Seats = Vec<(u16, Seat)>;

impl<'a> Expected<'a> {
    fn new(seen: &'a Seen<'a>) -> Self {
        let (flows, fines) = (Flows::new(), Vec::new());
        let stake = super::stakes::totals(seen.before);
        let mut expected = Self {
            seen,
            flows,
            fines,
            stake,
        };
        for movement in &seen.applied.moves {
            if let (Compartment::Bonded(id), Reason::Bond) = (movement.to, movement.reason) {
                *expected.stake.entry(id).or_default() += movement.amount.0;
            }
        }
        expected
    }

    fn after(&self) -> &'a State {
        self.seen.after()
    }

    fn flow(&mut self, to: Compartment, reason: Reason, amount: u64) {
        *self.flows.entry((to, reason)).or_default() += amount;
    }

    fn operator(&self, id: &ValidatorId) -> Result<Compartment, Broken> {
        let row = self.after().validators.get(id);
        row.map(|row| Compartment::Balance(row.operator))
            .ok_or_else(|| Broken("E2", format!("{id} sits and is no validator")))
    }

    /// Takes a fine, or all there is.
    fn fine(&mut self, validator: ValidatorId, offence: Offence, rule: u64) -> u64 {
        let held = self.stake.entry(validator).or_default();
        let amount = rule.min(*held);
        *held -= amount;
        self.fines.push(Fine {
            validator,
            offence,
            amount,
        });
        amount
    }

    fn evidence(&mut self, event: &Event) -> Checked {
        let Event::EvidenceAccepted {
            evidence,
            kind,
            validator,
            reporter,
        } = event
        else {
            return Ok(());
        };
        let missing = || Broken("E2", format!("evidence {evidence} leaves no record"));
        let record = self.after().evidence.get(evidence).ok_or_else(missing)?;
        let set = self.after().set_at(record.height).ok_or_else(missing)?;
        let member = set.get(validator).ok_or_else(missing)?;
        let offence = match kind {
            protocol::evidence::EvidenceKind::DoubleVote => Offence::DoubleVote,
            protocol::evidence::EvidenceKind::DoubleProposal => Offence::DoubleProposal,
        };
        let amount = self.fine(*validator, offence, share(member.power, 5, 100));
        let reward = share(amount, 5, 100).min(1_000_000_000);
        self.flow(
            Compartment::Balance(*reporter),
            Reason::SlashReporter,
            reward,
        );
        self.flow(Compartment::Burned, Reason::SlashBurn, amount - reward);
        Ok(())
    }

    fn job(&mut self, job: JobId, phase: Phase) -> Checked {
        let state = self.after();
        let missing = || Broken("E2", format!("job {job} leaves no record"));
        let head = state.jobs.get(&job).ok_or_else(missing)?;
        let committee = state.seats_of(job, head, Level::Committee);
        let jurors = state.seats_of(job, head, Level::WholeSet);
        let mut purse = Purse {
            job,
            head,
            left: head.amounts.locked.0,
        };
        let base = state.params().seat_base.0;
        let revealed = |state: &SeatState| matches!(state, SeatState::Revealed(_));
        match phase {
            Phase::Settled => {
                let answer = head.answer.ok_or_else(missing)?;
                let each = self.reward(&purse, answer)?;
                self.pay_right(&mut purse, &committee, answer, each)?;
            }
            Phase::Resolved => {
                let answer = head.answer.ok_or_else(missing)?;
                self.resolved(&mut purse, &committee, &jurors, answer)?;
            }
            Phase::Ambiguous | Phase::Failed(FailCode::CohortFrozen) => {
                self.pay(&mut purse, &committee, base, revealed)?;
                self.pay(&mut purse, &jurors, base, revealed)?;
            }
            Phase::Failed(FailCode::NoQuorum) => {
                self.pay(&mut purse, &committee, base, revealed)?;
            }
            Phase::Failed(FailCode::InputUnavailable) => {
                let gave = |state: &SeatState| matches!(state, SeatState::Unavailable);
                self.pay(&mut purse, &committee, base, gave)?;
            }
            Phase::Failed(FailCode::Declined) => {
                let gave = |state: &SeatState| matches!(state, SeatState::Declined(_));
                let count = committee.iter().filter(|(_, s)| gave(&s.state)).count() as u64;
                let burned = (base * count).min(purse.left);
                purse.left -= burned;
                self.flow(Compartment::Burned, Reason::DeclinedPay, burned);
            }
            Phase::Expired => {
                let bound = |state: &SeatState| matches!(state, SeatState::Committed(_));
                self.pay(&mut purse, &committee, base, bound)?;
            }
            Phase::Cancelled if self.was_frozen(job) => {
                let burned = (base * u64::from(head.k)).min(purse.left);
                purse.left -= burned;
                self.flow(Compartment::Burned, Reason::CancelledDraw, burned);
            }
            _ => {}
        }
        let payer = Compartment::Balance(purse.head.payer);
        self.flow(payer, Reason::Refund, purse.left);
        Ok(())
    }

    /// Whether its list was frozen: taking it back then costs what its seats would have got.
    fn was_frozen(&self, job: JobId) -> bool {
        self.seen.before.snapshots.get(&job).is_some()
    }

    fn reward(&self, purse: &Purse<'_>, answer: Answer) -> Result<u64, Broken> {
        let request = self.after().requests.get(&purse.job);
        let request =
            request.ok_or_else(|| Broken("E2", format!("job {} has no request", purse.job)))?;
        let fuel = answer.fuel.min(request.spec.fuel_limit);
        Ok(self.after().params().seat_reward(fuel).0)
    }

    fn pay_one(
        &mut self,
        purse: &mut Purse<'_>,
        holder: &ValidatorId,
        amount: u64,
    ) -> Result<u64, Broken> {
        let paid = amount.min(purse.left);
        purse.left -= paid;
        let to = self.operator(holder)?;
        self.flow(to, Reason::SeatPay, paid);
        Ok(paid)
    }

    fn pay(
        &mut self,
        purse: &mut Purse<'_>,
        seats: &Seats,
        each: u64,
        wanted: fn(&SeatState) -> bool,
    ) -> Result<u64, Broken> {
        let mut paid = 0;
        for (_, seat) in seats.iter().filter(|(_, seat)| wanted(&seat.state)) {
            paid += self.pay_one(purse, &seat.validator, each)?;
        }
        Ok(paid)
    }

    /// Right seats, then the protocol's two percent; gives what both cost.
    fn pay_right(
        &mut self,
        purse: &mut Purse<'_>,
        seats: &Seats,
        answer: Answer,
        each: u64,
    ) -> Result<u64, Broken> {
        let mut paid = 0;
        for (_, seat) in right(seats, answer) {
            paid += self.pay_one(purse, &seat.validator, each)?;
        }
        Ok(paid + self.keep_fee(purse, paid))
    }

    fn keep_fee(&mut self, purse: &mut Purse<'_>, paid: u64) -> u64 {
        let fee = share(paid, 2, 100).min(purse.left);
        purse.left -= fee;
        self.flow(Compartment::FeePool, Reason::ProtocolFee, fee);
        fee
    }

    fn resolved(
        &mut self,
        purse: &mut Purse<'_>,
        committee: &Seats,
        jurors: &Seats,
        answer: Answer,
    ) -> Checked {
        let each = self.reward(purse, answer)?;
        let mut slashes = self.fines_of(committee, jurors, answer);
        let mut cost = self.pay_right(purse, committee, answer, each)?;
        let mut from_escrow = 0;
        for (_, seat) in right(jurors, answer) {
            let from_slash = draw_from(&mut slashes, each);
            let to = self.operator(&seat.validator)?;
            self.flow(to, Reason::SlashJuror, from_slash);
            from_escrow += self.pay_one(purse, &seat.validator, each - from_slash)?;
        }
        cost += from_escrow + self.keep_fee(purse, from_escrow);
        let payer: Address = purse.head.payer;
        for (left, client_most) in slashes {
            let given = client_most.min(cost);
            cost -= given;
            self.flow(Compartment::Balance(payer), Reason::SlashClient, given);
            self.flow(Compartment::Burned, Reason::SlashBurn, left - given);
        }
        Ok(())
    }

    /// What each wrong seat loses, with the quarter that its client may get.
    fn fines_of(&mut self, committee: &Seats, jurors: &Seats, answer: Answer) -> Vec<(u64, u64)> {
        let mut slashes = Vec::new();
        for (_, seat) in wrong(committee, answer) {
            let rule = seat.bond.0.max(share(seat.stake.0, 5, 100));
            let taken = self.fine(seat.validator, Offence::WrongResult, rule);
            slashes.push((taken, share(taken, 25, 100)));
        }
        for (_, seat) in wrong(jurors, answer) {
            let rule = share(seat.stake.0, 5, 1_000);
            let taken = self.fine(seat.validator, Offence::WrongJuror, rule);
            slashes.push((taken, share(taken, 25, 100)));
        }
        slashes
    }
}

/// A juror's pay out of the slashes, in their order, sparing each client's quarter.
fn draw_from(slashes: &mut [(u64, u64)], amount: u64) -> u64 {
    let mut paid = 0;
    for (left, client_most) in slashes {
        let part = (*left - *client_most).min(amount - paid);
        *left -= part;
        paid += part;
    }
    paid
}

fn right(seats: &Seats, answer: Answer) -> impl Iterator<Item = &(u16, Seat)> {
    seats
        .iter()
        .filter(move |(_, seat)| seat.answer() == Some(answer))
}

fn wrong(seats: &Seats, answer: Answer) -> impl Iterator<Item = &(u16, Seat)> {
    seats
        .iter()
        .filter(move |(_, seat)| seat.answer().is_some_and(|given| given != answer))
}
