//! What staking keeps: this validator's own standing, and whom the network admits. Pure.
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

use ledger::State;
use ledger::staking::Exit;
use protocol::codec::encode;
use protocol::digest::{Digest, EvidenceId, ValidatorId, sha256};
use protocol::events::{Event, JailCause};
use protocol::units::{Amount, Height};

/// Where our own validator stands, for `status --why`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This node has no validator, or nobody registered it yet.
    Unregistered,
    /// Registered, votes and sits later.
    Waiting {
        /// From this height on.
        active_from: Height,
    },
    /// Votes and sits, if its stake is among the highest.
    Active,
    /// Its stake fell below what a validator needs.
    BelowMinBond {
        /// What it needs.
        needed: Amount,
    },
    /// Off all duties.
    Jailed {
        /// Why, if the chain still says so.
        cause: Option<JailCause>,
        /// Can be unjailed from here on.
        until: Height,
    },
    /// All stake was withdrawn, or a third wrong result ended it.
    Gone,
    /// For ever.
    Tombstoned {
        /// What proved it.
        evidence: Option<EvidenceId>,
    },
}

impl Standing {
    /// The name in status and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::Waiting { .. } => "waiting",
            Self::Active => "active",
            Self::BelowMinBond { .. } => "below_min_bond",
            Self::Jailed { .. } => "jailed",
            Self::Gone => "gone",
            Self::Tombstoned { .. } => "tombstoned",
        }
    }
}

/// What the snapshot says of our validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Where it stands.
    pub standing: Standing,
    /// Its stake.
    pub bonded: Amount,
}

impl Facts {
    /// Reads them from the state after the last block.
    #[must_use]
    pub fn of(state: &State, own: Option<ValidatorId>) -> Self {
        let Some(row) = own.and_then(|own| state.validators.get(&own)) else {
            return Self {
                standing: Standing::Unregistered,
                bonded: Amount::ZERO,
            };
        };
        let needed = state.params().self_bond_min;
        let standing = match (row.exit, row.jail) {
            (Some(Exit::Tombstoned(evidence)), _) => Standing::Tombstoned {
                evidence: Some(evidence),
            },
            (Some(Exit::Gone), _) => Standing::Gone,
            (None, Some(jail)) => Standing::Jailed {
                cause: Some(jail.cause),
                until: jail.until,
            },
            (None, None) if row.active_from > state.height().next() => Standing::Waiting {
                active_from: row.active_from,
            },
            (None, None) if row.bonded < needed => Standing::BelowMinBond { needed },
            (None, None) => Standing::Active,
        };
        Self {
            standing,
            bonded: row.bonded,
        }
    }
}

/// What the reducer hears, from consensus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The height.
    pub height: Height,
    /// Those of this domain.
    pub events: Vec<Event>,
    /// What the snapshot of that height says.
    pub facts: Facts,
    /// Digest of the set of the height being worked on.
    pub set: Digest,
}

/// What the shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Tell the network whom to admit: the set changed.
    Admit,
    /// Publish our standing.
    Publish(Facts),
    /// Something happened to our stake or standing.
    Audit {
        /// What.
        action: &'static str,
        /// Hash of the event's canonical bytes.
        body: Digest,
    },
    /// Count a slash.
    Slashed {
        /// For what.
        offence: protocol::events::Offence,
        /// How much.
        amount: Amount,
        /// Whether it was ours.
        own: bool,
    },
    /// The height is dealt with.
    Note(Height),
}

/// See the module. `height` is durable, the rest derivable.
#[derive(Clone, Debug)]
pub struct Staking {
    validator: Option<ValidatorId>,
    facts: Option<Facts>,
    set: Option<Digest>,
    height: Height,
}

impl Staking {
    /// `height` is the last one dealt with.
    #[must_use]
    pub const fn new(height: Height) -> Self {
        Self {
            validator: None,
            facts: None,
            set: None,
            height,
        }
    }

    /// Learns which validator is ours; it may be registered while the node runs.
    pub const fn know(&mut self, validator: Option<ValidatorId>) {
        self.validator = validator;
    }

    /// One step. The first one publishes even if its height was dealt with before.
    pub fn step(&mut self, input: &Committed) -> Vec<Intent> {
        let mut intents = Vec::new();
        if self.set != Some(input.set) {
            self.set = Some(input.set);
            intents.push(Intent::Admit);
        }
        if self.facts.as_ref() != Some(&input.facts) {
            self.facts = Some(input.facts.clone());
            intents.push(Intent::Publish(input.facts.clone()));
        }
        if input.height > self.height {
            self.height = input.height;
            intents.extend(input.events.iter().flat_map(|event| self.event(event)));
            intents.push(Intent::Note(input.height));
        }
        intents
    }

    fn is_own(&self, event: &Event) -> bool {
        let about = match event {
            Event::Registered { validator, .. }
            | Event::Bonded { validator, .. }
            | Event::Unbonding { validator, .. }
            | Event::Unbonded { validator, .. }
            | Event::Jailed { validator, .. }
            | Event::Unjailed { validator }
            | Event::Slashed { validator, .. }
            | Event::Tombstoned { validator, .. } => validator,
            _ => return false,
        };
        self.validator.as_ref() == Some(about)
    }

    fn event(&self, event: &Event) -> Vec<Intent> {
        let own = self.is_own(event);
        let mut intents = Vec::new();
        if let Event::Slashed {
            offence, amount, ..
        } = event
        {
            intents.push(Intent::Slashed {
                offence: *offence,
                amount: *amount,
                own,
            });
        }
        let action = match event {
            Event::Jailed { .. } => "validator_jailed",
            Event::Unjailed { .. } => "validator_unjailed",
            Event::Slashed { .. } => "validator_slashed",
            Event::Tombstoned { .. } => "validator_tombstoned",
            _ => return intents,
        };
        if own {
            intents.push(Intent::Audit {
                action,
                body: sha256(&encode(event)),
            });
        }
        intents
    }
}
