//! The replicated state on disk: leaves, events of recent heights, and this node's own notes.
//!
//! ```text
//!  [module][kind][key]         leaves, as the ledger names them; module below 0xF0
//!  [0xF0][1]                   meta: schema, height, block id, root
//!  [0xF1][1][height][chunk]    events of the last 1,024 heights
//!  [0xF2][1][actor]            height each actor has dealt with; outside the root
//! ```
//! One batch per block. Everything here can be rebuilt from the block log.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use protocol::digest::{BlockId, Digest};
use protocol::limits::STATE_VALUE_BYTES_MAX;
use protocol::units::Height;

use crate::kv::guard::guarded;
use crate::kv::mem::MemKv;
use crate::kv::sled::SledKv;
use crate::kv::{Batch, Flow, Kv, StoreError};
use crate::record::format::array;

/// First module byte that belongs to the store; the ledger's are below.
pub const MODULE_RESERVED: u8 = 0xF0;
/// Events of so many heights are kept.
pub const EVENT_HEIGHTS: u64 = 1_024;
/// Directories of state that could not be used; older ones are removed.
pub const BAD_KEPT: usize = 3;

const META: &[u8] = &[0xF0, 1];
const EVENTS: [u8; 2] = [0xF1, 1];
const NOTES: [u8; 2] = [0xF2, 1];
const SCHEMA: u16 = 1;
/// A batch of events above this would not be events of one block.
const EVENT_CHUNKS_MAX: usize = 2_048;

/// Which block the state is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateMeta {
    /// Its height; 0 is genesis.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
    /// The state's root after it.
    pub root: Digest,
}

/// A change of one leaf; `None` removes it.
pub type LeafChange = (Vec<u8>, Option<Vec<u8>>);

/// What one block does to the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCommit {
    /// The state after it.
    pub meta: StateMeta,
    /// Leaves that change.
    pub changes: Vec<LeafChange>,
    /// The block's events, opaque.
    pub events: Vec<u8>,
}

/// Who keeps a note of the last height dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub u8);

/// The state as read at start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateImage {
    /// `None` if nothing was ever committed.
    pub meta: Option<StateMeta>,
    /// All leaves in key order.
    pub leaves: Vec<(Vec<u8>, Vec<u8>)>,
    /// Each actor's note.
    pub notes: BTreeMap<ActorId, Height>,
}

/// Which database holds the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Guarded sled on disk.
    #[default]
    Sled,
    /// Memory: lost at the end of the process, so every start replays the block log.
    Memory,
}

/// Why the state's directory was put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RebuildCause {
    /// The database panicked.
    Panic,
    /// The database reported an error, or its content made no sense.
    Error,
    /// The root of the leaves is not the one certified.
    WrongRoot,
}

/// The state's database.
pub struct StateStore {
    kv: Option<Box<dyn Kv>>,
    dir: PathBuf,
    backend: Backend,
}

impl std::fmt::Debug for StateStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateStore")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl StateStore {
    /// Opens the state, reads all of it, and starts afresh if it cannot be read.
    ///
    /// # Errors
    /// When not even an empty database can be made.
    pub fn open(
        dir: &Path,
        backend: Backend,
    ) -> Result<(Self, StateImage, Option<RebuildCause>), StoreError> {
        match Self::open_and_scan(dir, backend) {
            Ok((store, image)) => Ok((store, image, None)),
            Err(error) if error.is_full() => Err(error),
            Err(error) => {
                let cause = match error {
                    StoreError::Panicked(_) => RebuildCause::Panic,
                    _ => RebuildCause::Error,
                };
                tracing::warn!(%error, ?cause, "storage.state_rebuild");
                put_aside(dir)?;
                let (store, image) = Self::open_and_scan(dir, backend)?;
                Ok((store, image, Some(cause)))
            }
        }
    }

    fn open_and_scan(dir: &Path, backend: Backend) -> Result<(Self, StateImage), StoreError> {
        let kv: Box<dyn Kv> = match backend {
            Backend::Sled => Box::new(SledKv::open(dir)?),
            Backend::Memory => Box::new(MemKv::new()),
        };
        let image = guarded(|| read_image(kv.as_ref()))??;
        Ok((
            Self {
                kv: Some(kv),
                dir: dir.to_path_buf(),
                backend,
            },
            image,
        ))
    }

    /// Commits blocks that follow each other, and notes, in one batch: all of it or nothing.
    ///
    /// # Errors
    /// When the database fails, or a leaf has no place in it.
    pub fn commit(
        &mut self,
        commits: Vec<StateCommit>,
        notes: &BTreeMap<ActorId, Height>,
    ) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        for commit in commits {
            self.put_block(&mut batch, commit)?;
        }
        put_notes(&mut batch, notes)?;
        self.kv()?.commit(&batch)
    }

    fn put_block(&mut self, batch: &mut Batch, commit: StateCommit) -> Result<(), StoreError> {
        for (key, value) in commit.changes {
            if key.first().is_none_or(|&module| module >= MODULE_RESERVED) {
                return Err(StoreError::Content("leaf key in the store's own range"));
            }
            match value {
                Some(value) => batch.put(key, value)?,
                None => batch.delete(key)?,
            }
        }
        batch.put(META.to_vec(), encode_meta(&commit.meta))?;
        put_events(batch, commit.meta.height, &commit.events)?;
        self.drop_old_events(batch, commit.meta.height)
    }

    /// The events of a height, if they are still kept.
    ///
    /// # Errors
    /// When the database fails.
    pub fn events(&mut self, height: Height) -> Result<Option<Vec<u8>>, StoreError> {
        let mut events = None;
        self.kv()?.scan(&event_prefix(height), &mut |_, chunk| {
            events.get_or_insert_with(Vec::new).extend_from_slice(chunk);
            ControlFlow::Continue(())
        })?;
        Ok(events)
    }

    /// Puts the whole directory aside and starts empty.
    ///
    /// # Errors
    /// When renaming or opening afresh fails.
    pub fn reset(&mut self) -> Result<(), StoreError> {
        // The database must be closed before its directory gets another name.
        self.kv = None;
        put_aside(&self.dir)?;
        let (fresh, _) = Self::open_and_scan(&self.dir, self.backend)?;
        *self = fresh;
        Ok(())
    }

    fn kv(&mut self) -> Result<&mut Box<dyn Kv>, StoreError> {
        self.kv
            .as_mut()
            .ok_or(StoreError::Content("state is closed"))
    }

    fn drop_old_events(&mut self, batch: &mut Batch, height: Height) -> Result<(), StoreError> {
        let Some(old) = height.0.checked_sub(EVENT_HEIGHTS) else {
            return Ok(());
        };
        let mut keys = Vec::new();
        self.kv()?.scan(&event_prefix(Height(old)), &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        keys.into_iter().try_for_each(|key| batch.delete(key))
    }
}

fn read_image(kv: &dyn Kv) -> Result<StateImage, StoreError> {
    let mut image = StateImage::default();
    let mut broken = None;
    kv.scan(&[], &mut |key, value| match key.first() {
        Some(&module) if module < MODULE_RESERVED => {
            image.leaves.push((key.to_vec(), value.to_vec()));
            Flow::Continue(())
        }
        _ if key == META => match decode_meta(value) {
            Some(meta) => {
                image.meta = Some(meta);
                Flow::Continue(())
            }
            None => {
                broken = Some("meta record");
                Flow::Break(())
            }
        },
        _ => {
            if let (Some(actor), Some(height)) = (key.strip_prefix(&NOTES), array(value, 0))
                && let [actor] = actor
            {
                image
                    .notes
                    .insert(ActorId(*actor), Height(u64::from_be_bytes(height)));
            }
            Flow::Continue(())
        }
    })?;
    if image.meta.is_none() && !image.leaves.is_empty() {
        broken = broken.or(Some("leaves without meta record"));
    }
    broken.map_or(Ok(image), |what| Err(StoreError::Content(what)))
}

fn encode_meta(meta: &StateMeta) -> Vec<u8> {
    let mut out = SCHEMA.to_be_bytes().to_vec();
    out.extend_from_slice(&meta.height.0.to_be_bytes());
    out.extend_from_slice(meta.block.as_bytes());
    out.extend_from_slice(meta.root.as_bytes());
    out
}

fn decode_meta(bytes: &[u8]) -> Option<StateMeta> {
    let schema = u16::from_be_bytes(array(bytes, 0)?);
    (schema == SCHEMA && bytes.len() == 74).then_some(())?;
    Some(StateMeta {
        height: Height(u64::from_be_bytes(array(bytes, 2)?)),
        block: BlockId(Digest(array(bytes, 10)?)),
        root: Digest(array(bytes, 42)?),
    })
}

fn event_prefix(height: Height) -> Vec<u8> {
    let mut key = EVENTS.to_vec();
    key.extend_from_slice(&height.0.to_be_bytes());
    key
}

fn put_events(batch: &mut Batch, height: Height, events: &[u8]) -> Result<(), StoreError> {
    if events.len() > EVENT_CHUNKS_MAX * STATE_VALUE_BYTES_MAX {
        return Err(StoreError::Content("events of one block too long"));
    }
    // An empty chunk still says that the height had no events, rather than that they are gone.
    let chunks = events
        .chunks(STATE_VALUE_BYTES_MAX)
        .chain(events.is_empty().then_some(&[][..]));
    for (index, chunk) in (0_u16..).zip(chunks) {
        let mut key = event_prefix(height);
        key.extend_from_slice(&index.to_be_bytes());
        batch.put(key, chunk.to_vec())?;
    }
    Ok(())
}

fn put_notes(batch: &mut Batch, notes: &BTreeMap<ActorId, Height>) -> Result<(), StoreError> {
    for (actor, height) in notes {
        let mut key = NOTES.to_vec();
        key.push(actor.0);
        batch.put(key, height.0.to_be_bytes().to_vec())?;
    }
    Ok(())
}

/// Renames `dir` to `dir.bad-<n>` with the next free number, and keeps the three newest.
fn put_aside(dir: &Path) -> Result<(), StoreError> {
    let failed = |action| {
        let path = dir.to_path_buf();
        move |source| StoreError::Io {
            action,
            path,
            source,
        }
    };
    if !dir.exists() {
        return Ok(());
    }
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name().and_then(|name| name.to_str()))
    else {
        return Err(StoreError::Content("state directory has no name"));
    };
    let prefix = format!("{name}.bad-");
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(failed("list"))? {
        let entry = entry.map_err(failed("list"))?.file_name();
        let number = entry
            .to_str()
            .and_then(|entry| entry.strip_prefix(&prefix)?.parse().ok());
        numbers.extend(number.map(|number: u64| number));
    }
    numbers.sort_unstable();
    let next = numbers.last().map_or(1, |last| last + 1);
    std::fs::rename(dir, parent.join(format!("{prefix}{next}"))).map_err(failed("put aside"))?;
    numbers.push(next);
    for old in numbers.iter().rev().skip(BAD_KEPT) {
        std::fs::remove_dir_all(parent.join(format!("{prefix}{old}"))).map_err(failed("remove"))?;
    }
    std::fs::File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("sync"))
}
