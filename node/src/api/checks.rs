//! Can this node earn, and if not, why? One table for `status`, `/readyz` and the metrics, so that
//! they cannot disagree.
//!
//! Checked in this release: for votes keys, sync, peers, clock, version, registered, stake, active,
//! jail, signing; for seats sandbox, models, seat_bond, disk, quiesce. Not checked yet: doppelganger.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use actors::snapshot::Snapshot;
use protocol::units::Height;
use serde_json::{Value, json};

use super::bearings;
use super::shared::Shared;
use crate::clock;
use crate::problem::entry;

/// Blocks looked back on for own signatures.
const SIGNING_BLOCKS: usize = 20;
/// Less free space than this, and the node declines jobs (storage.md).
const DISK_FREE_MIN: u64 = 2 << 30;
/// A node so many blocks behind its peers is not in step.
const LAG_MAX: u64 = 2;

/// What was found about this host at the start, and where to look again.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// The sandbox's tier.
    pub(crate) tier: String,
    /// Why no job can run here, if none can.
    pub(crate) closed: Option<String>,
    /// Why this processor cannot run models, if it cannot.
    pub(crate) unfit: Option<String>,
    /// The data directory, whose volume must not fill.
    pub(crate) data: PathBuf,
}

/// What a check is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Votes,
    Seats,
}

impl Scope {
    const fn name(self) -> &'static str {
        match self {
            Self::Votes => "votes",
            Self::Seats => "seats",
        }
    }
}

#[derive(Clone, Debug)]
struct Check {
    name: &'static str,
    scope: Scope,
    ok: bool,
    code: &'static str,
    detail: String,
}

/// All checks at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    checks: Vec<Check>,
    /// Whether one of the last blocks carries our signature.
    pub(crate) signing: bool,
    /// Where we stand against our peers.
    pub(crate) sync: Value,
    synced: bool,
    peers_ok: bool,
    commit_age_ms: Option<u64>,
    block_ms: u64,
}

/// Looks at everything.
pub(crate) fn report(shared: &Shared, snapshot: &Snapshot) -> Report {
    let view = shared.node.network();
    let highest = view
        .peers
        .iter()
        .map(|peer| peer.tip.height)
        .max()
        .unwrap_or(Height::ZERO);
    let lag = highest.0.saturating_sub(snapshot.height.0);
    let committed = shared.history.committed_ms();
    let age = (committed > 0).then(|| clock::unix_millis().saturating_sub(committed));
    let block_ms = shared.chain.genesis.params.block_interval_ms.0;
    let stalled = age.is_some_and(|age| age > stall_ms(block_ms));
    let synced = lag <= LAG_MAX && !stalled && snapshot.height > Height::ZERO;
    let sync = match (synced, stalled) {
        (true, _) => json!({"state": "synced", "height": snapshot.height.0, "lag": lag}),
        (false, true) if lag <= LAG_MAX => {
            json!({"state": "stalled", "reason": "no block was committed for too long", "lag": lag})
        }
        _ => json!({"state": "syncing", "from": snapshot.height.0, "to": highest.0, "lag": lag}),
    };
    let alone = snapshot.next_set().len() <= 1;
    let peers_ok = alone || !view.peers.is_empty();
    let own = shared.node.consensus_key();
    let signing = own.is_some_and(|key| shared.history.signed_recently(&key, SIGNING_BLOCKS));
    let mut report = Report {
        checks: Vec::new(),
        signing,
        sync,
        synced,
        peers_ok,
        commit_age_ms: age,
        block_ms,
    };
    report.votes_checks(shared, snapshot, lag);
    report.seats_checks(shared, snapshot);
    report
}

/// When silence of the chain becomes a fault.
const fn stall_ms(block_ms: u64) -> u64 {
    let patience = block_ms.saturating_mul(20);
    if patience < 60_000 { 60_000 } else { patience }
}

impl Report {
    fn add(
        &mut self,
        scope: Scope,
        name: &'static str,
        code: &'static str,
        ok: bool,
        detail: impl Into<String>,
    ) {
        self.checks.push(Check {
            name,
            scope,
            ok,
            code,
            detail: detail.into(),
        });
    }

    fn votes_checks(&mut self, shared: &Shared, snapshot: &Snapshot, lag: u64) {
        use Scope::Votes;
        let state = &snapshot.state;
        let min = state.params().self_bond_min;
        let has_keys = shared.node.consensus_key().is_some() && shared.node.session_key().is_some();
        self.add(
            Votes,
            "keys",
            "check.keys",
            has_keys,
            "consensus and session key",
        );
        self.add(
            Votes,
            "sync",
            "check.sync",
            self.synced,
            format!("{lag} blocks behind"),
        );
        let peers = shared.node.network().peers.len();
        self.add(
            Votes,
            "peers",
            "check.peers",
            self.peers_ok,
            format!("{peers} peers"),
        );
        let offset = shared.history.clock_offset_ms();
        let (ok, detail) = bearings::clock(offset, self.block_ms, self.synced);
        self.add(Votes, "clock", "check.clock", ok, detail);
        let (ok, detail) = bearings::version(&shared.node.network().peers);
        self.add(Votes, "version", "check.version", ok, detail);
        let own = shared
            .validator(snapshot)
            .and_then(|id| state.validators.get(&id));
        self.add(
            Votes,
            "registered",
            "check.registered",
            own.is_some(),
            "session key on the chain",
        );
        let Some(row) = own else {
            self.add(
                Votes,
                "signing",
                "check.signing",
                self.signing,
                "last 20 blocks",
            );
            return;
        };
        let detail = format!("bonded {}, least {min}", row.bonded);
        self.add(
            Votes,
            "stake",
            "check.registered",
            row.bonded >= min,
            detail,
        );
        let standing = row.state_name(snapshot.height, min);
        let jailed = matches!(standing, "jailed" | "tombstoned" | "gone");
        self.add(
            Votes,
            "active",
            "check.registered",
            row.active_from <= snapshot.height,
            format!("from height {}", row.active_from),
        );
        self.add(Votes, "jail", "check.jail", !jailed, standing);
        self.add(
            Votes,
            "signing",
            "check.signing",
            self.signing,
            "last 20 blocks",
        );
    }

    fn seats_checks(&mut self, shared: &Shared, snapshot: &Snapshot) {
        use Scope::Seats;
        let closed = shared.host.closed.clone();
        let detail = closed
            .clone()
            .unwrap_or_else(|| format!("tier {}", shared.host.tier));
        self.add(Seats, "sandbox", "check.sandbox", closed.is_none(), detail);
        let unfit = shared.host.unfit.clone();
        let detail = unfit
            .clone()
            .unwrap_or_else(|| "this processor runs them".to_owned());
        self.add(Seats, "models", "check.models", unfit.is_none(), detail);
        let own = shared
            .validator(snapshot)
            .and_then(|id| snapshot.state.validators.get(&id));
        let free = own.map(|row| row.free_seat_bond()).unwrap_or_default();
        let least = snapshot.state.params().seat_bond_min;
        self.add(
            Seats,
            "seat_bond",
            "check.seat_bond",
            free >= least,
            format!("{free} free, {least} for a seat"),
        );
        let space = disk_free(&shared.host.data);
        let enough = space.is_none_or(|bytes| bytes >= DISK_FREE_MIN);
        self.add(
            Seats,
            "disk",
            "check.disk",
            enough,
            format!("{} MiB free", space.unwrap_or(0) >> 20),
        );
        let quiet = shared.quiet.load(Ordering::SeqCst);
        self.add(
            Seats,
            "quiesce",
            "check.quiesce",
            !quiet,
            if quiet { "told to be quiet" } else { "at work" },
        );
    }

    /// Whether this node votes.
    pub(crate) fn votes(&self) -> bool {
        self.checks
            .iter()
            .filter(|check| check.scope == Scope::Votes)
            .all(|check| check.ok)
    }

    /// Whether it can take seats.
    pub(crate) fn seats(&self) -> bool {
        self.checks
            .iter()
            .filter(|check| check.scope == Scope::Seats)
            .all(|check| check.ok)
    }

    /// Both.
    pub(crate) fn can_earn(&self) -> bool {
        self.votes() && self.seats()
    }

    /// The first failing check's code.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        self.checks
            .iter()
            .find(|check| !check.ok)
            .map(|check| check.code)
    }

    /// Every check, for people and programs.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let row = |check: &Check| {
            json!({
                "check": check.name, "scope": check.scope.name(), "ok": check.ok,
                "code": (!check.ok).then_some(check.code), "detail": check.detail,
                "fix": (!check.ok).then(|| entry(check.code).map(|entry| entry.hint)),
            })
        };
        self.checks.iter().map(row).collect()
    }

    /// Names, scopes and states, for the metrics.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        self.checks
            .iter()
            .map(|check| (check.scope.name(), check.name, check.ok))
    }

    /// What keeps this node from being ready; empty if it is.
    pub(crate) fn not_ready(&self) -> Vec<&'static str> {
        let fresh = self
            .commit_age_ms
            .is_some_and(|age| age <= stall_ms(self.block_ms));
        let all = [
            ("sync", self.synced),
            ("commit_age", fresh),
            ("peers", self.peers_ok),
        ];
        all.into_iter()
            .filter(|(_, ok)| !ok)
            .map(|(name, _)| name)
            .collect()
    }
}

/// Free bytes on the volume of a directory.
pub(crate) fn disk_free(path: &std::path::Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    Some(
        found
            .blocks_available()
            .saturating_mul(found.fragment_size()),
    )
}

/// All bytes of that volume.
pub(crate) fn disk_size(path: &std::path::Path) -> Option<u64> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    Some(found.blocks().saturating_mul(found.fragment_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_wait_a_minute_at_least() {
        assert_eq!(stall_ms(500), 60_000);
        assert_eq!(stall_ms(10_000), 200_000);
    }

    #[test]
    fn the_disk_is_measured() {
        let here = std::env::temp_dir();
        let (free, size) = (disk_free(&here).unwrap(), disk_size(&here).unwrap());
        assert!(free <= size && size > 0);
    }
}
