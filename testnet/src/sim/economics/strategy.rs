//! What hostile members do with the seats they are drawn for.

use serde::Serialize;

/// Who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Group {
    /// One validator.
    One,
    /// Members with a tenth of all stake.
    Tenth,
    /// Members with a fifth.
    Fifth,
    /// Members with 33 %.
    Third,
}

impl Group {
    /// As the report says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one validator",
            Self::Tenth => "10 % of stake",
            Self::Fifth => "20 % of stake",
            Self::Third => "33 % of stake",
        }
    }

    /// Share of all stake, in percent; `None` for an ordinary validator.
    #[must_use]
    pub const fn percent(self) -> Option<u64> {
        match self {
            Self::One => None,
            Self::Tenth => Some(10),
            Self::Fifth => Some(20),
            Self::Third => Some(33),
        }
    }
}

/// The idea behind a strategy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idea {
    /// Run, and say what came out.
    Work,
    /// Say something without a run.
    Guess,
    /// Commit to another seat's commit and open it with its reveal.
    Copy,
    /// As a juror, repeat what most of the committee revealed.
    Echo,
    /// One of the members runs, the others say the same.
    Share,
    /// Say something false, the same from all seats.
    Lie,
    /// Do so only when most of a committee is ours.
    LieWhenSafe,
    /// Commit to anything and never open.
    Withhold,
    /// Say nothing.
    Silent,
    /// Claim that the input is missing, if a quorum of ours can.
    Unavailable,
    /// Ask for jobs and take them back.
    Spam,
    /// Sign two votes and report oneself.
    DoubleSign,
}

/// A strategy: an idea, and who plays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strategy {
    /// As the report says it.
    pub name: &'static str,
    /// What it is.
    pub idea: Idea,
    /// Who plays it.
    pub group: Group,
    /// Whether the client belongs to them.
    pub own_client: bool,
    /// Outsiders who lie once each, so that whole sets are asked.
    pub foils: u64,
}

/// What one hostile seat does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Runs the model, says the truth.
    Run,
    /// Says the truth without a run.
    Know,
    /// Says this instead.
    False(u32),
    /// Repeats a foreign commit.
    CopyCommit,
    /// Commits, never opens.
    Withhold,
    /// Says nothing.
    Silent,
    /// Says that the input is missing.
    Unavailable,
}

/// The true answer of every job.
pub const TRUTH: u32 = 1;
/// The false answer that members agree on.
pub const LIE: u32 = 7;

impl Strategy {
    const fn new(name: &'static str, idea: Idea, group: Group) -> Self {
        Self {
            name,
            idea,
            group,
            own_client: false,
            foils: 0,
        }
    }

    /// The same members at honest work for strangers.
    #[must_use]
    pub const fn at_honest_work(&self) -> Self {
        Self {
            name: "honest",
            idea: Idea::Work,
            own_client: false,
            ..*self
        }
    }

    /// Every hostile one, in the order of the report.
    #[must_use]
    pub fn all() -> Vec<Self> {
        use Group::{Fifth, One, Tenth, Third};
        let own = |strategy: Self| Self {
            own_client: true,
            ..strategy
        };
        vec![
            Self::new("guess", Idea::Guess, One),
            Self::new("copy a commit", Idea::Copy, One),
            Self {
                foils: 5,
                ..Self::new("echo as juror", Idea::Echo, Third)
            },
            Self::new("share off-chain", Idea::Share, Tenth),
            Self::new("share off-chain", Idea::Share, Third),
            Self::new("lie alone", Idea::Lie, One),
            Self::new("lie always", Idea::Lie, Tenth),
            Self::new("lie always", Idea::Lie, Fifth),
            Self::new("lie always", Idea::Lie, Third),
            Self::new("lie when safe", Idea::LieWhenSafe, Tenth),
            Self::new("lie when safe", Idea::LieWhenSafe, Fifth),
            Self::new("lie when safe", Idea::LieWhenSafe, Third),
            Self::new("withhold reveals", Idea::Withhold, One),
            Self::new("withhold reveals", Idea::Withhold, Third),
            Self::new("say nothing", Idea::Silent, One),
            Self::new("claim no input", Idea::Unavailable, Third),
            Self::new("spam and cancel", Idea::Spam, Third),
            own(Self::new("hire oneself", Idea::Work, Third)),
            own(Self::new("lie to own client", Idea::Lie, One)),
            Self::new("double-sign, report", Idea::DoubleSign, One),
        ]
    }

    /// What each of `ours` hostile committee seats of `k` does; `guess` says whether a guess is right.
    #[must_use]
    pub fn committee(&self, ours: usize, k: usize, mut guess: impl FnMut() -> bool) -> Vec<Act> {
        let quorum = (2 * k).div_ceil(3);
        let each = |act: Act| vec![act; ours];
        match self.idea {
            Idea::Work | Idea::Echo | Idea::Spam | Idea::DoubleSign => each(Act::Run),
            Idea::Guess => (0..ours)
                .map(|_| if guess() { Act::Know } else { Act::False(99) })
                .collect(),
            Idea::Copy => each(Act::CopyCommit),
            Idea::Share => {
                let mut acts = each(Act::Know);
                if let Some(first) = acts.first_mut() {
                    *first = Act::Run;
                }
                acts
            }
            Idea::Lie => each(Act::False(LIE)),
            Idea::LieWhenSafe if 2 * ours > k => each(Act::False(LIE)),
            Idea::Unavailable if ours >= quorum => each(Act::Unavailable),
            Idea::LieWhenSafe | Idea::Unavailable => each(Act::Run),
            Idea::Withhold => each(Act::Withhold),
            Idea::Silent => each(Act::Silent),
        }
    }

    /// What each of `ours` hostile jurors does, after what committee seats of ours did.
    #[must_use]
    pub fn jury(&self, ours: usize, before: &[Act]) -> Vec<Act> {
        match self.idea {
            Idea::Echo => vec![Act::Know; ours],
            // Most of the committee was ours: nobody is slashed whatever jurors say.
            Idea::LieWhenSafe if before.contains(&Act::False(LIE)) => vec![Act::False(LIE); ours],
            Idea::Share if before.contains(&Act::Run) => vec![Act::Know; ours],
            Idea::Share => self.committee(ours, ours, || false),
            _ => vec![Act::Run; ours],
        }
    }
}
