//! Named mixtures of faults.

/// Which faults a seed may draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, clap::ValueEnum)]
pub enum Profile {
    /// Any of the others, by the seed.
    #[default]
    Mixed,
    /// Nothing fails: every height is decided in its first round.
    Calm,
    /// Messages are lost, late, doubled, until the network is good.
    Lossy,
    /// Two-sided partitions, some of them one-way.
    Partition,
    /// Processes end and start again.
    Crash,
    /// All lose power at once.
    PowerCut,
    /// Disks that lie or change bits, up to the number that may fail.
    Disk,
    /// As many hostile validators as the design bears.
    Byzantine,
    /// Two machines with one key, on different sides.
    Twins,
    /// The validator set changes at every height.
    Sets,
    /// Hostile validators, partitions and crashes together.
    Everything,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Mixed,
        Self::Calm,
        Self::Lossy,
        Self::Partition,
        Self::Crash,
        Self::PowerCut,
        Self::Disk,
        Self::Byzantine,
        Self::Twins,
        Self::Sets,
        Self::Everything,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Calm => "calm",
            Self::Lossy => "lossy",
            Self::Partition => "partition",
            Self::Crash => "crash",
            Self::PowerCut => "power-cut",
            Self::Disk => "disk",
            Self::Byzantine => "byzantine",
            Self::Twins => "twins",
            Self::Sets => "sets",
            Self::Everything => "everything",
        }
    }

    /// The one that a seed draws of a mixture.
    #[must_use]
    pub fn drawn(self, number: u64) -> Self {
        if self != Self::Mixed {
            return self;
        }
        // Plain runs find little; they are one in thirty-two.
        const DRAWN: [Profile; 32] = {
            use Profile::{
                Byzantine, Calm, Crash, Disk, Everything, Lossy, Partition, PowerCut, Sets, Twins,
            };
            [
                Calm, Lossy, Lossy, Partition, Partition, Partition, Crash, Crash, Crash, Crash,
                PowerCut, PowerCut, PowerCut, PowerCut, Disk, Disk, Disk, Byzantine, Byzantine,
                Byzantine, Byzantine, Byzantine, Twins, Twins, Twins, Sets, Sets, Sets, Everything,
                Everything, Everything, Everything,
            ]
        };
        let index = usize::try_from(number % 32).unwrap_or(0);
        DRAWN.get(index).copied().unwrap_or(Self::Calm)
    }
}
