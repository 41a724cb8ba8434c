//! What each signer has already said in each slot, so that repetition costs no signature check.
//!
//! A slot is (signer, kind, height, round) and takes one value. A second value is an offence and
//! must reach everybody, so it is verified and forwarded once; a third proves nothing new. Only
//! *verified* values are entered: a forger must not be able to fill somebody else's slot.

use std::collections::{HashMap, VecDeque};

use protocol::digest::Digest;
use protocol::envelope::{EnvelopeHeader, Kind};
use protocol::units::{Height, Round};

type Slot = ([u8; 33], Kind, Height, Round);

/// Slots remembered; the oldest entries are forgotten first.
const SLOTS_MAX: usize = 65_536;

/// Whether a value is worth verifying.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    /// Nothing known, or one other value: verify.
    Open,
    /// This very value was verified before.
    Known,
    /// Two other values were: enough.
    Full,
}

/// The slot table.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    values: HashMap<Slot, (Digest, Option<Digest>)>,
    order: VecDeque<Slot>,
}

/// Only these kinds say one thing per slot.
pub(crate) const fn has_slot(kind: Kind) -> bool {
    matches!(kind, Kind::Prevote | Kind::Precommit | Kind::Proposal)
}

const fn slot(header: &EnvelopeHeader) -> Slot {
    (header.signer, header.kind, header.height, header.round)
}

impl Slots {
    /// Looks a value up without changing anything.
    pub(crate) fn look(&self, header: &EnvelopeHeader, value: Digest) -> SlotState {
        match self.values.get(&slot(header)) {
            Some((first, _)) if *first == value => SlotState::Known,
            Some((_, Some(second))) if *second == value => SlotState::Known,
            Some((_, Some(_))) => SlotState::Full,
            Some((_, None)) | None => SlotState::Open,
        }
    }

    /// Enters a verified value; tells what it was before.
    pub(crate) fn enter(&mut self, header: &EnvelopeHeader, value: Digest) -> SlotState {
        if !has_slot(header.kind) {
            return SlotState::Open;
        }
        let state = self.look(header, value);
        if state != SlotState::Open {
            return state;
        }
        let slot = slot(header);
        match self.values.get_mut(&slot) {
            Some((_, second)) => *second = Some(value),
            None => {
                self.make_room();
                self.values.insert(slot, (value, None));
                self.order.push_back(slot);
            }
        }
        state
    }

    fn make_room(&mut self) {
        if self.order.len() >= SLOTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::digest::sha256;
    use protocol::vote::BodyPlace;

    use super::*;

    fn header(kind: Kind, height: u64) -> EnvelopeHeader {
        EnvelopeHeader {
            kind,
            body: BodyPlace::Apart,
            signer: [2; 33],
            height: Height(height),
            round: Round(0),
            payload_len: 33,
        }
    }

    #[test]
    fn two_values_and_no_third() {
        let mut slots = Slots::default();
        let header = header(Kind::Prevote, 1);
        let [a, b, c] = [b"a", b"b", b"c"].map(|value| sha256(value));
        assert_eq!(slots.enter(&header, a), SlotState::Open);
        assert_eq!(slots.enter(&header, a), SlotState::Known);
        assert_eq!(slots.enter(&header, b), SlotState::Open);
        assert_eq!(slots.enter(&header, c), SlotState::Full);
        assert_eq!(slots.look(&header, b), SlotState::Known);
    }

    #[test]
    fn looking_fills_nothing() {
        let mut slots = Slots::default();
        let header = header(Kind::Precommit, 1);
        for value in 0..100u8 {
            assert_eq!(slots.look(&header, sha256(&[value])), SlotState::Open);
        }
        assert_eq!(slots.enter(&header, sha256(b"good")), SlotState::Open);
    }

    #[test]
    fn bounded_and_certificates_have_no_slot() {
        let mut slots = Slots::default();
        for height in 0..SLOTS_MAX as u64 + 10 {
            slots.enter(&header(Kind::Prevote, height), sha256(b"x"));
        }
        assert_eq!(slots.values.len(), SLOTS_MAX);
        for value in 0..5u8 {
            let state = slots.enter(&header(Kind::Certificate, 1), sha256(&[value]));
            assert_eq!(state, SlotState::Open);
        }
    }
}
