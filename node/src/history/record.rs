//! One height's entries.

use ledger::State;
use protocol::digest::TxId;
use protocol::events::Event;
use protocol::evidence::evidence_id;
use protocol::tx::digest_of_bytes;
use protocol::units::Round;

use super::{
    Accepted, Books, Happened, History, Included, Place, REFUSED_KEPT, Refused, SIGNERS_KEPT,
    Signers, Slash, Stored,
};
use crate::clock;

/// An evidence's id says its round, to whoever tries rounds; heights rarely need more than a few.
const ROUNDS_TRIED: u32 = 64;

/// What is known of a height.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Its block.
    pub(super) stored: &'a Stored,
    /// What happened in it.
    pub(super) events: &'a [Event],
    /// Which of its transactions had no effect.
    pub(super) refused: Refused,
    /// The state after it.
    pub(super) after: &'a State,
}

impl History {
    /// The sets that genesis fixes.
    pub(super) fn enter_genesis(&self, state: &State) {
        let mut books = self.write();
        books.note_sets(state);
    }

    /// Enters one height.
    pub(super) fn enter(&self, entry: Entry<'_>) {
        let height = entry.stored.block.header.height;
        let ids: Vec<TxId> = entry
            .stored
            .block
            .body
            .0
            .iter()
            .map(|tx| self.id_of(tx))
            .collect();
        let mut books = self.write();
        for (index, id) in (0_u32..).zip(ids) {
            books.txs.insert(id, Included { height, index });
        }
        for (index, event) in (0_u32..).zip(entry.events) {
            books.note_event(Place { height, index }, event, entry.after);
        }
        books.note_sets(entry.after);
        books.latest = Some(entry.after.clone());
        let keys = entry
            .stored
            .certificate
            .signatures
            .iter()
            .map(|part| part.signer)
            .collect();
        books.signers.push_back(Signers { keys });
        if books.signers.len() > SIGNERS_KEPT {
            books.signers.pop_front();
        }
        books.refused.insert(height, entry.refused);
        books.refused = books.refused.split_off(&height.minus(REFUSED_KEPT));
        books.committed_ms = clock::unix_millis();
        let header_ms = entry.stored.block.header.time_ms.0;
        books.offset_ms = difference(header_ms, books.committed_ms);
        drop(books);
        self.level.send_replace(height);
    }

    fn id_of(&self, bytes: &[u8]) -> TxId {
        let tx = bytes.len().saturating_sub(protocol::keys::Signature::LEN);
        TxId(digest_of_bytes(
            bytes.get(..tx).unwrap_or_default(),
            &self.chain,
        ))
    }
}

/// `a - b`, at the ends of what 63 bits hold at most.
fn difference(a: u64, b: u64) -> i64 {
    let distance = i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX);
    if a < b { -distance } else { distance }
}

impl Books {
    fn note_sets(&mut self, state: &State) {
        if self.sets.is_empty() {
            self.sets.extend(state.set_history());
        }
        for (height, set) in state.recent_sets() {
            let last = self.sets.last_key_value();
            if last.is_none_or(|(newest, last)| height > newest && set != last) {
                self.sets.insert(*height, set.clone());
            }
        }
    }

    fn note_event(&mut self, place: Place, event: &Event, after: &State) {
        if let Some(job) = event.job() {
            let known = self.jobs.contains_key(&job);
            let history = self.jobs.entry(job).or_default();
            history.events.push(Happened {
                place,
                event: event.clone(),
            });
            let ended = after.jobs.get(&job).is_some_and(|head| head.phase.is_end());
            if ended && history.record.is_none() {
                history.record = after.prove_job(&job).map(|record| (place.height, record));
            }
            if !known {
                self.newest_jobs.push(job);
            }
        }
        match event {
            Event::Slashed {
                validator,
                offence,
                amount,
                burned,
                job,
                ..
            } => {
                self.slashes.push(Slash {
                    validator: *validator,
                    offence: offence.name(),
                    amount: *amount,
                    burned: *burned,
                    height: place.height,
                    job: *job,
                });
            }
            Event::EvidenceAccepted {
                evidence,
                kind,
                validator,
                reporter,
            } => {
                let at = after
                    .evidence
                    .get(evidence)
                    .map_or(place.height, |row| row.height);
                let is =
                    |round: &u32| evidence_id(*kind, validator, at, Round(*round)) == *evidence;
                self.evidence.push(Accepted {
                    id: *evidence,
                    kind: kind.name(),
                    validator: *validator,
                    height: at,
                    round: (0..ROUNDS_TRIED).find(is),
                    included_at: place.height,
                    reporter: reporter.to_string(),
                });
            }
            _ => {}
        }
    }
}
