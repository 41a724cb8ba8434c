//! What a start makes of the bytes on disk: storage's own recovery, file by file.

use std::sync::Arc;

use consensus::{Record, SignMark, SignPoint, Step};
use protocol::codec::decode_canonical;
use protocol::digest::Digest;
use protocol::vote::CommitCertificate;
use storage::blocks::CommittedBlock;
use storage::record::format::Identity;
use storage::record::recovery::{Placed, recover};
use storage::sign::floor::{Floor, SignPoint as StoredPoint, Step as StoredStep};
use storage::sign::slot::{SLOT_BYTES, Slot};
use storage::wal::{self, WalEntry};

use super::Node;
use super::journal::own_identity;
use crate::sim::app::Files;
use crate::sim::disk::File;

/// Why a node does not start; its exit code and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) exit: u8,
    pub(crate) text: String,
}

fn refuse(exit: u8, text: impl Into<String>) -> Refusal {
    let text = text.into();
    Refusal { exit, text }
}

/// What a start begins with.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) log: Vec<Record>,
    pub(crate) floor: Option<SignMark>,
    pub(crate) files: Files,
}

pub(super) fn stored(mark: &SignMark) -> storage::sign::floor::SignMark {
    let SignPoint {
        height,
        round,
        step,
    } = mark.point;
    let step = match step {
        Step::Propose => StoredStep::Propose,
        Step::Prevote => StoredStep::Prevote,
        Step::Precommit => StoredStep::Precommit,
    };
    storage::sign::floor::SignMark {
        point: StoredPoint {
            height,
            round,
            step,
        },
        sign_bytes: mark.digest,
    }
}

/// A point whose bytes are unknown gets bytes that nobody signs.
fn mark_of(floor: Floor) -> SignMark {
    let StoredPoint {
        height,
        round,
        step,
    } = floor.point;
    let step = match step {
        StoredStep::Propose => Step::Propose,
        StoredStep::Prevote => Step::Prevote,
        StoredStep::Precommit => Step::Precommit,
    };
    SignMark {
        point: SignPoint {
            height,
            round,
            step,
        },
        digest: floor.sign_bytes.unwrap_or(Digest::ZERO),
    }
}

fn record(entry: WalEntry) -> Record {
    match entry {
        WalEntry::Input { height, bytes } => Record::Input { height, bytes },
        WalEntry::Own { mark, bytes } => Record::Own {
            mark: mark_of(Floor::from(mark)),
            bytes,
        },
        WalEntry::Body { height, id, bytes } => Record::Body {
            height,
            id,
            block: bytes.into(),
        },
    }
}

/// The records of a file, its torn tail zeroed.
fn read<T>(
    file: &mut File,
    identity: Identity,
    keep: impl Fn(&Placed<'_>) -> Option<T>,
) -> Result<(Vec<T>, u64), Refusal> {
    let bytes = file.synced();
    let (placed, ending) =
        recover(identity, &[bytes]).map_err(|refused| refuse(76, refused.to_string()))?;
    let kept = placed.iter().filter_map(keep).collect();
    let end = ending.end.map_or(0, |(_, offset)| offset);
    file.truncate(end);
    Ok((kept, ending.next_seq - 1))
}

impl<A> Node<A> {
    /// Makes a home: both slots forbid what is below the first height.
    pub(crate) fn init(&mut self) {
        self.store_floor(Floor::end_of(protocol::units::Height(0)));
    }

    /// Reads every file, as storage does when it is opened.
    pub(crate) fn recover(&mut self) -> Result<Recovered, Refusal> {
        let wal = wal::identity(self.chain);
        let decode =
            |placed: &Placed<'_>| WalEntry::decode(placed.record.kind, placed.record.payload);
        let (entries, wal_end) = read(&mut self.disk.wal, wal, decode)?;
        let blocks = storage::blocks::identity(self.chain);
        let decode = |placed: &Placed<'_>| CommittedBlock::decode(placed.record.payload);
        // A damaged segment is put aside: others have its blocks.
        let found = read(&mut self.disk.blocks, blocks, decode);
        let (blocks, block_end) = found.unwrap_or_else(|_| {
            self.disk.blocks = File::default();
            (Vec::new(), 0)
        });
        let mut files = Files::default();
        for (number, file) in &mut self.disk.own {
            let keep = |placed: &Placed<'_>| Some(placed.record.payload.to_vec());
            let (records, end) = read(file, own_identity(self.chain.0), keep)?;
            files.records.insert(*number, records);
            self.ends.own.insert(*number, end);
        }
        self.blocks.clear();
        for block in blocks {
            let certificate: CommitCertificate = decode_canonical(&block.certificate)
                .map_err(|error| refuse(73, error.to_string()))?;
            let bytes = Arc::from(block.block);
            self.blocks
                .insert(block.height, (bytes, Arc::new(certificate)));
        }
        self.ends.wal_seq = wal_end;
        self.ends.wal_durable = wal_end;
        self.ends.block_seq = block_end;
        self.ends.block_durable = block_end;
        let floor = self.floor(&entries, wal_end)?;
        self.store_floor(floor);
        Ok(Recovered {
            log: entries.into_iter().map(record).collect(),
            floor: Some(mark_of(floor)),
            files,
        })
    }

    /// The highest of both slots, the log's own messages and the last committed height.
    fn floor(&mut self, entries: &[WalEntry], wal_end: u64) -> Result<Floor, Refusal> {
        let bytes = self.disk.slots.synced().chunks(SLOT_BYTES);
        let slots: Vec<Slot> = bytes.filter_map(|bytes| Slot::decode(bytes).ok()).collect();
        let Some(newest) = slots.iter().max_by_key(|slot| slot.seq) else {
            return Err(refuse(75, "no valid sign-state"));
        };
        self.ends.slot_seq = newest.seq;
        let named = slots.iter().map(|slot| slot.wal_seq).max().unwrap_or(0);
        if named > wal_end {
            let text = format!("sign-state names record {named}, the log ends at {wal_end}");
            return Err(refuse(76, text));
        }
        let logged = entries.iter().filter_map(WalEntry::mark).map(Floor::from);
        let committed = Floor::end_of(self.tip());
        let floors = slots.iter().map(|slot| slot.floor).chain(logged);
        Ok(floors.fold(committed, Floor::max))
    }

    /// Both slots hold the floor before anything is signed.
    fn store_floor(&mut self, floor: Floor) {
        for _ in 0..2 {
            self.write_slot(floor);
            self.disk.slots.sync();
        }
        self.mark = Some(mark_of(floor));
    }
}
