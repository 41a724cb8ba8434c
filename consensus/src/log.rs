//! What must be durable before what may leave.
//!
//! ```text
//! records -> open batch --close--> Wal{seq} --Durable(seq)--> outputs that wait for seq, in order
//! ```
//! The machine runs ahead in memory; nothing unreleased has left the process.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::vote::CommitCertificate;

use crate::effect::{Delivery, Effect, Outgoing, WalSeq};
use crate::guard::SignMark;
use crate::planted::{self, Bug};
use crate::wal::Record;

/// Whether this node signs, and therefore logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Logging {
    On,
    Off,
}

/// An output that waits.
#[derive(Debug)]
pub(crate) enum Output {
    Broadcast(Outgoing, Delivery),
    Commit(Arc<[u8]>, CommitCertificate),
}

#[derive(Debug)]
pub(crate) struct Log {
    logging: Logging,
    batch: Vec<Record>,
    mark: Option<SignMark>,
    closed: WalSeq,
    durable: WalSeq,
    waiting: VecDeque<(WalSeq, Output)>,
}

impl Log {
    pub(crate) const fn new(logging: Logging) -> Self {
        Self {
            logging,
            batch: Vec::new(),
            mark: None,
            closed: WalSeq(0),
            durable: WalSeq(0),
            waiting: VecDeque::new(),
        }
    }

    /// From a silent height to one that is signed.
    pub(crate) const fn switch(&mut self, logging: Logging) {
        self.logging = logging;
    }

    pub(crate) fn append(&mut self, record: Record) {
        if self.logging == Logging::On {
            self.batch.push(record);
        }
    }

    /// The batch holds this signature; the sign-state needs the highest only.
    pub(crate) fn mark(&mut self, mark: SignMark) {
        if self.mark.is_none_or(|last| last.point < mark.point) {
            self.mark = Some(mark);
        }
    }

    /// Closes the open batch, if anything is in it, and names the batch to wait for.
    pub(crate) fn close(&mut self, out: &mut Vec<Effect>) -> WalSeq {
        if self.logging == Logging::On && !(self.batch.is_empty() && self.mark.is_none()) {
            self.closed = WalSeq(self.closed.0.saturating_add(1));
            out.push(Effect::Wal {
                records: std::mem::take(&mut self.batch),
                sign_mark: self.mark.take(),
                seq: self.closed,
            });
        }
        self.closed
    }

    /// Queues an output behind everything logged so far.
    pub(crate) fn queue(&mut self, output: Output, out: &mut Vec<Effect>) {
        let after = self.close(out);
        self.waiting.push_back((after, output));
    }

    /// Outputs that are not released yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The log holds everything up to this batch. Nobody can have stored what was not handed out.
    pub(crate) fn durable(&mut self, seq: WalSeq) {
        self.durable = self.durable.max(seq.min(self.closed));
    }

    /// The next output that may leave.
    pub(crate) fn release(&mut self) -> Option<(WalSeq, Output)> {
        let (after, _) = self.waiting.front()?;
        if *after > self.durable && !planted::is(Bug::SendBeforeDurable) {
            return None;
        }
        self.waiting.pop_front()
    }
}
