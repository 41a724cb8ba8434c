//! Where a rehearsed misdeed enters: a filter over the effects and intents of unmodified actors.
//!
//! An honest node runs without one. Local test networks hand in a [`Profiles`] table, so that the
//! same binary can be told at run time to lie in one particular way; everything else about the
//! node stays as it is. The trait sees what would leave the node and says what leaves instead.
//!
//! ```text
//!   machine --Broadcast--> broadcast() --> network        sandbox --> result() --> commit, reveal
//!   build   --Block------> block()     --> machine        workflow --> seat_message() --> mempool
//!   every commit --------> committed(), with the means to sign and send anything
//! ```

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use protocol::block::Block;
use protocol::digest::{ChainId, ValidatorId};
use protocol::job::SeatRef;
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::tx::{Tx, TxBody};
use protocol::units::Height;
use protocol::vote::{Proposal, RelayedCertificate, Vote};

pub use crate::seat::SeatResult;

/// A consensus message on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A vote of ours.
    Vote(Signed<Vote>),
    /// A proposal of ours, with its block (`header ‖ body`) where that rides inline.
    Proposal {
        /// The proposal.
        proposal: Signed<Proposal>,
        /// The block; empty if the proposal says it is apart.
        block: Arc<[u8]>,
    },
    /// A certificate, relayed under our session key.
    Certificate(Signed<RelayedCertificate>),
}

/// What a liar has in hand: the node's own keys and its wire.
#[derive(Clone)]
pub struct Means {
    /// Which chain.
    pub chain: ChainId,
    /// Which validator, if the node is one.
    pub validator: Option<ValidatorId>,
    /// Signs votes and proposals, unguarded.
    pub consensus_key: Option<Arc<SecretKey>>,
    /// Signs seat messages and relays, unguarded.
    pub session_key: Option<Arc<SecretKey>>,
    /// Takes transactions past our own limits.
    pub wire: Arc<dyn Wire>,
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Means({:?})", self.validator)
    }
}

/// Sends without the restraint an honest node puts on itself.
pub trait Wire: Send + Sync {
    /// Publishes a signed transaction to all peers, whatever our own limits say.
    fn publish_tx(&self, tx: &Signed<Tx>);
    /// Publishes a consensus message.
    fn publish(&self, message: Outgoing);
    /// Offers a signed transaction to our own mempool.
    fn submit(&self, tx: Vec<u8>);
}

/// What is true at a height, for a liar that picks its moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The height just committed.
    pub height: Height,
    /// The block there.
    pub block: protocol::digest::BlockId,
    /// Other validators that vote now.
    pub others: Vec<protocol::validators::ValidatorEntry>,
    /// The state after it.
    pub state: ledger::State,
}

/// One way to misbehave. Every method defaults to honesty.
pub trait Tamper: Send + Sync + fmt::Debug {
    /// The profile's name (testnet.md).
    fn name(&self) -> &'static str;

    /// Replaces one outgoing consensus message by any number of them.
    fn broadcast(&self, message: Outgoing, means: &Means) -> Vec<Outgoing> {
        let _ = means;
        vec![message]
    }

    /// Replaces a block this node built, before it is proposed.
    fn block(&self, block: Block, means: &Means) -> Block {
        let _ = means;
        block
    }

    /// Replaces the result of a run, before it is committed to. Seats from `k` on are jurors'.
    fn result(&self, seat: &SeatRef, k: u16, result: SeatResult) -> SeatResult {
        let _ = (seat, k);
        result
    }

    /// Replaces one outgoing seat message by any number of them; none means silence.
    fn seat_message(&self, body: TxBody, means: &Means) -> Vec<TxBody> {
        let _ = means;
        vec![body]
    }

    /// Called after each commit; may send anything.
    fn committed(&self, moment: &Moment, means: &Means) {
        let _ = (moment, means);
    }

    /// Called when the profile is switched on; may start threads.
    fn switched_on(&self, means: &Means) {
        let _ = means;
    }

    /// Called when the profile is switched off; ends what [`Self::switched_on`] began.
    fn switched_off(&self) {}

    /// Whether the node goes on although others hold evidence against it. An honest one stops: it
    /// must have a twin.
    fn outlives_own_evidence(&self) -> bool {
        true
    }
}

/// The profiles that a binary carries.
pub trait Profiles: Send + Sync + fmt::Debug {
    /// Their names.
    fn names(&self) -> Vec<&'static str>;
    /// The profile of this name.
    fn make(&self, name: &str) -> Option<Arc<dyn Tamper>>;
}

/// No profiles at all: operator builds.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProfiles;

impl Profiles for NoProfiles {
    fn names(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn make(&self, _: &str) -> Option<Arc<dyn Tamper>> {
        None
    }
}

/// A switch that names no known profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown byzantine profile {name:?}; known: {}", known.join(", "))]
pub struct UnknownProfile {
    /// What was asked for.
    pub name: String,
    /// What there is.
    pub known: Vec<String>,
}

struct Active {
    tamper: Arc<dyn Tamper>,
    from: Height,
    announced: bool,
}

/// The node's one switch, shared by its actors.
#[derive(Clone)]
pub struct TamperSwitch {
    active: Arc<RwLock<Option<Active>>>,
    profiles: Arc<dyn Profiles>,
    means: Means,
}

impl fmt::Debug for TamperSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TamperSwitch({:?})", self.name())
    }
}

impl TamperSwitch {
    /// Off.
    #[must_use]
    pub fn new(profiles: Arc<dyn Profiles>, means: Means) -> Self {
        Self {
            active: Arc::default(),
            profiles,
            means,
        }
    }

    /// Switches to a profile from a height on, or off.
    ///
    /// # Errors
    /// [`UnknownProfile`] if there is none of this name; nothing changes then.
    pub fn set(&self, profile: Option<(&str, Height)>) -> Result<(), UnknownProfile> {
        let next = match profile {
            None => None,
            Some((name, from)) => {
                let tamper = self.profiles.make(name).ok_or_else(|| UnknownProfile {
                    name: name.to_owned(),
                    known: self
                        .profiles
                        .names()
                        .into_iter()
                        .map(str::to_owned)
                        .collect(),
                })?;
                Some(Active {
                    tamper,
                    from,
                    announced: false,
                })
            }
        };
        let before = std::mem::replace(&mut *self.write(), next);
        if let Some(before) = before {
            before.tamper.switched_off();
        }
        Ok(())
    }

    /// The profile switched on, whether or not its height has come.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        self.active
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|active| active.tamper.name())
    }

    /// The profile in force while this height is worked on, with the means to act.
    #[must_use]
    pub fn at(&self, height: Height) -> Option<(Arc<dyn Tamper>, &Means)> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let active = active.as_ref().filter(|active| active.from <= height)?;
        Some((active.tamper.clone(), &self.means))
    }

    /// Tells the profile in force what was committed; the first time, that it is on.
    pub fn committed(&self, moment: &Moment) {
        let Some((tamper, means)) = self.at(moment.height.next()) else {
            return;
        };
        let first = match self.write().as_mut() {
            Some(active) => !std::mem::replace(&mut active.announced, true),
            None => return,
        };
        if first {
            tamper.switched_on(means);
        }
        tamper.committed(moment, means);
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Option<Active>> {
        self.active.write().unwrap_or_else(PoisonError::into_inner)
    }
}
