//! Showing, starting, exporting and importing sign-state, with the node stopped.
//!
//! Every function takes the home's lock as proof that no node is running on it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use protocol::digest::Digest;
use protocol::units::Height;

use super::commits::{SeatCommits, SeatKey, decode, log_config};
use super::floor::{Floor, SignPoint};
use super::slot::{SignerIdentity, Slot};
use super::state::{SignStateError, check_identity, init, read_slots, write_new};
use crate::blocks;
use crate::home::HomeLock;
use crate::layer::FileLayer;
use crate::paths::{BLOCKS, SIGN_STATE, SMALL_SEGMENT_BYTES, WAL};
use crate::record::format::Record;
use crate::record::{read_records, read_with};
use crate::wal;

/// Everything that must travel with a consensus key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignStateExport {
    /// Whose it is.
    pub identity: SignerIdentity,
    /// Nothing at or below this point may be signed.
    pub point: SignPoint,
    /// Result commits made.
    pub commits: BTreeMap<SeatKey, Digest>,
}

/// What an import changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The floor afterwards.
    pub point: SignPoint,
    /// Commits that were new.
    pub commits_added: usize,
    /// Seats for which another commit was already known; that one stays.
    pub conflicts: Vec<SeatKey>,
}

/// Sign-state of a stopped node.
#[derive(Clone, Debug)]
pub struct StoppedSignState<'a> {
    layer: Arc<dyn FileLayer>,
    data: &'a Path,
    identity: SignerIdentity,
}

impl<'a> StoppedSignState<'a> {
    /// The sign-state in the data directory `data`, which `lock` proves to be unused.
    #[must_use]
    pub fn new(
        layer: Arc<dyn FileLayer>,
        data: &'a Path,
        identity: SignerIdentity,
        _lock: &'a HomeLock,
    ) -> Self {
        Self {
            layer,
            data,
            identity,
        }
    }

    /// Makes a first sign-state that forbids everything up to the end of `floor`.
    ///
    /// # Errors
    /// When there already is one, or writing fails.
    pub fn init(&self, floor: Height) -> Result<(), SignStateError> {
        init(
            self.layer.as_ref(),
            &self.data.join(SIGN_STATE),
            self.identity,
            floor,
        )
    }

    /// What a start would find: the highest of the slots, the WAL and the committed blocks.
    ///
    /// # Errors
    /// When there is no sign-state, it is another signer's, or the record files are damaged.
    pub fn export(&self) -> Result<SignStateExport, SignStateError> {
        let dir = self.data.join(SIGN_STATE);
        let layer = self.layer.as_ref();
        let slots = read_slots(layer, &dir)?;
        check_identity(&slots, self.identity)?;
        let chain = self.identity.chain;
        let config = wal::log_config(&self.data.join(WAL), chain, SMALL_SEGMENT_BYTES);
        let found = read_records(layer, &config, |_, payload| payload.to_vec())?;
        let logged = wal::floor_of(&wal::decode_all(&found));
        let config = blocks::log_config(&self.data.join(BLOCKS), chain, SMALL_SEGMENT_BYTES);
        let highest = |highest: &mut Option<Height>, _, record: &Record<'_>| {
            let block = blocks::decode_prefix(record.payload);
            *highest = (*highest).max(block.map(|block| block.height));
        };
        let committed = read_with(layer, &config, || None, highest)?.map(Floor::end_of);
        let config = log_config(&dir, chain, SMALL_SEGMENT_BYTES);
        let found = read_records(layer, &config, |_, payload| payload.to_vec())?;
        let commits = found
            .iter()
            .filter_map(|found| decode(&found.payload))
            .rev()
            .collect();
        let slots = slots.iter().map(|(_, slot)| slot.floor);
        let floor = slots.chain(logged).chain(committed).reduce(Floor::max);
        let point = floor.map_or_else(|| SignPoint::end_of(Height::ZERO), |floor| floor.point);
        Ok(SignStateExport {
            identity: self.identity,
            point,
            commits,
        })
    }

    /// Takes the higher floor and the union of the commits. Without a sign-state here, the
    /// imported one becomes it.
    ///
    /// # Errors
    /// When the import is another signer's, or reading or writing fails.
    pub fn import(&self, import: &SignStateExport) -> Result<Imported, SignStateError> {
        if import.identity.chain != self.identity.chain {
            let (expected, found) = (self.identity.chain, import.identity.chain);
            return Err(SignStateError::OtherChain { expected, found });
        }
        if import.identity.public_key != self.identity.public_key {
            return Err(SignStateError::OtherKey {
                expected: self.identity,
            });
        }
        let dir = self.data.join(SIGN_STATE);
        // Nothing is written before everything here has been found to belong together.
        let slots = match read_slots(self.layer.as_ref(), &dir) {
            Err(SignStateError::Missing { .. }) => Vec::new(),
            other => other?,
        };
        check_identity(&slots, self.identity)?;
        let (commits_added, conflicts) = self.import_commits(&dir, &import.commits)?;
        let point = self.import_floor(&dir, &slots, import.point)?;
        Ok(Imported {
            point,
            commits_added,
            conflicts,
        })
    }

    fn import_commits(
        &self,
        dir: &Path,
        commits: &BTreeMap<SeatKey, Digest>,
    ) -> Result<(usize, Vec<SeatKey>), SignStateError> {
        let layer = Arc::clone(&self.layer);
        let mut own = SeatCommits::open(layer, dir, self.identity.chain, SMALL_SEGMENT_BYTES)?;
        let (mut added, mut conflicts) = (0, Vec::new());
        for (&seat, &commit) in commits {
            let is_new = !own.known().contains_key(&seat);
            match own.mark(seat, commit) {
                Err(SignStateError::OtherCommit { seat }) => conflicts.push(seat),
                other => {
                    other?;
                    added += usize::from(is_new);
                }
            }
        }
        own.sync()?;
        Ok((added, conflicts))
    }

    fn import_floor(
        &self,
        dir: &Path,
        slots: &[(usize, Slot)],
        point: SignPoint,
    ) -> Result<SignPoint, SignStateError> {
        let layer = self.layer.as_ref();
        let imported = Floor {
            point,
            sign_bytes: None,
        };
        let floor = slots
            .iter()
            .fold(imported, |floor, (_, slot)| floor.max(slot.floor));
        let newest = slots.last().map(|(_, slot)| *slot);
        let slot = Slot {
            identity: self.identity,
            seq: newest.map_or(1, |slot| slot.seq + 1),
            floor,
            wal_seq: newest.map_or(0, |slot| slot.wal_seq),
        };
        let path = dir.join(super::state::SLOTS);
        write_new(layer, dir, &slot).map_err(|source| SignStateError::Io {
            action: "import",
            path,
            source,
        })?;
        Ok(floor.point)
    }
}
