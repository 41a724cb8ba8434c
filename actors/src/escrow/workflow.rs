//! What escrow writes down: every movement of escrowed money that this node's operator is party to.
//! Pure.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_arithmetic,
        clippy::as_conversions
    )
)]

use protocol::codec::encode;
use protocol::digest::{Address, Digest, JobId, sha256};
use protocol::events::Event;
use protocol::units::Height;

/// What the reducer hears, from consensus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The height.
    pub height: Height,
    /// Those of this domain.
    pub events: Vec<Event>,
}

/// What the shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Write a receipt into the audit log.
    Receipt {
        /// What happened.
        action: &'static str,
        /// With which job.
        job: JobId,
        /// Hash of the event's canonical bytes.
        body: Digest,
    },
    /// The height is dealt with.
    Note(Height),
}

/// See the module. `height` is durable, the rest configuration.
#[derive(Clone, Debug)]
pub struct Escrow {
    operator: Option<Address>,
    height: Height,
}

impl Escrow {
    /// `height` is the last one dealt with.
    #[must_use]
    pub const fn new(height: Height) -> Self {
        Self {
            operator: None,
            height,
        }
    }

    /// Learns who is paid for what our validator does.
    pub const fn know(&mut self, operator: Option<Address>) {
        self.operator = operator;
    }

    /// One step.
    pub fn step(&mut self, input: &Committed) -> Vec<Intent> {
        if input.height <= self.height {
            return Vec::new();
        }
        self.height = input.height;
        let mut intents: Vec<Intent> = input
            .events
            .iter()
            .filter_map(|event| self.receipt(event))
            .collect();
        intents.push(Intent::Note(input.height));
        intents
    }

    fn receipt(&self, event: &Event) -> Option<Intent> {
        let (action, party, job) = match event {
            Event::Locked { job, payer, .. } => ("escrow_locked", payer, job),
            Event::Released { job, to, .. } => ("escrow_released", to, job),
            Event::Refunded { job, to, .. } => ("escrow_refunded", to, job),
            _ => return None,
        };
        (self.operator.as_ref() == Some(party)).then(|| Intent::Receipt {
            action,
            job: *job,
            body: sha256(&encode(event)),
        })
    }
}
