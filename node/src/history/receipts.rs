//! Receipts, put together from the books and the block log.

use protocol::block::Header;
use protocol::digest::{JobId, TxId};
use protocol::events::Event;
use protocol::units::Height;
use protocol::validators::ValidatorSet;
use protocol::vote::CommitCertificate;

use super::{History, JobHistory};
use crate::problem::Problem;
use crate::receipt::Parts;

type Link = (Header, CommitCertificate, ValidatorSet);

impl History {
    /// Everything a receipt of this job says.
    pub(crate) fn receipt(&self, job: &JobId) -> Result<Parts, Problem> {
        let unknown = || Problem::new("job.unknown", job);
        let history = self.job(job).ok_or_else(unknown)?;
        let not_yet = || Problem::new("receipt.not_ended", job);
        let (end, record) = history.record.clone().ok_or_else(not_yet)?;
        // The root of the state at its end is in the header after it.
        let stored = self.block(end.next()).ok_or_else(not_yet)?;
        let missing = |what: &str| Problem::new("blob.missing", format!("{what} of job {job}"));
        let mut commits = Vec::new();
        let mut reveals = Vec::new();
        for (seat, commit, reveal) in messages(&history) {
            let bytes = |id: &TxId| self.tx_bytes(id).ok_or_else(|| missing("a seat's message"));
            commits.push((seat, bytes(&commit)?));
            if let Some(reveal) = reveal {
                reveals.push((seat, bytes(&reveal)?));
            }
        }
        let bytes_of = |list: Vec<(u16, Vec<u8>)>| list.into_iter().map(|(_, tx)| tx).collect();
        Ok(Parts {
            chain: self.chain,
            job: *job,
            spec: self.spec(&history).ok_or_else(|| missing("the request"))?,
            commits: bytes_of(commits),
            reveals: bytes_of(reveals),
            record,
            header: stored.block.header,
            certificate: stored.certificate,
            trust_path: self
                .trust_path(end.next())
                .ok_or_else(|| missing("the trust path"))?,
        })
    }

    fn spec(&self, history: &JobHistory) -> Option<Vec<u8>> {
        let tx = history
            .events
            .iter()
            .find_map(|happened| match &happened.event {
                Event::Queued { tx, .. } => Some(*tx),
                _ => None,
            })?;
        let bytes = self.tx_bytes(&tx)?;
        let signed = protocol::signed::Signed::<protocol::tx::Tx>::from_bytes(&bytes).ok()?;
        match signed.message.body {
            protocol::tx::TxBody::SubmitJob(submit) => Some(submit.spec.bytes()),
            _ => None,
        }
    }

    /// Each header below `height` that names another set than the one in force, certified.
    fn trust_path(&self, height: Height) -> Option<Vec<Link>> {
        let sets = self.read().sets.clone();
        let mut path = Vec::new();
        let mut current: Option<ValidatorSet> = None;
        for (from, set) in sets {
            let changes = current.as_ref().is_some_and(|current| *current != set);
            if changes && from <= height {
                let stored = self.block(from.previous())?;
                path.push((stored.block.header, stored.certificate, set.clone()));
            }
            current = Some(set);
        }
        Some(path)
    }
}

/// Seats that committed, in order, with their commit and their reveal.
fn messages(history: &JobHistory) -> Vec<(u16, TxId, Option<TxId>)> {
    let mut found = std::collections::BTreeMap::new();
    for happened in &history.events {
        match &happened.event {
            Event::Committed { seat, tx, .. } => {
                found.entry(*seat).or_insert((*tx, None));
            }
            Event::Revealed { seat, tx, .. } => {
                if let Some((_, reveal)) = found.get_mut(seat) {
                    *reveal = Some(*tx);
                }
            }
            _ => {}
        }
    }
    found
        .into_iter()
        .map(|(seat, (commit, reveal))| (seat, commit, reveal))
        .collect()
}
