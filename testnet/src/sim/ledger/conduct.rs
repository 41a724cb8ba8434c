//! What hostile seat holders do: a filter over what an unmodified node would say.

use protocol::digest::{Digest, sha256};
use protocol::job::{Outcome, SeatRef};
use protocol::tx::{CommitResult, RevealResult, RevealedOutput, TxBody};

use actors::seat::SeatResult;

use crate::sim::rng::Rng;

/// One way to treat seats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Conduct {
    /// As the software does.
    Honest,
    /// An answer of its own making.
    Lie,
    /// The wrong answer that all colluders give.
    Collude,
    /// The commit of another seat under its own name.
    Copy,
    /// Commits, never reveals.
    Withhold,
    /// Says nothing.
    NoShow,
    /// Reveals what does not open its commit.
    BadReveal,
    /// Reveals while others still commit.
    EarlyReveal,
    /// Commits to two things.
    DoubleCommit,
}

const HOSTILE: [Conduct; 11] = [
    Conduct::Lie,
    Conduct::Lie,
    Conduct::Collude,
    Conduct::Collude,
    Conduct::Copy,
    Conduct::Withhold,
    Conduct::NoShow,
    Conduct::BadReveal,
    Conduct::EarlyReveal,
    Conduct::DoubleCommit,
    Conduct::Honest,
];

/// The code of the answer that colluders give.
const COLLUDED: u32 = 77;

fn wrong(code: u32, result: &SeatResult) -> SeatResult {
    let outcome = Outcome::EngineRefused;
    SeatResult {
        outcome,
        result_root: outcome.root(code).unwrap_or_default(),
        fuel: result.fuel,
        output: Vec::new(),
        code,
    }
}

impl Conduct {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        HOSTILE[rng.index(HOSTILE.len())]
    }

    /// Replaces the result of a run, before it is committed to.
    pub(super) fn result(self, node: usize, result: SeatResult) -> SeatResult {
        match self {
            Self::Lie => wrong(100 + u32::try_from(node).unwrap_or(0), &result),
            Self::Collude => wrong(COLLUDED, &result),
            _ => result,
        }
    }

    /// Replaces one seat message by any number of them. `others` finds a commit that another seat of
    /// the job has sent, `opened` what this seat would reveal.
    pub(super) fn say(
        self,
        body: TxBody,
        others: impl FnOnce(&SeatRef) -> Option<Digest>,
        opened: impl FnOnce(&SeatRef) -> Option<RevealResult>,
    ) -> Vec<TxBody> {
        match (self, body) {
            (Self::NoShow, body) if body.seat().is_some() => Vec::new(),
            (Self::Withhold, TxBody::RevealResult(_)) => Vec::new(),
            (Self::Copy, TxBody::CommitResult(said)) => others(&said.seat)
                .map(|commit| {
                    TxBody::CommitResult(CommitResult {
                        seat: said.seat,
                        commit,
                    })
                })
                .into_iter()
                .collect(),
            (Self::BadReveal, TxBody::RevealResult(said)) => vec![bad(said)],
            (Self::EarlyReveal, TxBody::CommitResult(said)) => {
                let early = opened(&said.seat).map(TxBody::RevealResult);
                [Some(TxBody::CommitResult(said)), early]
                    .into_iter()
                    .flatten()
                    .collect()
            }
            (Self::DoubleCommit, TxBody::CommitResult(said)) => {
                let commit = sha256(said.commit.as_bytes());
                let twin = CommitResult {
                    seat: said.seat,
                    commit,
                };
                vec![TxBody::CommitResult(said), TxBody::CommitResult(twin)]
            }
            (_, body) => vec![body],
        }
    }
}

/// A reveal that is well-formed and opens something else.
fn bad(said: RevealResult) -> TxBody {
    let (outcome, code) = (Outcome::ModelTrap, 9);
    TxBody::RevealResult(RevealResult {
        outcome,
        result_root: outcome.root(code).unwrap_or_default(),
        output: RevealedOutput::Code(code),
        ..said
    })
}
