//! Outputs: no manifest names their chunks, so they are checked together. Pure.

use std::collections::BTreeMap;

use net::PeerId;
use protocol::digest::sha256;

use super::{Action, CHUNK, Fetcher, Piece, ROUNDS_MAX, Stage};
use crate::jobs::workflow::Artifact;

impl Fetcher {
    pub(super) fn ask_whole(
        &mut self,
        artifact: Artifact,
        size: u64,
        rounds: usize,
    ) -> Vec<Action> {
        if rounds >= ROUNDS_MAX {
            return self.done(artifact, false);
        }
        let got = BTreeMap::new();
        self.wanted
            .insert(artifact, Stage::AskingWhole { got, rounds });
        let mut offset: u64 = 0;
        while offset < size {
            // Another round begins with another peer: one of the last lied.
            let piece = Piece {
                artifact,
                chunk: None,
                asked: None,
                first: rounds,
            };
            self.pieces
                .insert((artifact, artifact.root(), offset), piece);
            offset = offset.saturating_add(CHUNK);
        }
        self.ask()
    }

    pub(super) fn whole_arrived(
        &mut self,
        artifact: Artifact,
        peer: PeerId,
        offset: u64,
        bytes: Vec<u8>,
    ) -> Vec<Action> {
        let Artifact::Output { sha256: hash, size } = artifact else {
            return Vec::new();
        };
        let expected = size.saturating_sub(offset).min(CHUNK);
        if u64::try_from(bytes.len()) != Ok(expected) {
            // The size is a revealer's claim: whose word is wrong cannot be told from here.
            return self.failed(artifact, peer);
        }
        self.pieces.remove(&(artifact, hash, offset));
        let Some(Stage::AskingWhole { got, rounds }) = self.wanted.get_mut(&artifact) else {
            return self.ask();
        };
        got.insert(offset, bytes);
        let rounds = *rounds;
        if self.pieces.values().any(|piece| piece.artifact == artifact) {
            return self.ask();
        }
        let whole: Vec<u8> = std::mem::take(got).into_values().flatten().collect();
        if sha256(&whole) != hash {
            return self.ask_whole(artifact, size, rounds.saturating_add(1));
        }
        self.wanted.insert(artifact, Stage::StoringWhole);
        let mut actions = vec![Action::Put(artifact, hash, whole)];
        actions.extend(self.ask());
        actions
    }
}
