//! Which peer is asked for which piece, and when all have failed. Pure.

use std::collections::BTreeMap;

use net::{BlobRequest, PeerId};

use super::{AHEAD_IN_FLIGHT_MAX, Action, Fetcher, IN_FLIGHT_MAX, PER_PEER_MAX, ROUNDS_MAX};
use crate::jobs::workflow::Artifact;

impl Fetcher {
    /// Gives idle pieces to peers with room; gives up on artifacts that everybody has failed.
    pub(super) fn ask(&mut self) -> Vec<Action> {
        let mut load: BTreeMap<PeerId, usize> = BTreeMap::new();
        let mut total: usize = 0;
        for peer in self.pieces.values().filter_map(|piece| piece.asked) {
            let count = load.entry(peer).or_default();
            *count = count.saturating_add(1);
            total = total.saturating_add(1);
        }
        let mut actions = Vec::new();
        let mut idle: Vec<_> = self.pieces.iter_mut().collect();
        idle.retain(|(_, piece)| piece.asked.is_none());
        // A stable sort: seats first, each in the order of its pieces.
        idle.sort_by_key(|((artifact, ..), _)| self.ahead.contains(artifact));
        let any_idle = !idle.is_empty();
        for ((artifact, key, offset), piece) in idle {
            let most = if self.ahead.contains(artifact) {
                AHEAD_IN_FLIGHT_MAX
            } else {
                IN_FLIGHT_MAX
            };
            let may = |peer: &PeerId| {
                let room = load.get(peer).is_none_or(|count| *count < PER_PEER_MAX);
                room && self.troubles.may_help(artifact, peer)
            };
            let choice = pick(&self.peers, piece.first, may).filter(|_| total < most);
            let Some(peer) = choice else {
                continue;
            };
            piece.asked = Some(peer);
            let count = load.entry(peer).or_default();
            *count = count.saturating_add(1);
            total = total.saturating_add(1);
            actions.push(Action::Request(
                peer,
                BlobRequest {
                    key: *key,
                    offset: *offset,
                },
            ));
        }
        actions.extend(self.rest());
        // With requests under way their answers bring us back here; without, only time does.
        // Nobody to ask is no answer: only peers' failures count against an artifact.
        if any_idle && total == 0 && self.peers.is_empty() {
            actions.push(Action::Later);
        }
        actions
    }

    /// Ends the round of every artifact that all peers have failed.
    fn rest(&mut self) -> Vec<Action> {
        let mut waiting: BTreeMap<Artifact, bool> = BTreeMap::new();
        for piece in self.pieces.values() {
            *waiting.entry(piece.artifact).or_insert(true) &= piece.asked.is_none();
        }
        let waiting = waiting.into_iter().filter(|(_, waits)| *waits);
        let mut actions = Vec::new();
        for (artifact, _) in waiting {
            match self.troubles.round_over(&artifact, &self.peers) {
                Some(rounds) if rounds >= ROUNDS_MAX => actions.extend(self.done(artifact, false)),
                Some(_) => actions.push(Action::Later),
                None => {}
            }
        }
        actions
    }
}

/// The first peer, from this one on, that may be asked.
fn pick(peers: &[PeerId], first: usize, may: impl Fn(&PeerId) -> bool) -> Option<PeerId> {
    let first = first.checked_rem(peers.len())?;
    let from = peers.iter().cycle().skip(first).take(peers.len());
    from.copied().find(may)
}
