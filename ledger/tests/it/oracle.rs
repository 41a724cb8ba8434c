//! The state root against a foreign implementation, and the published layout against the real one.

use std::collections::BTreeMap;

use jmt::mock::MockTreeStore;
use jmt::{KeyHash, Sha256Jmt};
use ledger::State;
use ledger::root::position;
use protocol::digest::{ChainId, Digest};
use protocol::genesis::{Genesis, GenesisAccount, GenesisValidator};
use protocol::keys::SecretKey;
use protocol::params::Params;
use protocol::units::{Amount, TimeMs};

use crate::fuzz;

/// A Jellyfish Merkle Tree of the crate that the format comes from.
struct Oracle {
    store: MockTreeStore,
    version: u64,
}

impl Oracle {
    fn new() -> Self {
        let store = MockTreeStore::default();
        Self { store, version: 0 }
    }

    /// Applies a batch as the next version and says the root.
    fn update<'a>(
        &mut self,
        changes: impl Iterator<Item = (&'a Vec<u8>, Option<&'a Vec<u8>>)>,
    ) -> Digest {
        let changes = changes.map(|(key, value)| (KeyHash(position(key).0), value.cloned()));
        let (root, batch) = Sha256Jmt::new(&self.store)
            .put_value_set(changes, self.version)
            .unwrap();
        self.store.write_tree_update_batch(batch).unwrap();
        self.version += 1;
        Digest(root.0)
    }
}

/// Goal: the root is what others compute from the same leaves. Method: thousands of random operations;
/// after every block the changed leaves go into a foreign tree, whose root must be ours.
#[test]
fn state_roots_equal_those_of_a_foreign_tree() {
    let mut run = fuzz::Run::new(11);
    let mut oracle = Oracle::new();
    let leaves = run.world.state.leaves();
    let first = oracle.update(leaves.iter().map(|(key, value)| (key, Some(value))));
    assert_eq!(first, run.world.state.root());
    let (mut added, mut removed) = (0, 0);
    for _ in 0..120 {
        run.block();
        let changes = &run.world.last.as_ref().unwrap().changes;
        added += changes
            .iter()
            .filter(|change| change.value.is_some())
            .count();
        removed += changes
            .iter()
            .filter(|change| change.value.is_none())
            .count();
        let root = oracle.update(changes.iter().map(|c| (&c.key, c.value.as_ref())));
        let height = run.world.height();
        assert_eq!(root, run.world.state.root(), "height {height}");
    }
    assert!(
        added > 3_000 && removed > 100,
        "{added} put, {removed} removed"
    );
}

fn public(byte: u8) -> protocol::keys::PublicKey {
    SecretKey::from_bytes(&[byte; 32]).unwrap().public()
}

/// The chain of docs/protocol/state.md.
fn published() -> State {
    let genesis = Genesis {
        chain_id: ChainId::of_genesis(b"palisade-local"),
        chain_name: "palisade-local".to_owned(),
        time_ms: TimeMs(1_790_000_000_000),
        params: Params::local(),
        accounts: vec![GenesisAccount {
            address: public(1).address(),
            balance: Amount::pal(5_000),
        }],
        validators: vec![GenesisValidator {
            moniker: "alice".to_owned(),
            operator: public(1).address(),
            consensus_pk: public(2),
            session_pk: public(3),
            peer_id: "16Uiu2HAm".to_owned(),
            self_bond: Amount::pal(1_000),
        }],
    };
    State::genesis(&genesis).unwrap()
}

/// Goal: whoever follows the page gets our bytes. Method: the page's leaves are those of the chain it
/// describes, and their root, computed by the foreign tree, is the page's and ours.
#[test]
fn the_published_leaves_are_the_real_ones() {
    let page = include_str!("../../../docs/protocol/state.md");
    let state = published();
    let mut expected = String::new();
    for (key, value) in state.leaves() {
        let (key, value) = (hex::encode(key), hex::encode(value));
        expected.push_str(&format!("{key} {value}\n"));
    }
    expected.push_str(&format!("root {}\n", state.root()));
    assert!(
        page.contains(&expected),
        "docs/protocol/state.md must hold\n{expected}"
    );
    let listed: BTreeMap<Vec<u8>, Vec<u8>> = expected
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((hex::decode(key).ok()?, hex::decode(value).ok()?)))
        .collect();
    assert_eq!(listed.len(), 6);
    let leaves = listed.iter().map(|(key, value)| (key, Some(value)));
    assert_eq!(Oracle::new().update(leaves), state.root());
}
