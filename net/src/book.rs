//! Whom to dial and when: static peers and peers met before.
//!
//! Pure: the caller passes the time and who is connected, and gets addresses to dial. A target that
//! does not answer is tried again after 1 s, 2 s, 4 s … 300 s, each time at a random point of that
//! span, so that a net that restarts together does not knock together.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// Peers remembered beside the static ones.
const KNOWN_MAX: usize = 1_000;
const ADDRESSES_MAX: usize = 4;

/// A peer met before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPeer {
    /// Who.
    pub peer: PeerId,
    /// Where it was reached, newest first, at most four.
    pub addresses: Vec<Multiaddr>,
}

/// Why a peer is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The operator said so: always connected.
    Static,
    /// It speaks for an admitted validator and we are one.
    Validator,
}

#[derive(Clone, Debug)]
struct Target {
    addresses: Vec<Multiaddr>,
    peer: Option<PeerId>,
    failures: u32,
    next_at: Duration,
    reason: Reason,
}

/// A dial that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) peer: Option<PeerId>,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// Targets and acquaintances.
#[derive(Debug, Default)]
pub(crate) struct Book {
    targets: Vec<Target>,
    known: BTreeMap<PeerId, Vec<Multiaddr>>,
    random: RandomState,
    draws: u64,
}

/// The peer id at an address's end.
pub(crate) fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

impl Book {
    pub(crate) fn new(static_peers: &[Multiaddr], known: Vec<KnownPeer>) -> Self {
        let mut book = Self::default();
        for address in static_peers {
            book.add_target(vec![address.clone()], peer_of(address), Reason::Static);
        }
        for peer in known.into_iter().take(KNOWN_MAX) {
            book.known.insert(peer.peer, bounded(peer.addresses));
        }
        book
    }

    /// Adds a target; a peer that is one already stays as it is.
    fn add_target(&mut self, addresses: Vec<Multiaddr>, peer: Option<PeerId>, reason: Reason) {
        if peer.is_some() && self.targets.iter().any(|target| target.peer == peer) {
            return;
        }
        let next_at = Duration::ZERO;
        self.targets.push(Target {
            addresses,
            peer,
            failures: 0,
            next_at,
            reason,
        });
    }

    /// The operator's targets with a known id.
    pub(crate) fn is_static(&self, peer: &PeerId) -> bool {
        self.targets
            .iter()
            .any(|target| target.reason == Reason::Static && target.peer == Some(*peer))
    }

    /// These peers speak for validators: dial those whose address we know, drop those that no
    /// longer do.
    pub(crate) fn set_validators(&mut self, peers: &BTreeSet<PeerId>) {
        self.targets.retain(|target| {
            target.reason == Reason::Static || target.peer.is_some_and(|peer| peers.contains(&peer))
        });
        for peer in peers {
            if let Some(addresses) = self.known.get(peer).cloned() {
                self.add_target(addresses, Some(*peer), Reason::Validator);
            }
        }
    }

    /// A peer was reached there. Tells whether that is news.
    pub(crate) fn reached(&mut self, peer: PeerId, address: &Multiaddr) -> bool {
        for target in &mut self.targets {
            let same_place = target
                .addresses
                .iter()
                .any(|known| bare(known) == bare(address));
            if target.peer == Some(peer) || (target.peer.is_none() && same_place) {
                target.peer = Some(peer);
                target.failures = 0;
                target.next_at = Duration::ZERO;
            }
        }
        let address = bare(address);
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&peer) {
            return false;
        }
        let addresses = self.known.entry(peer).or_default();
        if addresses.first() == Some(&address) {
            return false;
        }
        addresses.retain(|known| *known != address);
        addresses.insert(0, address);
        addresses.truncate(ADDRESSES_MAX);
        true
    }

    /// What to dial now. Each target's next attempt is set at once; success resets it.
    pub(crate) fn due(&mut self, now: Duration, blocked: impl Fn(&PeerId) -> bool) -> Vec<Dial> {
        let mut dials = Vec::new();
        for at in 0..self.targets.len() {
            let target = &self.targets[at];
            if target.next_at > now || target.peer.as_ref().is_some_and(&blocked) {
                continue;
            }
            dials.push(Dial {
                peer: target.peer,
                addresses: target.addresses.clone(),
            });
            let span = backoff(target.failures);
            let wait = self.jitter(span);
            let target = &mut self.targets[at];
            target.failures = target.failures.saturating_add(1);
            target.next_at = now.saturating_add(wait);
        }
        dials
    }

    /// A connection we want was lost: try again soon.
    pub(crate) fn lost(&mut self, peer: &PeerId, now: Duration) {
        let wait = self.jitter(BACKOFF_MIN);
        for target in &mut self.targets {
            if target.peer == Some(*peer) {
                target.failures = 0;
                target.next_at = now.saturating_add(wait);
            }
        }
    }

    /// What to store.
    pub(crate) fn known(&self) -> Vec<KnownPeer> {
        self.known
            .iter()
            .map(|(peer, addresses)| KnownPeer {
                peer: *peer,
                addresses: addresses.clone(),
            })
            .collect()
    }

    /// Uniform between a quarter of the span and the span: never at once, so that a peer which
    /// refuses us is not hammered.
    fn jitter(&mut self, span: Duration) -> Duration {
        self.draws = self.draws.wrapping_add(1);
        let draw = self.random.hash_one(self.draws) % 1_000;
        let quarter = span / 4;
        quarter + (span - quarter) * u32::try_from(draw).unwrap_or(0) / 1_000
    }
}

fn backoff(failures: u32) -> Duration {
    BACKOFF_MIN
        .saturating_mul(2u32.saturating_pow(failures.min(16)))
        .min(BACKOFF_MAX)
}

fn bounded(mut addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    addresses.truncate(ADDRESSES_MAX);
    addresses
}

/// The address without its peer id.
fn bare(address: &Multiaddr) -> Multiaddr {
    let mut address = address.clone();
    if matches!(address.iter().last(), Some(Protocol::P2p(_))) {
        address.pop();
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn backoff_doubles_to_five_minutes() {
        let seconds: Vec<u64> = (0..11)
            .map(|failures| backoff(failures).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn silent_target_is_tried_ever_more_rarely() {
        let mut book = Book::new(&[address(1)], Vec::new());
        let mut dials = 0;
        for second in 0..3_600 {
            dials += book.due(Duration::from_secs(second), |_| false).len();
        }
        assert!((12..60).contains(&dials), "{dials} dials in an hour");
    }

    #[test]
    fn connected_and_banned_are_left_alone() {
        let peer = PeerId::random();
        let target = address(1).with_p2p(peer).unwrap();
        let mut book = Book::new(&[target], Vec::new());
        assert!(book.due(Duration::from_secs(1), |_| true).is_empty());
        assert_eq!(book.due(Duration::from_secs(1), |_| false).len(), 1);
    }

    #[test]
    fn anonymous_target_learns_who_answered() {
        let mut book = Book::new(&[address(1)], Vec::new());
        let peer = PeerId::random();
        assert!(book.reached(peer, &address(1).with_p2p(peer).unwrap()));
        assert!(book.is_static(&peer));
        assert!(!book.reached(peer, &address(1)), "no news");
        assert!(
            book.due(Duration::from_secs(9), |other| *other == peer)
                .is_empty()
        );
    }

    #[test]
    fn known_validators_become_targets_and_cease_to_be() {
        let peer = PeerId::random();
        let known = KnownPeer {
            peer,
            addresses: vec![address(7)],
        };
        let mut book = Book::new(&[], vec![known]);
        assert!(book.due(Duration::ZERO, |_| false).is_empty());
        book.set_validators(&BTreeSet::from([peer]));
        assert_eq!(book.due(Duration::ZERO, |_| false).len(), 1);
        book.set_validators(&BTreeSet::new());
        assert!(book.due(Duration::from_secs(999), |_| false).is_empty());
    }

    #[test]
    fn strangers_do_not_grow_the_book_for_ever() {
        let mut book = Book::default();
        for port in 1..3_000 {
            book.reached(PeerId::random(), &address(port));
        }
        assert_eq!(book.known().len(), KNOWN_MAX);
    }
}
