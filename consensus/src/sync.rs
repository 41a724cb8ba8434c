//! Who is ahead, and whom to ask.
//!
//! The core never helps a node that is one height behind: decided peers drop its votes and do not send
//! old precommits again. So any message or status above our height marks its bringer as ahead, and
//! at our next timeout we ask it. Hints are one number per peer and not verified: a liar costs one
//! request.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::units::Height;
use protocol::vote::CommitCertificate;

use crate::input::Peer;
use crate::limits::{PEERS_MAX, SYNC_AHEAD};
use crate::planted::{self, Bug};

#[derive(Clone, Copy, Debug, Default)]
struct Hint {
    committed: Height,
    demerits: u32,
}

/// A decided block that waits for its turn.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) peer: Peer,
    pub(crate) block: Arc<[u8]>,
    pub(crate) certificate: CommitCertificate,
}

#[derive(Debug, Default)]
pub(crate) struct HeightSync {
    peers: BTreeMap<Peer, Hint>,
    asked: Option<Peer>,
    /// Who answered last, until it proves unreliable: only its blocks are kept for later.
    source: Option<Peer>,
    answers: BTreeMap<Height, Answer>,
    /// Who brought what the core is looking at.
    pub(crate) bringer: Option<Peer>,
}

impl HeightSync {
    /// A peer seems to have committed this height.
    pub(crate) fn hint(&mut self, peer: &Peer, committed: Height) {
        if !self.peers.contains_key(peer) && self.peers.len() >= PEERS_MAX {
            let worst = self
                .peers
                .iter()
                .max_by_key(|(_, h)| (h.demerits, u64::MAX.saturating_sub(h.committed.0)));
            let Some(worst) = worst.map(|(peer, _)| peer.clone()) else {
                return;
            };
            self.peers.remove(&worst);
        }
        let hint = self.peers.entry(peer.clone()).or_default();
        hint.committed = hint.committed.max(committed);
    }

    /// The peer gave a wrong answer, or none; its hint is void.
    pub(crate) fn demote(&mut self, peer: &Peer) {
        if let Some(hint) = self.peers.get_mut(peer) {
            *hint = Hint {
                committed: Height(0),
                demerits: hint.demerits.saturating_add(1),
            };
        }
    }

    /// The peer sent something false: nothing more of it is kept, nor what it sent before.
    pub(crate) fn distrust(&mut self, peer: &Peer) {
        self.demote(peer);
        self.source.take_if(|source| source == peer);
        self.answers.retain(|_, answer| answer.peer != *peer);
    }

    fn best(&self, height: Height) -> Option<&Peer> {
        let needed = if planted::is(Bug::NaiveSync) {
            height.next()
        } else {
            height
        };
        let ahead = self
            .peers
            .iter()
            .filter(|(_, hint)| hint.committed >= needed);
        ahead
            .min_by_key(|(_, hint)| hint.demerits)
            .map(|(peer, _)| peer)
    }

    /// Somebody who seems to have committed this height.
    pub(crate) fn is_behind(&self, height: Height) -> bool {
        self.answers.contains_key(&height) || self.best(height).is_some()
    }

    /// Whom to ask for this height, if nobody is being asked.
    pub(crate) fn ask(&mut self, height: Height) -> Option<Peer> {
        if self.asked.is_some() {
            return None;
        }
        self.asked = self.best(height).cloned();
        self.asked.clone()
    }

    /// The one who was asked was silent for too long.
    pub(crate) fn give_up(&mut self) {
        if let Some(peer) = self.asked.take() {
            self.demote(&peer);
        }
    }

    /// An answer came; whether it is from the one who was asked.
    pub(crate) fn answered(&mut self, peer: &Peer) -> bool {
        let answered = self.asked.take_if(|asked| asked == peer);
        let is_asked = answered.is_some();
        self.source = answered.or_else(|| self.source.take());
        is_asked
    }

    /// A new height begins: what was asked for the last one no longer counts, nor does its timer.
    pub(crate) fn forget_request(&mut self) {
        self.asked = None;
        self.bringer = None;
    }

    /// Keeps an answer of the one who was asked for later, the first of its height.
    pub(crate) fn keep(&mut self, current: Height, answer: Answer) {
        let height = answer.certificate.height;
        let is_asked_for = self.source.as_ref() == Some(&answer.peer);
        if is_asked_for && height > current && height <= current.plus(SYNC_AHEAD) {
            self.answers.entry(height).or_insert(answer);
        }
    }

    pub(crate) fn take(&mut self, height: Height) -> Option<Answer> {
        let answer = self.answers.remove(&height);
        self.answers = self.answers.split_off(&height);
        answer
    }

    /// Peers, and answers that wait.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.peers.len(), self.answers.len())
    }

    /// Any peer at all, to ask for a block that nobody in particular is known to have.
    pub(crate) fn anybody(&self, turn: usize) -> Option<Peer> {
        let index = turn.checked_rem(self.peers.len())?;
        self.peers.keys().nth(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_liar_costs_one_request() {
        let mut sync = HeightSync::default();
        let (liar, honest) = (Peer::new(b"a"), Peer::new(b"b"));
        sync.hint(&liar, Height::MAX);
        sync.hint(&honest, Height(5));
        assert_eq!(sync.ask(Height(5)), Some(liar.clone()));
        assert_eq!(sync.ask(Height(5)), None, "one request in flight");
        sync.give_up();
        sync.hint(&liar, Height::MAX);
        assert_eq!(sync.ask(Height(5)), Some(honest), "the liar stands last");
    }

    #[test]
    fn only_those_with_the_height_are_asked() {
        let mut sync = HeightSync::default();
        sync.hint(&Peer::new(b"a"), Height(4));
        assert!(!sync.is_behind(Height(5)));
        assert_eq!(sync.ask(Height(5)), None);
    }

    #[test]
    fn hints_are_bounded() {
        let mut sync = HeightSync::default();
        (0..10_000_u32).for_each(|n| sync.hint(&Peer::new(&n.to_be_bytes()), Height(9)));
        assert_eq!(sync.peers.len(), PEERS_MAX);
    }
}
