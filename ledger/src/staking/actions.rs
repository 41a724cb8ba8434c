//! What operators ask for: register, bond, unbond, unjail; and the pay-out of what has matured.

use protocol::digest::{Address, ValidatorId};
use protocol::events::Event;
use protocol::genesis::{moniker_is_valid, peer_id_is_valid};
use protocol::limits::{HEARTBEAT_BLOCKS_MAX, UNBONDING_ENTRIES_MAX};
use protocol::tx::{Bond, RegisterValidator, Unbond, Unjail, heartbeat_digest, possession_digest};
use protocol::units::{Amount, Height};

use super::{Exit, Unbonding, Validator};
use crate::account::need;
use crate::error::TxError;
use crate::money::{Breach, Compartment, Reason};
use crate::planted::{self, Bug};
use crate::work::Work;

/// Makes the sender a candidate.
pub(crate) fn register(
    work: &mut Work,
    operator: Address,
    nonce: u64,
    body: &RegisterValidator,
) -> Result<(), TxError> {
    if let Some((validator, row)) = work.state.operated(&operator)
        && row.exit.is_none()
    {
        return Err(TxError::AlreadyOperator { validator });
    }
    check_registration(work, operator, nonce, body)?;
    let id = ValidatorId::derive(&work.state.chain_id(), &operator, nonce);
    let active_from = work
        .block
        .height
        .plus(work.state.params().activation_blocks);
    let row = Validator {
        version: 1,
        operator,
        moniker: body.moniker.clone(),
        consensus_pk: body.consensus_pk,
        session_pk: body.session_pk,
        peer_id: body.peer_id.clone(),
        bonded: Amount::ZERO,
        active_from,
        jail: None,
        exit: None,
        seat_locked: Amount::ZERO,
        unbonding_entries: 0,
        misses: 0,
        wrong_results: Vec::new(),
        anchor: None,
    };
    work.state.add_validator(id, row);
    let (from, to) = (Compartment::Balance(operator), Compartment::Bonded(id));
    work.move_units(from, to, body.self_bond, Reason::Bond)?;
    let self_bond = body.self_bond;
    work.emit(Event::Registered {
        validator: id,
        operator,
        self_bond,
        active_from,
    });
    Ok(())
}

fn check_registration(
    work: &Work,
    operator: Address,
    nonce: u64,
    body: &RegisterValidator,
) -> Result<(), TxError> {
    let needed = work.state.params().self_bond_min;
    if body.self_bond < needed {
        return Err(TxError::BelowMinBond {
            bonded: body.self_bond,
            needed,
        });
    }
    need(work, operator, body.self_bond)?;
    if !moniker_is_valid(&body.moniker) {
        return Err(TxError::BadMoniker);
    }
    if !peer_id_is_valid(&body.peer_id) {
        return Err(TxError::BadPeerId);
    }
    let state = &work.state;
    let taken = |key| state.key_holder(key).is_some();
    let same = body.consensus_pk == body.session_pk;
    if same || taken(&body.consensus_pk) || taken(&body.session_pk) {
        return Err(TxError::KeyTaken);
    }
    let proofs = [
        (body.consensus_pk, body.consensus_proof),
        (body.session_pk, body.session_proof),
    ];
    for (key, proof) in proofs {
        let digest = possession_digest(&state.chain_id(), &operator, nonce, &key);
        key.verify(&digest, &proof)
            .map_err(|_| TxError::BadPossession)?;
    }
    Ok(())
}

/// The sender's validator, which must still be in.
fn own(work: &Work, operator: &Address) -> Result<(ValidatorId, Validator), TxError> {
    let (id, row) = work.state.operated(operator).ok_or(TxError::NotOperator)?;
    match row.exit {
        Some(Exit::Tombstoned(_)) => Err(TxError::Tombstoned),
        Some(Exit::Gone) => Err(TxError::Gone),
        None => Ok((id, row.clone())),
    }
}

fn check_change(work: &Work, amount: Amount) -> Result<(), TxError> {
    let least = work.state.params().bond_change_min();
    if amount == Amount::ZERO {
        return Err(TxError::ZeroAmount);
    }
    if amount < least {
        return Err(TxError::BondChangeTooSmall { amount, least });
    }
    Ok(())
}

/// Adds to the stake.
pub(crate) fn bond(work: &mut Work, operator: Address, body: &Bond) -> Result<(), TxError> {
    let (validator, row) = own(work, &operator)?;
    check_change(work, body.amount)?;
    need(work, operator, body.amount)?;
    let bonded = row
        .bonded
        .checked_add(body.amount)
        .ok_or(TxError::Overflow)?;
    let (from, to) = (
        Compartment::Balance(operator),
        Compartment::Bonded(validator),
    );
    work.move_units(from, to, body.amount, Reason::Bond)?;
    work.emit(Event::Bonded {
        validator,
        amount: body.amount,
        bonded,
    });
    Ok(())
}

/// Takes from the stake; all of it ends the validator.
pub(crate) fn unbond(work: &mut Work, operator: Address, body: &Unbond) -> Result<(), TxError> {
    let (id, row) = own(work, &operator)?;
    if body.amount == Amount::ZERO || body.amount != row.bonded {
        check_change(work, body.amount)?;
    }
    let left = row
        .bonded
        .checked_sub(body.amount)
        .ok_or(TxError::NotBonded {
            bonded: row.bonded,
            asked: body.amount,
        })?;
    if left.share(1, 2) < row.seat_locked {
        return Err(TxError::SeatBondsLocked {
            bonded: left,
            locked: row.seat_locked,
        });
    }
    if row.unbonding_entries >= UNBONDING_ENTRIES_MAX {
        return Err(TxError::TooManyUnbonding {
            entries: row.unbonding_entries,
        });
    }
    start_unbonding(work, id, body.amount)?;
    if left == Amount::ZERO {
        work.with_validator(id, |row| row.exit = Some(Exit::Gone))?;
    }
    Ok(())
}

/// Moves stake to the waiting line. Slashes still reach it there.
pub(crate) fn start_unbonding(
    work: &mut Work,
    id: ValidatorId,
    amount: Amount,
) -> Result<(), Breach> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    let number = work.take_unbonding_number()?;
    let params = work.state.params();
    let waits = if planted::is(Bug::EarlyMaturity) {
        params.unbonding_blocks.min(params.evidence_age_blocks)
    } else {
        params.unbonding_blocks
    };
    let matures = work.block.height.plus(waits);
    let matures_ms = work.block.time_ms.saturating_add(params.unbonding_ms);
    let row = Unbonding {
        version: 1,
        amount: Amount::ZERO,
        started_with: amount,
        matures,
        matures_ms,
    };
    work.state.add_unbonding((id, number), row);
    work.with_validator(id, |row| {
        row.unbonding_entries = row.unbonding_entries.saturating_add(1);
    })?;
    let (from, to) = (Compartment::Bonded(id), Compartment::Unbonding(id, number));
    work.move_units(from, to, amount, Reason::Unbond)?;
    work.emit(Event::Unbonding {
        validator: id,
        amount,
        matures,
    });
    Ok(())
}

/// Pays out what has waited long enough, by both measures; oldest first, at most `most` entries.
pub(crate) fn mature(work: &mut Work, most: usize) -> Result<(), Breach> {
    for _ in 0..most {
        let Some((id, number)) = work.state.oldest_unbonding() else {
            return Ok(());
        };
        let Some(row) = work.state.unbonding.get(&(id, number)).cloned() else {
            return Err(Breach(format!("unbonding {number} of {id} is missing")));
        };
        if work.block.height < row.matures || work.block.time_ms < row.matures_ms {
            return Ok(());
        }
        let operator = work.operator_of(&id)?;
        let (from, to) = (
            Compartment::Unbonding(id, number),
            Compartment::Balance(operator),
        );
        work.move_units(from, to, row.amount, Reason::Matured)?;
        work.state.drop_unbonding((id, number));
        work.with_validator(id, |row| {
            row.unbonding_entries = row.unbonding_entries.saturating_sub(1);
        })?;
        work.emit(Event::Unbonded {
            validator: id,
            amount: row.amount,
        });
    }
    Ok(())
}

/// Ends a jail term that has been served.
pub(crate) fn unjail(work: &mut Work, operator: Address, body: &Unjail) -> Result<(), TxError> {
    let (validator, row) = own(work, &operator)?;
    let jail = row.jail.ok_or(TxError::NotJailed)?;
    if work.block.height < jail.until {
        return Err(TxError::Jailed { until: jail.until });
    }
    let needed = work.state.params().self_bond_min;
    if row.bonded < needed {
        return Err(TxError::BelowMinBond {
            bonded: row.bonded,
            needed,
        });
    }
    check_heartbeats(work, validator, &row, body)?;
    work.with_validator(validator, |row| row.jail = None)?;
    work.emit(Event::Unjailed { validator });
    Ok(())
}

fn check_heartbeats(
    work: &Work,
    id: ValidatorId,
    row: &Validator,
    body: &Unjail,
) -> Result<(), TxError> {
    let height: Height = body.height;
    let oldest = work.block.height.minus(HEARTBEAT_BLOCKS_MAX);
    let known = work
        .state
        .blocks
        .get(&height)
        .is_some_and(|block| block.block == body.block);
    if height < oldest || !known {
        return Err(TxError::StaleHeartbeat { height });
    }
    let digest = heartbeat_digest(&work.state.chain_id(), &id, &body.block);
    for (key, signature) in [
        (row.consensus_pk, body.consensus_heartbeat),
        (row.session_pk, body.session_heartbeat),
    ] {
        key.verify(&digest, &signature)
            .map_err(|_| TxError::BadHeartbeat)?;
    }
    Ok(())
}
