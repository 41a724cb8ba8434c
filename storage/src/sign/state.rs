//! The two slots on disk, written in place alternately, one `fdatasync` each.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::digest::ChainId;
use protocol::units::Height;

use super::floor::{Floor, SignMark, SignRefused};
use super::slot::{SLOT_BYTES, SignerIdentity, Slot, SlotError};
use crate::exit::ExitKind;
use crate::layer::{FileLayer, LayerFile};
use crate::record::log::LogError;

/// Why there is no usable sign-state, or why it refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignStateError {
    /// No slot is valid; `sign-state init --floor HEIGHT` makes one.
    #[error("no valid sign-state in {path}; run `sign-state init --floor HEIGHT`")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// There already is one; it is never overwritten.
    #[error("sign-state exists in {path}")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The slots belong to another key.
    #[error("sign-state is of another key than {expected:?}")]
    OtherKey {
        /// Whose it should be.
        expected: SignerIdentity,
    },
    /// The slots belong to another chain.
    #[error("sign-state is of chain {found}, not {expected}")]
    OtherChain {
        /// The chain it should be of.
        expected: ChainId,
        /// The chain it is of.
        found: ChainId,
    },
    /// Written by a newer release.
    #[error(transparent)]
    Newer(#[from] SlotError),
    /// The slots name a WAL record that is not there: the disk lost acknowledged writes.
    #[error("sign-state names WAL record {named}, but the WAL ends at {end}")]
    WalLost {
        /// The seq named.
        named: u64,
        /// The last seq in the WAL.
        end: u64,
    },
    /// The rule forbids this signature.
    #[error(transparent)]
    Refused(#[from] SignRefused),
    /// Another commit was already made for this seat.
    #[error("another commit was already made for {seat:?}")]
    OtherCommit {
        /// The seat.
        seat: super::commits::SeatKey,
    },
    /// Reading, writing or syncing failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record file beside the slots failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An earlier write failed; it is never retried.
    #[error("an earlier sign-state write failed")]
    Poisoned,
}

impl SignStateError {
    /// How this ends the process; `None` if only the request is at fault.
    #[must_use]
    pub const fn exit(&self) -> Option<ExitKind> {
        match self {
            Self::Missing { .. }
            | Self::OtherKey { .. }
            | Self::Refused(_)
            | Self::Exists { .. } => Some(ExitKind::SignState),
            Self::OtherChain { .. } => Some(ExitKind::Configuration),
            Self::Newer(_) => Some(ExitKind::NewerLayout),
            Self::WalLost { .. } | Self::Io { .. } | Self::Poisoned => Some(ExitKind::Durability),
            Self::OtherCommit { .. } => None,
            Self::Log(error) => error.exit(),
        }
    }
}

/// The name of the slots' file in the sign-state directory.
pub const SLOTS: &str = "slots";

/// Sign-state open for writing.
#[derive(Debug)]
pub struct SignState {
    file: Box<dyn LayerFile>,
    path: PathBuf,
    identity: SignerIdentity,
    floor: Floor,
    /// Seq and place of the newest slot.
    newest: (u64, usize),
    wal_seq: u64,
    poisoned: bool,
}

/// Makes a sign-state that forbids everything up to the end of `floor`.
///
/// # Errors
/// When there already is one, or writing fails.
pub fn init(
    layer: &dyn FileLayer,
    dir: &Path,
    identity: SignerIdentity,
    floor: Height,
) -> Result<(), SignStateError> {
    let path = dir.join(SLOTS);
    match read_slots(layer, dir) {
        Ok(_) => return Err(SignStateError::Exists { path }),
        Err(SignStateError::Missing { .. }) => {}
        Err(error) => return Err(error),
    }
    let slot = Slot {
        identity,
        seq: 1,
        floor: Floor::end_of(floor),
        wal_seq: 0,
    };
    write_new(layer, dir, &slot).map_err(|source| SignStateError::Io {
        action: "create",
        path,
        source,
    })
}

/// Replaces the slots' file by one that holds `slot` alone.
pub(super) fn write_new(layer: &dyn FileLayer, dir: &Path, slot: &Slot) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let unfinished = dir.join("slots.tmp");
    match layer.remove(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut bytes = vec![0; SLOT_BYTES];
    bytes.extend_from_slice(&slot.encode());
    let file = layer.create(&unfinished)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_data()?;
    layer.rename(&unfinished, &dir.join(SLOTS))?;
    layer.sync_dir(dir)?;
    dir.parent().map_or(Ok(()), |parent| layer.sync_dir(parent))
}

/// The valid slots on disk with their places, newest last.
pub(super) fn read_slots(
    layer: &dyn FileLayer,
    dir: &Path,
) -> Result<Vec<(usize, Slot)>, SignStateError> {
    let path = dir.join(SLOTS);
    let bytes = match layer.read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(SignStateError::Missing { path });
        }
        Err(source) => {
            return Err(SignStateError::Io {
                action: "read",
                path,
                source,
            });
        }
    };
    let mut slots = Vec::new();
    for (place, bytes) in bytes.chunks(SLOT_BYTES).take(2).enumerate() {
        match Slot::decode(bytes) {
            Ok(slot) => slots.push((place, slot)),
            Err(SlotError::Damaged) => {}
            Err(newer) => return Err(newer.into()),
        }
    }
    slots.sort_by_key(|(_, slot)| slot.seq);
    if slots.is_empty() {
        Err(SignStateError::Missing { path })
    } else {
        Ok(slots)
    }
}

/// Checks that every slot is of this chain and key.
pub(super) fn check_identity(
    slots: &[(usize, Slot)],
    identity: SignerIdentity,
) -> Result<(), SignStateError> {
    for (_, slot) in slots {
        let found = slot.identity.chain;
        if found != identity.chain {
            return Err(SignStateError::OtherChain {
                expected: identity.chain,
                found,
            });
        }
        if slot.identity.public_key != identity.public_key {
            return Err(SignStateError::OtherKey { expected: identity });
        }
    }
    Ok(())
}

impl SignState {
    /// Opens the slots. `logged` is the floor that the WAL and the committed blocks give,
    /// `wal_end` the last seq in the WAL.
    ///
    /// # Errors
    /// When no slot is valid, the slots are another signer's, or the WAL is shorter than they say.
    pub fn open(
        layer: &Arc<dyn FileLayer>,
        dir: &Path,
        identity: SignerIdentity,
        logged: Option<Floor>,
        wal_end: u64,
    ) -> Result<Self, SignStateError> {
        let slots = read_slots(layer.as_ref(), dir)?;
        check_identity(&slots, identity)?;
        let path = dir.join(SLOTS);
        let Some(&(place, newest)) = slots.last() else {
            return Err(SignStateError::Missing { path });
        };
        let named = slots
            .iter()
            .map(|(_, slot)| slot.wal_seq)
            .max()
            .unwrap_or_default();
        if named > wal_end {
            return Err(SignStateError::WalLost {
                named,
                end: wal_end,
            });
        }
        let floor = slots.iter().map(|(_, slot)| slot.floor).chain(logged);
        let floor = floor.reduce(Floor::max).unwrap_or(newest.floor);
        let file = layer.open(&path).map_err(|source| SignStateError::Io {
            action: "open",
            path: path.clone(),
            source,
        })?;
        let newest = (newest.seq, place);
        let mut state = Self {
            file,
            path,
            identity,
            floor,
            newest,
            wal_seq: named,
            poisoned: false,
        };
        // Both slots hold the floor before anything is signed, so one may be lost again.
        for _ in 0..2 {
            state.store(named)?;
        }
        Ok(state)
    }

    /// The floor.
    #[must_use]
    pub const fn floor(&self) -> Floor {
        self.floor
    }

    /// The WAL seq that the newest slot names.
    #[must_use]
    pub const fn wal_seq(&self) -> u64 {
        self.wal_seq
    }

    /// Raises the floor in memory past all of `marks` if the rule allows each in turn, and leaves
    /// it alone if not. [`SignState::store`] makes it durable, and nothing may leave before.
    ///
    /// # Errors
    /// When the rule forbids one of the signatures.
    pub fn advance_all(&mut self, marks: &[SignMark]) -> Result<(), SignRefused> {
        let mut floor = self.floor;
        for mark in marks {
            floor.judge(mark)?;
            floor = Floor::from(*mark);
        }
        self.floor = floor;
        Ok(())
    }

    /// Writes the floor into the older slot and syncs it.
    ///
    /// # Errors
    /// When writing fails; the sign-state is then unusable.
    pub fn store(&mut self, wal_seq: u64) -> Result<(), SignStateError> {
        if self.poisoned {
            return Err(SignStateError::Poisoned);
        }
        let seq = self.newest.0 + 1;
        let place = 1 - self.newest.1;
        let slot = Slot {
            identity: self.identity,
            seq,
            floor: self.floor,
            wal_seq,
        };
        let offset = (place * SLOT_BYTES) as u64;
        let written = self.file.write_all_at(&slot.encode(), offset);
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|source| {
                self.poisoned = true;
                SignStateError::Io {
                    action: "write",
                    path: self.path.clone(),
                    source,
                }
            })?;
        self.newest = (seq, place);
        self.wal_seq = wal_seq;
        Ok(())
    }
}
