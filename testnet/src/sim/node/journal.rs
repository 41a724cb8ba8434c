//! What storage's journal thread does, in its order: log, then sign-state; blocks; own files.

use std::sync::Arc;

use consensus::{Record, SignMark, WalSeq};
use protocol::codec::encode;
use protocol::vote::CommitCertificate;
use storage::blocks::CommittedBlock;
use storage::record::format::{self, FileKind, Identity, encode_record, encode_segment_header};
use storage::sign::floor::Floor;
use storage::sign::slot::{SLOT_BYTES, SignerIdentity, Slot};
use storage::wal::{self, WalEntry};

use super::{Node, recovery};

/// Own files hold no longer records.
const OWN_BYTES_MAX: usize = 1 << 20;

/// One thing that waits for the disk.
#[derive(Debug, Clone)]
pub(crate) enum Job {
    /// A batch of the log; its bytes are written, not synced.
    Log {
        seq: WalSeq,
        mark: Option<SignMark>,
        through: u64,
    },
    /// The batch is synced, its mark is written, not synced.
    Slot { seq: WalSeq, mark: SignMark },
    /// A decided block.
    Block {
        block: Arc<[u8]>,
        certificate: Arc<CommitCertificate>,
        through: u64,
    },
    /// A record of an own file.
    Own { file: u8, token: u64 },
}

/// What is durable now.
#[derive(Debug)]
pub(crate) enum Done {
    /// Nothing yet: the job goes on.
    Half,
    Log(WalSeq),
    Block(Arc<[u8]>, Arc<CommitCertificate>),
    Own(u64),
}

pub(super) const fn own_identity(genesis: protocol::digest::Digest) -> Identity {
    Identity {
        kind: FileKind::Evidence,
        genesis,
        payload_bytes_max: OWN_BYTES_MAX,
    }
}

fn entry(record: Record) -> WalEntry {
    match record {
        Record::Input { height, bytes } => WalEntry::Input { height, bytes },
        Record::Own { mark, bytes } => WalEntry::Own {
            mark: recovery::stored(&mark),
            bytes,
        },
        Record::Body { height, id, block } => WalEntry::Body {
            height,
            id,
            bytes: block.to_vec(),
        },
    }
}

fn framed(header: Option<&Identity>, kind: u8, seq: u64, durable: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header.map_or_else(Vec::new, |identity| encode_segment_header(identity, 1));
    let record = format::Record {
        kind,
        seq,
        durable,
        payload,
    };
    encode_record(&mut bytes, &record);
    bytes
}

impl<A> Node<A> {
    /// Writes a batch to the log and queues its sync.
    pub(crate) fn log(&mut self, records: Vec<Record>, mark: Option<SignMark>, seq: WalSeq) {
        let identity = wal::identity(self.chain);
        let mut bytes = Vec::new();
        for record in records {
            let header = (self.disk.wal.is_empty() && bytes.is_empty()).then_some(&identity);
            let entry = entry(record);
            self.ends.wal_seq += 1;
            let (seq, durable) = (self.ends.wal_seq, self.ends.wal_durable);
            bytes.extend(framed(header, entry.kind(), seq, durable, &entry.payload()));
        }
        self.disk.wal.append(bytes);
        let through = self.ends.wal_seq;
        self.jobs.push_back(Job::Log { seq, mark, through });
    }

    /// Writes a block to the block log and queues its sync.
    pub(crate) fn store(&mut self, block: Arc<[u8]>, certificate: CommitCertificate) {
        let identity = storage::blocks::identity(self.chain);
        let header = self.disk.blocks.is_empty().then_some(&identity);
        self.ends.block_seq += 1;
        let (seq, durable) = (self.ends.block_seq, self.ends.block_durable);
        let payload = CommittedBlock {
            height: certificate.height,
            id: certificate.block,
            block: block.to_vec(),
            certificate: encode(&certificate),
        };
        let bytes = framed(header, 1, seq, durable, &payload.encode());
        self.disk.blocks.append(bytes);
        let certificate = Arc::new(certificate);
        let job = Job::Block {
            block,
            certificate,
            through: seq,
        };
        self.jobs.push_back(job);
    }

    /// Appends a record to an own file and queues its sync.
    pub(crate) fn write(&mut self, file: u8, payload: &[u8], token: u64) {
        let identity = own_identity(self.chain.0);
        let at = self.disk.own.entry(file).or_default();
        let header = at.is_empty().then_some(&identity);
        let seq = self.ends.own.entry(file).or_default();
        *seq += 1;
        at.append(framed(header, 1, *seq, 0, payload));
        self.jobs.push_back(Job::Own { file, token });
    }

    /// One sync has come back.
    pub(crate) fn synced(&mut self) -> Option<Done> {
        Some(match self.jobs.pop_front()? {
            Job::Log { seq, mark, through } => {
                self.disk.wal.sync();
                self.ends.wal_durable = through;
                let Some(mark) = mark else {
                    self.durable = seq;
                    return Some(Done::Log(seq));
                };
                self.write_slot(Floor::from(recovery::stored(&mark)));
                self.jobs.push_front(Job::Slot { seq, mark });
                Done::Half
            }
            Job::Slot { seq, mark } => {
                self.disk.slots.sync();
                self.durable = seq;
                self.mark = Some(mark);
                Done::Log(seq)
            }
            Job::Block {
                block,
                certificate,
                through,
            } => {
                self.disk.blocks.sync();
                self.ends.block_durable = through;
                let height = certificate.height;
                self.blocks
                    .insert(height, (Arc::clone(&block), Arc::clone(&certificate)));
                Done::Block(block, certificate)
            }
            Job::Own { file, token } => {
                if let Some(file) = self.disk.own.get_mut(&file) {
                    file.sync();
                }
                Done::Own(token)
            }
        })
    }

    /// Writes the floor into the older of the two slots.
    pub(super) fn write_slot(&mut self, floor: Floor) {
        self.ends.slot_seq += 1;
        let slot = Slot {
            identity: SignerIdentity {
                chain: self.chain,
                public_key: self.key,
            },
            seq: self.ends.slot_seq,
            floor,
            wal_seq: self.ends.wal_durable,
        };
        let place = usize::from(self.ends.slot_seq % 2 == 1);
        self.disk.slots.write(place * SLOT_BYTES, slot.encode());
    }
}
