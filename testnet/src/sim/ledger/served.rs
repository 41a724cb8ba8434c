//! That honest seats speak in time: a node that is up and hears the others never misses its seat.

use std::collections::{BTreeMap, BTreeSet};

use actors::execution::workflow::Order;
use ledger::State;
use ledger::execution::SeatState;
use ledger::jobs::Phase;
use protocol::events::{Event, FailCode};
use protocol::job::SeatRef;
use protocol::tx::TxKind;
use protocol::units::Height;

use super::oracle::{Broken, must};
use super::shared::Shared;
use crate::sim::app::Cx;

/// After the network is good nodes may still have heights to catch up with.
const SETTLED_MS: u64 = 3_000;
/// Blocks that a node which starts again needs for its seat: fetch, run, commit, and be heard.
const TAKE_UP_BLOCKS: u64 = 4;

/// What a seat may say before it is bound. A decline can be forgotten as well as a commit.
const UNBOUND: [TxKind; 3] = [
    TxKind::CommitResult,
    TxKind::Decline,
    TxKind::InputUnavailable,
];

/// The seats that this life of a node has no excuse to miss. Ephemeral.
#[derive(Debug, Default)]
pub(super) struct Served {
    seats: BTreeSet<SeatRef>,
    /// When its host last failed a run of a seat, or kept it from a slot.
    hindered: BTreeMap<SeatRef, Height>,
    /// When a seat first sent its commit or its reveal, in milliseconds.
    said: BTreeMap<(SeatRef, TxKind), u64>,
}

impl Served {
    /// Drawn while the node is up.
    pub(super) fn seated(&mut self, shared: &Shared, cx: &Cx<'_>, order: &Order) {
        if is_reachable(shared, cx) {
            self.seats.insert(order.seat);
        }
    }

    /// Found open at a start. A committed seat has its whole reveal window still before it.
    pub(super) fn taken_up(&mut self, shared: &Shared, cx: &Cx<'_>, order: &Order) {
        let closes = order.reveal_closes.unwrap_or(order.commit_closes);
        let left = closes.0.saturating_sub(shared.newest.height().0);
        let waits = order.committed.is_some() && order.reveal_closes.is_none();
        if is_reachable(shared, cx) && (waits || left >= TAKE_UP_BLOCKS) {
            self.seats.insert(order.seat);
        }
    }

    /// The host failed the run of this seat, or all its slots are held by runs that hang.
    pub(super) fn hindered(&mut self, seat: SeatRef, height: Height) {
        self.hindered.insert(seat, height);
    }

    /// A message of a seat is offered to the pool.
    pub(super) fn said(&mut self, cx: &Cx<'_>, seat: SeatRef, kind: TxKind) {
        self.said.entry((seat, kind)).or_insert(cx.now().ms());
    }

    /// What became of the seats of jobs that end in a block.
    pub(super) fn ended(
        &mut self,
        shared: &mut Shared,
        state: &State,
        events: &[Event],
    ) -> Result<(), Broken> {
        let over = |seat: &SeatRef| {
            events.iter().any(|event| {
                let ends = matches!(
                    event,
                    Event::Settled { .. }
                        | Event::Resolved { .. }
                        | Event::Ambiguous { .. }
                        | Event::Expired { .. }
                        | Event::Failed { .. }
                );
                ends && event.job() == Some(seat.job)
            })
        };
        let ended: Vec<SeatRef> = self
            .seats
            .iter()
            .filter(|seat| over(seat))
            .copied()
            .collect();
        for seat in ended {
            self.seats.remove(&seat);
            let excused = self.spoke(shared, state, &seat)?;
            shared.watch.count("honest_seats", 1);
            shared
                .watch
                .count("honest_seats_excused", u64::from(excused));
        }
        Ok(())
    }

    /// Whether the seat was silent and had an excuse.
    fn spoke(&self, shared: &Shared, state: &State, seat: &SeatRef) -> Result<bool, Broken> {
        let (Some(row), Some(head)) = (state.seats.get(seat), state.jobs.get(&seat.job)) else {
            return Ok(false);
        };
        let revealing = matches!(
            head.phase,
            Phase::Settled
                | Phase::Resolved
                | Phase::Ambiguous
                | Phase::Failed(FailCode::NoQuorum | FailCode::CohortFrozen)
        );
        let missed = match row.state {
            SeatState::Open => Some(("commits", false, &UNBOUND[..])),
            SeatState::Committed(_) if revealing => {
                Some(("reveals", true, &[TxKind::RevealResult][..]))
            }
            _ => None,
        };
        let Some((what, bound, kinds)) = missed else {
            return Ok(false);
        };
        let hindered = bound && self.is_hindered(seat, state.height());
        let mut kinds = kinds.iter();
        let excused = hindered || kinds.any(|kind| self.is_forgotten(shared, seat, *kind));
        must(excused, "J8", || {
            let (number, job) = (seat.seat, seat.job);
            format!("seat {number} of job {job} is up and honest and never {what}")
        })?;
        Ok(true)
    }

    /// A bound seat cannot decline: a host that fails its run to the end of the window, or hangs in
    /// every slot, keeps it silent. An unbound seat has no such excuse, it has to decline in time.
    fn is_hindered(&self, seat: &SeatRef, now: Height) -> bool {
        let last = self.hindered.get(seat);
        last.is_some_and(|last| last.plus(TAKE_UP_BLOCKS) >= now)
    }

    /// Gossip tells a message once, and no pool survives the end of its process. Whoever started
    /// since knows nothing of it, and with windows shorter than a turn of all proposers the seat may
    /// not be asked for a block before its window is over.
    fn is_forgotten(&self, shared: &Shared, seat: &SeatRef, kind: TxKind) -> bool {
        let said = self.said.get(&(*seat, kind));
        said.is_some_and(|said| shared.last_start_ms >= *said)
    }
}

/// The node hears the others and is where they are.
fn is_reachable(shared: &Shared, cx: &Cx<'_>) -> bool {
    let plan = cx.plan();
    let calm = plan.before.loss == 0 && plan.partitions.is_empty();
    let honest = shared.world.is_honest_member(plan.member_of(cx.node()));
    honest && (calm || cx.now().ms() >= shared.world.gst_ms + SETTLED_MS)
}
