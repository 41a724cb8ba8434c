//! What a validator has to do now: the seats it holds, and the blocks it will propose.

use std::sync::Arc;

use ledger::State;
use ledger::execution::{Seat, SeatState};
use ledger::jobs::Phase;
use protocol::digest::{ChainId, ValidatorId};
use protocol::job::SeatRef;
use protocol::limits::SET_DELAY_BLOCKS;
use protocol::units::Round;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::chain::{state_of, validator_id};
use super::shared::Shared;
use crate::problem::Problem;

/// GET /v1/validators/{id}/duties
pub(crate) fn duties(shared: &Arc<Shared>, call: &Call) -> Result<Answer, Problem> {
    let id = validator_id(call)?;
    let snapshot = shared.snapshot();
    let state = &snapshot.state;
    let row = state.validators.get(&id);
    let row = row.ok_or_else(|| Problem::new("validator.unknown", call.place(0)))?;
    let set = state.validator_set(state.height().next());
    let power = set.and_then(|set| set.get(&id)).map(|member| member.power);
    Ok(Answer::Json(json!({
        "schema": "palisade.duties/1",
        "validator": id.to_text(),
        "height": state.height().0,
        "state": state_of(row, state),
        "votes": power.is_some(),
        "power": power.unwrap_or(0).to_string(),
        "total_power": set.map_or(0, |set| set.total_power()).to_string(),
        "proposes": proposals(&id, state, &shared.chain.id),
        "seats": seats(&id, state),
    })))
}

/// Heights whose first proposer it is, as far as sets are known. Later rounds have others.
fn proposals(id: &ValidatorId, state: &State, chain: &ChainId) -> Vec<u64> {
    let known = (1..=SET_DELAY_BLOCKS).map(|ahead| state.height().plus(ahead));
    let first = |height: &protocol::units::Height| {
        let set = state.validator_set(*height)?;
        consensus::proposer::proposer(chain, set, *height, Round(0))
    };
    known
        .filter(|height| first(height).is_some_and(|member| member.id == *id))
        .map(|height| height.0)
        .collect()
}

/// Its seats of jobs that have not ended, by job.
fn seats(id: &ValidatorId, state: &State) -> Vec<Value> {
    let own = state.seats.iter().filter(|(_, seat)| seat.validator == *id);
    own.filter_map(|(place, seat)| {
        let head = state.jobs.get(&place.job)?;
        (!head.phase.is_end()).then(|| seat_json(place, seat, head.phase, head.deadline.0))
    })
    .collect()
}

fn seat_json(place: &SeatRef, seat: &Seat, phase: Phase, deadline: u64) -> Value {
    let due = due(phase, seat);
    json!({
        "job": place.job.to_string(), "attempt": place.attempt, "seat": place.seat,
        "level": seat.level.name(), "phase": phase.name(), "bond": seat.bond.to_string(),
        "due": due, "by_height": due.map(|_| deadline),
    })
}

/// What its holder must still say in this phase, if anything: who has declined owes nothing more, and
/// who missed the commit cannot reveal.
fn due(phase: Phase, seat: &Seat) -> Option<&'static str> {
    match (phase, &seat.state) {
        (Phase::Commit(level), SeatState::Open) if level == seat.level => Some("commit"),
        (Phase::Reveal(level), SeatState::Committed(_)) if level == seat.level => Some("reveal"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ledger::execution::Commit;
    use protocol::digest::{Digest, TxId};
    use protocol::events::Level;
    use protocol::units::{Amount, Height};

    use super::*;

    #[test]
    fn each_phase_asks_the_seats_of_its_level_once() {
        let committed = SeatState::Committed(Commit {
            commit: Digest([1; 32]),
            tx: TxId(Digest([2; 32])),
            at: Height(3),
        });
        let seat = |state: &SeatState| Seat {
            version: 1,
            validator: ValidatorId(Digest([3; 32])),
            level: Level::Committee,
            stake: Amount(5),
            bond: Amount(1),
            state: *state,
        };
        for (phase, state, expected) in [
            (
                Phase::Commit(Level::Committee),
                SeatState::Open,
                Some("commit"),
            ),
            (Phase::Commit(Level::Committee), committed, None),
            (Phase::Reveal(Level::Committee), committed, Some("reveal")),
            (Phase::Reveal(Level::Committee), SeatState::Open, None),
            (
                Phase::Reveal(Level::Committee),
                SeatState::Unavailable,
                None,
            ),
            (Phase::Commit(Level::WholeSet), SeatState::Open, None),
            (Phase::Reveal(Level::WholeSet), committed, None),
            (Phase::Settled, committed, None),
        ] {
            assert_eq!(due(phase, &seat(&state)), expected, "{phase:?} {state:?}");
        }
    }
}
