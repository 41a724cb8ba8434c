//! How a model or an input arrives: manifest, then chunks, from whoever has them. Pure.
//!
//! ```text
//!  Wanted -ReadManifest-> here? --no--> Asking(manifest) --> CheckFile -> missing chunks
//!                           |yes                                |            |
//!                           `-----------------------------------`     Asking(chunks) -> Assemble -> Done
//! ```
//! Every piece is checked against the hash that names it before it is stored; a peer that provably
//! sends another one is reported. What a job claims is its client's word, so an honest answer to a
//! false claim is no lie. Files are served whole or not at all: a peer that fails one piece is not
//! asked for the others either, which wait for the peers that have the file. Once all have failed,
//! they are left alone for a while and asked anew; after [`ROUNDS_MAX`] such rounds without a piece
//! the artifact is not to be had.
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

mod asking;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

use net::{BlobRequest, PeerId};
use protocol::digest::{Digest, sha256};
use protocol::limits::OUTPUT_BYTES_MAX;
use protocol::manifest::{CHUNK_BYTES, FileDigest};

use super::manifests::{BlobKind, blob_kind, file_of};
use super::troubles::Troubles;
use crate::jobs::workflow::Artifact;

/// Requests under way to one peer.
const PER_PEER_MAX: usize = 4;
/// Bytes asked for at once.
const CHUNK: u64 = 256 << 10;
const _: () = assert!(CHUNK_BYTES == 256 << 10);
/// Requests under way in all.
const IN_FLIGHT_MAX: usize = 16;
/// Requests under way for artifacts that nobody sits for yet, beside those of seats.
const AHEAD_IN_FLIGHT_MAX: usize = IN_FLIGHT_MAX / 2;
/// How often all peers may fail in turn.
const ROUNDS_MAX: usize = 4;

/// What the shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Look for the manifest on disk; [`Fetcher::manifest_read`] answers.
    ReadManifest(Artifact),
    /// List the file's missing chunks; [`Fetcher::missing_listed`] answers.
    CheckFile(Artifact, FileDigest),
    /// Ask a peer; [`Fetcher::arrived`] answers.
    Request(PeerId, BlobRequest),
    /// Store a piece under its hash; for chunks [`Fetcher::stored`] answers.
    Put(Artifact, Digest, Vec<u8>),
    /// Join the chunks; [`Fetcher::assembled`] answers.
    Assemble(Artifact, FileDigest),
    /// The peer sent something else than the hash names.
    Report(PeerId),
    /// All of it is here, or it is not to be had.
    Done(Artifact, bool),
    /// Nobody to ask just now: call [`Fetcher::retry`] in a while.
    Later,
}

impl Action {
    /// Which artifact it is for, of those that storage answers.
    pub(crate) const fn artifact(&self) -> Option<Artifact> {
        match self {
            Self::ReadManifest(artifact)
            | Self::CheckFile(artifact, _)
            | Self::Put(artifact, _, _)
            | Self::Assemble(artifact, _) => Some(*artifact),
            Self::Request(..) | Self::Report(_) | Self::Done(..) | Self::Later => None,
        }
    }
}

#[derive(Clone, Debug)]
enum Stage {
    ReadingManifest,
    AskingManifest,
    CheckingFile(FileDigest),
    AskingChunks {
        file: FileDigest,
        unstored: usize,
    },
    Assembling,
    /// An output: no manifest names its chunks, so they are checked together.
    AskingWhole {
        got: BTreeMap<u64, Vec<u8>>,
        rounds: usize,
    },
    StoringWhole,
}

/// One piece that is being asked for.
#[derive(Clone, Debug)]
struct Piece {
    artifact: Artifact,
    /// What the bytes must hash to; nothing for manifests, whose root is checked by decoding.
    chunk: Option<Digest>,
    asked: Option<PeerId>,
    /// Whose turn it is first.
    first: usize,
}

/// See the module. Ephemeral: after a restart jobs asks again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fetcher {
    wanted: BTreeMap<Artifact, Stage>,
    /// Those of them that no seat waits for: theirs is only what seats leave.
    ahead: BTreeSet<Artifact>,
    /// By artifact, name of the blob and offset: two artifacts may share a file.
    pieces: BTreeMap<(Artifact, Digest, u64), Piece>,
    troubles: Troubles,
    peers: Vec<PeerId>,
}

impl Fetcher {
    /// Replaces the list of peers, best first.
    pub(crate) fn set_peers(&mut self, peers: Vec<PeerId>) {
        self.peers = peers;
    }

    /// Starts fetching unless it is under way.
    pub(crate) fn want(&mut self, artifact: Artifact) -> Vec<Action> {
        self.ahead.remove(&artifact);
        self.begin(artifact)
    }

    /// Starts fetching what a seat may need soon, unless it is under way.
    pub(crate) fn want_ahead(&mut self, artifact: Artifact) -> Vec<Action> {
        let actions = self.begin(artifact);
        if !actions.is_empty() {
            self.ahead.insert(artifact);
        }
        actions
    }

    /// Stops fetching what no seat waits for; says whether it did.
    pub(crate) fn leave_ahead(&mut self, artifact: &Artifact) -> bool {
        let left = self.ahead.remove(artifact);
        if left {
            self.forget(artifact);
        }
        left
    }

    fn begin(&mut self, artifact: Artifact) -> Vec<Action> {
        if self.wanted.contains_key(&artifact) {
            return Vec::new();
        }
        self.wanted.insert(artifact, Stage::ReadingManifest);
        vec![Action::ReadManifest(artifact)]
    }

    /// The manifest was on disk, or not.
    pub(crate) fn manifest_read(
        &mut self,
        artifact: Artifact,
        bytes: Option<Vec<u8>>,
    ) -> Vec<Action> {
        if !matches!(self.wanted.get(&artifact), Some(Stage::ReadingManifest)) {
            return Vec::new();
        }
        if let Artifact::Output { size, .. } = artifact {
            return match bytes {
                Some(_) => self.done(artifact, true),
                // The size is a stranger's claim, even if the chain carries it.
                None if size > OUTPUT_BYTES_MAX => self.done(artifact, false),
                None => self.ask_whole(artifact, size, 0),
            };
        }
        match bytes.and_then(|bytes| file_of(&artifact, &bytes)) {
            Some(file) => self.check_file(artifact, file),
            None => {
                self.wanted.insert(artifact, Stage::AskingManifest);
                let piece = Piece {
                    artifact,
                    chunk: None,
                    asked: None,
                    first: 0,
                };
                self.pieces.insert((artifact, artifact.root(), 0), piece);
                self.ask()
            }
        }
    }

    /// The chunks that are not on disk.
    pub(crate) fn missing_listed(
        &mut self,
        artifact: Artifact,
        missing: Option<Vec<Digest>>,
    ) -> Vec<Action> {
        let Some(Stage::CheckingFile(file)) = self.wanted.get(&artifact) else {
            return Vec::new();
        };
        let file = file.clone();
        let Some(missing) = missing else {
            return self.done(artifact, false);
        };
        if missing.is_empty() {
            self.wanted.insert(artifact, Stage::Assembling);
            return vec![Action::Assemble(artifact, file)];
        }
        let mut offset: u64 = 0;
        let mut unstored: usize = 0;
        for chunk in &file.chunks {
            if missing.contains(chunk) {
                let piece = Piece {
                    artifact,
                    chunk: Some(*chunk),
                    asked: None,
                    first: 0,
                };
                self.pieces.insert((artifact, file.sha256, offset), piece);
                unstored = unstored.saturating_add(1);
            }
            offset = offset.saturating_add(CHUNK);
        }
        self.wanted
            .insert(artifact, Stage::AskingChunks { file, unstored });
        self.ask()
    }

    /// A peer answered; nothing if it did not have it or did not answer.
    pub(crate) fn arrived(
        &mut self,
        peer: PeerId,
        request: BlobRequest,
        bytes: Option<Vec<u8>>,
    ) -> Vec<Action> {
        let Some((key, chunk)) = self.answered(peer, request) else {
            return Vec::new();
        };
        let artifact = key.0;
        let Some(bytes) = bytes else {
            return self.failed(artifact, peer);
        };
        if let Artifact::Output { .. } = artifact {
            return self.whole_arrived(artifact, peer, request.offset, bytes);
        }
        let good = match chunk {
            Some(chunk) => sha256(&bytes) == chunk,
            None => file_of(&artifact, &bytes).is_some(),
        };
        if !good {
            return self.refused(&artifact, chunk, peer, &bytes);
        }
        self.pieces.remove(&key);
        self.troubles.progress(&artifact);
        let name = chunk.unwrap_or(artifact.root());
        let mut actions = vec![Action::Put(artifact, name, bytes.clone())];
        if chunk.is_none()
            && let Some(file) = file_of(&artifact, &bytes)
        {
            actions.extend(self.check_file(artifact, file));
        }
        actions.extend(self.ask());
        actions
    }

    /// A request could not even be sent.
    pub(crate) fn lost(&mut self, peer: PeerId, request: BlobRequest) {
        self.answered(peer, request);
    }

    /// This peer is not asked for this artifact again in this round.
    fn failed(&mut self, artifact: Artifact, peer: PeerId) -> Vec<Action> {
        self.troubles.failed(artifact, peer);
        self.ask()
    }

    /// The piece that this peer was asked for, which nobody is asked for now.
    fn answered(
        &mut self,
        peer: PeerId,
        request: BlobRequest,
    ) -> Option<((Artifact, Digest, u64), Option<Digest>)> {
        let (key, piece) = self.pieces.iter_mut().find(|((_, name, offset), piece)| {
            (*name, *offset) == (request.key, request.offset) && piece.asked == Some(peer)
        })?;
        piece.asked = None;
        Some((*key, piece.chunk))
    }

    /// An answer that is not what we want. Its sender lied only if the bytes are not what the key
    /// names either.
    fn refused(
        &mut self,
        artifact: &Artifact,
        chunk: Option<Digest>,
        peer: PeerId,
        bytes: &[u8],
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        match (chunk, blob_kind(&artifact.root(), bytes)) {
            // The job named a blob of another kind: no peer can do better.
            (None, BlobKind::Other) => return self.done(*artifact, false),
            (None, BlobKind::Unknown) => {}
            (Some(_), _) | (None, BlobKind::Forged) => actions.push(Action::Report(peer)),
        }
        actions.extend(self.failed(*artifact, peer));
        actions
    }

    /// A chunk is on disk, or could not be stored.
    pub(crate) fn stored(&mut self, artifact: Artifact, stored: bool) -> Vec<Action> {
        if matches!(self.wanted.get(&artifact), Some(Stage::StoringWhole)) {
            return self.done(artifact, stored);
        }
        let Some(Stage::AskingChunks { file, unstored }) = self.wanted.get_mut(&artifact) else {
            return Vec::new();
        };
        if !stored {
            return self.done(artifact, false);
        }
        *unstored = unstored.saturating_sub(1);
        if *unstored > 0 {
            return Vec::new();
        }
        let file = file.clone();
        self.wanted.insert(artifact, Stage::Assembling);
        vec![Action::Assemble(artifact, file)]
    }

    /// The file is whole, or could not be made.
    pub(crate) fn assembled(&mut self, artifact: Artifact, whole: bool) -> Vec<Action> {
        match self.wanted.get(&artifact) {
            Some(Stage::Assembling) => self.done(artifact, whole),
            _ => Vec::new(),
        }
    }

    /// Asks again what nobody was asked for.
    pub(crate) fn retry(&mut self) -> Vec<Action> {
        self.troubles.retry();
        self.ask()
    }

    fn check_file(&mut self, artifact: Artifact, file: FileDigest) -> Vec<Action> {
        self.wanted
            .insert(artifact, Stage::CheckingFile(file.clone()));
        vec![Action::CheckFile(artifact, file)]
    }

    fn done(&mut self, artifact: Artifact, held: bool) -> Vec<Action> {
        self.forget(&artifact);
        vec![Action::Done(artifact, held)]
    }

    fn forget(&mut self, artifact: &Artifact) {
        self.wanted.remove(artifact);
        self.ahead.remove(artifact);
        self.troubles.forget(artifact);
        self.pieces.retain(|_, piece| piece.artifact != *artifact);
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
