//! Where this node stands against the others: their clocks and their releases. A host's own time
//! daemon may be wrong with it; the chain's headers carry the clocks that proposals are judged by.

use net::PeerRow;

/// A header this far in our future was refused as too early, or would have been (security.md, D7).
const BEHIND_MS_MAX: i64 = 250;
/// A fresh block is at most so old when it is entered: some rounds may have failed before it.
const AHEAD_BLOCKS_MAX: i64 = 20;
const AHEAD_MS_MIN: i64 = 10_000;

/// Whether our clock goes with the validators', and what was seen. `offset_ms` is the newest
/// header's time less ours when the block was entered; only for a synced node is that block fresh.
pub(super) fn clock(offset_ms: i64, block_ms: u64, synced: bool) -> (bool, String) {
    let interval = i64::try_from(block_ms).unwrap_or(i64::MAX);
    let ahead_max = interval.saturating_mul(AHEAD_BLOCKS_MAX).max(AHEAD_MS_MIN);
    let behind = offset_ms > BEHIND_MS_MAX;
    let ahead = synced && offset_ms < -ahead_max;
    let detail = match (behind, ahead) {
        (true, _) => format!("{offset_ms} ms behind the newest header"),
        (_, true) => format!("{} ms ahead of a fresh header", offset_ms.saturating_neg()),
        _ => "goes with the validators'".to_owned(),
    };
    (!behind && !ahead, detail)
}

/// Whether most validators among the peers already speak a newer major release. What others say is
/// hearsay, so fewer than half of them cannot trouble us.
pub(super) fn version(peers: &[PeerRow]) -> (bool, String) {
    let own = major(concat!("palisade/", env!("CARGO_PKG_VERSION_MAJOR"))).unwrap_or_default();
    let theirs: Vec<u64> = peers
        .iter()
        .filter(|peer| peer.validator.is_some())
        .filter_map(|peer| major(&peer.agent))
        .collect();
    judged(own, &theirs)
}

fn judged(own: u64, theirs: &[u64]) -> (bool, String) {
    let newer = theirs.iter().filter(|major| **major > own).count();
    let detail = format!(
        "{newer} of {} validators among the peers speak a newer release",
        theirs.len()
    );
    (newer * 2 <= theirs.len(), detail)
}

/// The release in `palisade/0`.
fn major(agent: &str) -> Option<u64> {
    let rest = agent.strip_prefix("palisade/")?;
    rest.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_behind_and_ahead_are_told_apart() {
        assert!(clock(0, 500, true).0);
        assert!(
            clock(-900, 500, true).0,
            "a block takes a while to be decided"
        );
        let (ok, detail) = clock(400, 500, true);
        assert!(!ok && detail.contains("behind"), "{detail}");
        let (ok, detail) = clock(-60_000, 500, true);
        assert!(!ok && detail.contains("ahead"), "{detail}");
        // While a node catches up, blocks are old and say nothing about its clock.
        assert!(clock(-86_400_000, 500, false).0);
        assert!(!clock(1_000, 500, false).0);
        assert!(clock(i64::MIN, u64::MAX, false).0);
    }

    #[test]
    fn a_minority_of_strangers_cannot_trouble_us() {
        assert!(judged(0, &[]).0);
        assert!(judged(0, &[0, 0, 9]).0);
        assert!(judged(1, &[0, 0, 0]).0);
        assert!(!judged(0, &[1, 1, 0]).0);
        assert_eq!(major("palisade/3.1"), Some(3));
        assert_eq!(major("palisade/x"), None);
        assert_eq!(major("other/3"), None);
    }
}
