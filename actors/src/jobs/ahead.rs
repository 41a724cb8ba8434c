//! Whose files are pulled before a committee is drawn. Pure.
//!
//! A large model takes longer than some windows, so the files of a job that may draw this validator are
//! pulled before the draw, a few jobs at a time and behind the files of seats. Nothing depends on it: the
//! seat asks for its files all the same.
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

use protocol::digest::{Digest, JobId};

use crate::jobs::workflow::Artifact;

/// Jobs at once: 280 MiB of the largest models and inputs, where a node stores 20 GiB; and none of it is
/// kept from eviction.
const JOBS_MAX: usize = 4;

/// A job whose committee is not drawn yet and may include this validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Which.
    pub job: JobId,
    /// Its model's root.
    pub model: Digest,
    /// Its input's root.
    pub input: Digest,
}

/// Jobs whose files are on their way, with those that have not been answered.
#[derive(Clone, Debug)]
pub(super) struct Ahead(BTreeMap<JobId, BTreeSet<Artifact>>);

impl Ahead {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// What to pull for a job; nothing if it is known or enough others are.
    pub(super) fn expect(&mut self, expected: &Expected) -> BTreeSet<Artifact> {
        if self.0.contains_key(&expected.job) || self.0.len() >= JOBS_MAX {
            return BTreeSet::new();
        }
        let wanted = BTreeSet::from([
            Artifact::Model(expected.model),
            Artifact::Input(expected.input),
        ]);
        self.0.insert(expected.job, wanted.clone());
        wanted
    }

    /// Those of these that have been asked for and not answered.
    pub(super) fn asked(&self, of: &BTreeSet<Artifact>) -> BTreeSet<Artifact> {
        let asked = |artifact: &&Artifact| self.0.values().any(|set| set.contains(artifact));
        of.iter().filter(asked).copied().collect()
    }

    /// It is here, or nobody has it.
    pub(super) fn answered(&mut self, artifact: &Artifact) {
        self.0.retain(|_, missing| {
            missing.remove(artifact);
            !missing.is_empty()
        });
    }

    /// The draw is over, or the job: what it alone still waited for.
    pub(super) fn leave(&mut self, job: JobId) -> BTreeSet<Artifact> {
        let left = self.0.remove(&job).unwrap_or_default();
        let others = self.asked(&left);
        left.difference(&others).copied().collect()
    }
}
