//! Who cannot help with an artifact, for now. Pure.
//!
//! A round is over when every peer has failed. Then nobody is asked until the next retry, lest the
//! rounds be gone before whoever has the artifact has room to send it.
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

use std::collections::{BTreeMap, BTreeSet};

use net::PeerId;

use crate::jobs::workflow::Artifact;

#[derive(Clone, Debug, Default)]
struct Trouble {
    failed: BTreeSet<PeerId>,
    /// How often in turn all of them failed.
    rounds: usize,
    /// Between two rounds.
    resting: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles(BTreeMap<Artifact, Trouble>);

impl Troubles {
    /// This peer is not asked for this artifact again in this round.
    pub(super) fn failed(&mut self, artifact: Artifact, peer: PeerId) {
        self.0.entry(artifact).or_default().failed.insert(peer);
    }

    /// A piece came: failures count anew.
    pub(super) fn progress(&mut self, artifact: &Artifact) {
        if let Some(trouble) = self.0.get_mut(artifact) {
            trouble.rounds = 0;
        }
    }

    /// Whether it makes sense to ask.
    pub(super) fn may_help(&self, artifact: &Artifact, peer: &PeerId) -> bool {
        let trouble = self.0.get(artifact);
        trouble.is_none_or(|of| !of.resting && !of.failed.contains(peer))
    }

    /// Ends the round if all of these peers have failed; says how many in turn have ended so.
    pub(super) fn round_over(&mut self, artifact: &Artifact, peers: &[PeerId]) -> Option<usize> {
        let trouble = self.0.get_mut(artifact).filter(|of| !of.resting)?;
        if peers.is_empty() || !peers.iter().all(|peer| trouble.failed.contains(peer)) {
            return None;
        }
        trouble.resting = true;
        trouble.rounds = trouble.rounds.saturating_add(1);
        Some(trouble.rounds)
    }

    /// The rest is over: everybody may be asked again.
    pub(super) fn retry(&mut self) {
        for trouble in self.0.values_mut().filter(|of| of.resting) {
            trouble.resting = false;
            trouble.failed.clear();
        }
    }

    /// The artifact is here, or given up.
    pub(super) fn forget(&mut self, artifact: &Artifact) {
        self.0.remove(artifact);
    }
}
