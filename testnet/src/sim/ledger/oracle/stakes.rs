//! Stake: nobody honest loses any, evidence counts within its window only, nothing matures early, and
//! what an honest node can prove is punished.

use std::collections::{BTreeMap, BTreeSet};

use ledger::State;
use ledger::money::{Compartment, Reason};
use ledger::staking::Exit;
use protocol::digest::{EvidenceId, ValidatorId};
use protocol::events::{Event, JailCause};
use protocol::units::{Height, TimeMs};

use super::super::shared::Facts;
use super::{Broken, Checked, Seen, must};

/// When an amount began to unbond.
#[derive(Clone, Copy, Debug)]
struct Began {
    height: Height,
    time: TimeMs,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stakes {
    unbonding: BTreeMap<(ValidatorId, u64), Began>,
    accepted: BTreeSet<EvidenceId>,
}

/// Bonded and unbonding stake of everyone.
pub(super) fn totals(state: &State) -> BTreeMap<ValidatorId, u64> {
    let mut totals: BTreeMap<ValidatorId, u64> = BTreeMap::new();
    for (id, row) in state.validators.iter() {
        *totals.entry(*id).or_default() += row.bonded.0;
    }
    for ((id, _), row) in state.unbonding.iter() {
        *totals.entry(*id).or_default() += row.amount.0;
    }
    totals
}

impl Stakes {
    pub(super) fn follow(&mut self, seen: &Seen<'_>) -> Checked {
        for event in &seen.applied.events {
            self.event(seen, event)?;
        }
        self.unbondings(seen)?;
        honest_keep_theirs(seen)
    }

    fn event(&mut self, seen: &Seen<'_>, event: &Event) -> Checked {
        let honest = |id: &ValidatorId| seen.world.is_honest(id);
        match event {
            Event::Slashed {
                validator, offence, ..
            } => must(!honest(validator), "S2", || {
                format!("honest {validator} is slashed for {}", offence.name())
            }),
            Event::Tombstoned { validator, .. } => must(!honest(validator), "S2", || {
                format!("honest {validator} is tombstoned")
            }),
            Event::Jailed {
                validator, cause, ..
            } => {
                let listed = *cause == JailCause::Absence || !honest(validator);
                must(listed, "S2", || {
                    format!("honest {validator} is jailed for {}", cause.name())
                })
            }
            Event::EvidenceAccepted {
                evidence,
                validator,
                ..
            } => self.evidence(seen, *evidence, validator),
            _ => Ok(()),
        }
    }

    /// Once, within its window by one of both measures, and the end of the offender.
    fn evidence(
        &mut self,
        seen: &Seen<'_>,
        evidence: EvidenceId,
        offender: &ValidatorId,
    ) -> Checked {
        must(self.accepted.insert(evidence), "S3", || {
            format!("evidence {evidence} is punished twice")
        })?;
        let (state, params) = (seen.after(), seen.after().params());
        let missing = || Broken("S3", format!("evidence {evidence} leaves no record"));
        let record = state.evidence.get(&evidence).ok_or_else(missing)?;
        let blocks = seen.block.header.height.0.saturating_sub(record.height.0);
        let time = seen.world.time_of(record.height).ok_or_else(missing)?;
        let age_ms = seen.block.header.time_ms.0.saturating_sub(time.0);
        let old = blocks > params.evidence_age_blocks && age_ms > params.evidence_age_ms.0;
        must(!old, "S3", || {
            format!("evidence {evidence} is {blocks} blocks and {age_ms} ms old and accepted")
        })?;
        let row = state.validators.get(offender).ok_or_else(missing)?;
        let out = matches!(row.exit, Some(Exit::Tombstoned(_))) && row.bonded.0 == 0;
        must(out, "S3", || {
            format!("{offender} is proved guilty and still in")
        })
    }

    fn unbondings(&mut self, seen: &Seen<'_>) -> Checked {
        let (height, time) = (seen.block.header.height, seen.block.header.time_ms);
        let params = seen.after().params();
        for movement in &seen.applied.moves {
            if let Compartment::Unbonding(id, number) = movement.to {
                let began = Began { height, time };
                self.unbonding.entry((id, number)).or_insert(began);
            }
            let (Compartment::Unbonding(id, number), Reason::Matured) =
                (movement.from, movement.reason)
            else {
                continue;
            };
            let known = self.unbonding.remove(&(id, number));
            let Some(began) = known else {
                return Err(Broken(
                    "S4",
                    format!("unbonding {number} of {id} never began"),
                ));
            };
            let blocks = height.0.saturating_sub(began.height.0);
            let ms = time.0.saturating_sub(began.time.0);
            let ripe = blocks >= params.unbonding_blocks && ms >= params.unbonding_ms.0;
            must(ripe, "S4", || {
                format!("unbonding {number} of {id} matures after {blocks} blocks, {ms} ms")
            })?;
        }
        Ok(())
    }

    /// Whatever an honest node could prove, and whoever is proved guilty is out.
    pub(super) fn ended(&self, world: &Facts, state: &State) -> Checked {
        for proof in world.proofs() {
            let row = state.validators.get(&proof.validator);
            let out = row.is_some_and(|row| matches!(row.exit, Some(Exit::Tombstoned(_))));
            must(out || proof.late, "S5", || {
                let (id, height) = (proof.validator, proof.height);
                format!("{id} contradicted itself at height {height}, is proved and not punished")
            })?;
        }
        Ok(())
    }
}

/// The stake of an honest validator changes by what its operator asked for, and by nothing else.
fn honest_keep_theirs(seen: &Seen<'_>) -> Checked {
    let (before, after) = (totals(seen.before), totals(seen.after()));
    let mut asked: BTreeMap<ValidatorId, i128> = BTreeMap::new();
    for movement in &seen.applied.moves {
        let amount = i128::from(movement.amount.0);
        match (movement.from, movement.to, movement.reason) {
            (_, Compartment::Bonded(id), Reason::Bond) => *asked.entry(id).or_default() += amount,
            (Compartment::Unbonding(id, _), _, Reason::Matured) => {
                *asked.entry(id).or_default() -= amount;
            }
            _ => {}
        }
    }
    for (id, held) in &after {
        let held_before = before.get(id).copied().unwrap_or(0);
        let change = i128::from(*held) - i128::from(held_before);
        let by_request = asked.get(id).copied().unwrap_or(0);
        must(
            change == by_request || !seen.world.is_honest(id),
            "S2",
            || format!("the stake of honest {id} changes by {change}, asked for was {by_request}"),
        )?;
    }
    Ok(())
}
