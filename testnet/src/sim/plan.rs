//! What a seed decides before anything happens: how many, how the links are, who fails, and how.

mod draw;
mod profile;
mod sets;

use protocol::units::Height;
use protocol::validators::ValidatorSet;

pub use profile::Profile;
pub(crate) use sets::id_of;

use super::keys::{Keyring, Signatures};
use super::time::Micros;

/// What a run is asked for; together with the seed it decides everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// Validators.
    pub nodes: usize,
    /// Heights that every honest node must reach.
    pub heights: u64,
    /// Which faults are drawn.
    pub profile: Profile,
    /// How signatures are made.
    pub signatures: Signatures,
}

/// How a node behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// As the software does.
    Honest,
    /// Honest, but its disk loses what it acknowledged, or changes it. It may refuse to start.
    BadDisk,
    /// Says nothing.
    Silent,
    /// Votes for one thing here and another there.
    DoubleVote,
    /// Proposes one block here and another there.
    DoubleProposal,
    /// Shows its proposals and blocks to some only.
    Withhold,
    /// Sends junk: unsigned, of others, of the future, unasked.
    Flood,
    /// Answers requests for decided blocks with forgeries, and lies about its tip.
    ForgedSync,
    /// Proposes blocks that nobody may accept.
    InvalidBody,
    /// Votes again, and otherwise, in rounds and heights that are over.
    StaleRound,
    /// Accuses others of what they did not do.
    ForgedEvidence,
    /// One of two unmodified machines with one key.
    Twin,
}

impl Role {
    /// Whether it may break the rules of agreement.
    #[must_use]
    pub const fn is_hostile(self) -> bool {
        !matches!(self, Self::Honest | Self::BadDisk)
    }
}

/// Two groups that do not hear each other for a while.
#[derive(Debug, Clone)]
pub struct Partition {
    /// From when.
    pub from: Micros,
    /// Until when.
    pub until: Micros,
    /// Which side each node is on.
    pub side: Vec<bool>,
    /// Whether the second group still hears the first.
    pub one_way: bool,
}

/// A process that ends and starts again.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// When.
    pub at: Micros,
    /// Which node.
    pub node: usize,
    /// For how long.
    pub down: Micros,
    /// What happens to its disk.
    pub kind: CrashKind,
}

/// What a crash does to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashKind {
    /// Nothing: the process ends, the system writes on.
    Process,
    /// What was not synced is cut anywhere.
    Power,
    /// As that, and one bit of the log changes.
    FlipLog,
    /// As that, and one bit of the sign-state changes.
    FlipSlots,
    /// As that, and one bit of the block log changes.
    FlipBlocks,
    /// As that, and one bit of an app's own file changes.
    FlipOwn,
    /// As that, and from then on the log says "synced" and keeps nothing.
    LyingLog,
    /// As that, and from then on the sign-state does.
    LyingSlots,
    /// As that, and from then on the block log does.
    LyingBlocks,
    /// As that, and from then on an app's own file does.
    LyingOwn,
}

impl CrashKind {
    /// Whether the disk goes on to say "synced" of what it does not keep.
    #[must_use]
    pub const fn is_lie(self) -> bool {
        matches!(
            self,
            Self::LyingLog | Self::LyingSlots | Self::LyingBlocks | Self::LyingOwn
        )
    }
}

/// How messages fare.
#[derive(Debug, Clone, Copy)]
pub struct Links {
    /// Shortest time under way.
    pub delay_min: Micros,
    /// Longest.
    pub delay_max: Micros,
    /// So many of a thousand are lost.
    pub loss: u64,
    /// So many of a thousand come twice.
    pub twice: u64,
}

/// Everything that a seed decides.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What was asked for.
    pub setup: Setup,
    /// The profile that was drawn, if a mixture was asked for.
    pub profile: Profile,
    /// Members of the first set; further nodes are second halves of twins.
    pub members: usize,
    /// How each node behaves, second halves included.
    pub roles: Vec<Role>,
    /// Whose key each node holds.
    pub key_of: Vec<usize>,
    /// Power of each member.
    pub power: Vec<u64>,
    /// From here on the network is good and nothing more breaks.
    pub gst: Micros,
    /// Links before that.
    pub before: Links,
    /// Links after that.
    pub after: Links,
    /// In the order of time.
    pub partitions: Vec<Partition>,
    /// In the order of time.
    pub crashes: Vec<Crash>,
    /// How far each node's clock is off, in milliseconds.
    pub skew_ms: Vec<i64>,
    /// How long a sync takes at most.
    pub sync_max: Micros,
    /// Whether the set changes with every height.
    pub sets_change: bool,
    /// So many of a thousand blocks are too large to ride on their proposal.
    pub large_blocks: u64,
}

impl Plan {
    /// What this seed decides.
    #[must_use]
    pub fn draw(seed: u64, setup: Setup) -> Self {
        draw::plan(seed, setup)
    }

    /// All nodes: members and second halves of twins.
    #[must_use]
    pub const fn nodes(&self) -> usize {
        self.roles.len()
    }

    /// How a node behaves.
    #[must_use]
    pub fn role(&self, node: usize) -> Role {
        self.roles.get(node).copied().unwrap_or(Role::Honest)
    }

    /// The member whose key a node holds.
    #[must_use]
    pub fn member_of(&self, node: usize) -> usize {
        self.key_of.get(node).copied().unwrap_or(node)
    }

    /// Whether a member's key may sign what it likes.
    #[must_use]
    pub fn is_hostile_member(&self, member: usize) -> bool {
        self.role(member).is_hostile()
    }

    /// Nodes that must reach every height.
    pub fn honest(&self) -> impl Iterator<Item = usize> + '_ {
        let roles = self.roles.iter().enumerate();
        roles
            .filter(|(_, role)| **role == Role::Honest)
            .map(|(node, _)| node)
    }

    /// The validators of a height, where a layer has no ledger to say so.
    #[must_use]
    pub fn set_at(&self, keys: &Keyring, height: Height) -> ValidatorSet {
        sets::set_at(self, keys, height)
    }

    /// Whether a message gets through at all.
    #[must_use]
    pub fn is_cut(&self, now: Micros, from: usize, to: usize) -> bool {
        let side =
            |partition: &Partition, node: usize| partition.side.get(node).copied().unwrap_or(false);
        self.partitions.iter().any(|partition| {
            let (a, b) = (side(partition, from), side(partition, to));
            let is_now = partition.from <= now && now < partition.until;
            is_now && a != b && !(partition.one_way && a)
        })
    }
}
