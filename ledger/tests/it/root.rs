//! The tree against a naive model: recursive halving of the sorted leaves.

use std::collections::BTreeMap;

use ledger::root::{EMPTY, Proof, ProofError, Tree, position};
use proptest::prelude::*;
use protocol::digest::{Digest, sha256};

fn naive(leaves: &[(Digest, Digest)], depth: usize) -> Digest {
    let bit = |at: &Digest| at.as_bytes()[depth / 8] >> (7 - depth % 8) & 1 == 1;
    match leaves {
        [] => EMPTY,
        [(at, value)] => {
            sha256(&[b"JMT::LeafNode".as_slice(), at.as_ref(), value.as_ref()].concat())
        }
        many => {
            let (right, left): (Vec<_>, Vec<_>) = many.iter().partition(|(at, _)| bit(at));
            let (left, right) = (naive(&left, depth + 1), naive(&right, depth + 1));
            sha256(
                &[
                    b"JMT::IntrnalNode".as_slice(),
                    left.as_ref(),
                    right.as_ref(),
                ]
                .concat(),
            )
        }
    }
}

fn naive_root(model: &BTreeMap<Vec<u8>, Vec<u8>>) -> Digest {
    let leaves: Vec<_> = model
        .iter()
        .map(|(key, value)| (position(key), sha256(value)))
        .collect();
    naive(&leaves, 0)
}

fn set(key: &[u8], value: &[u8]) -> Tree {
    Tree::default().update([(key, Some(value))])
}

#[test]
fn small_trees_by_hand() {
    assert_eq!(Tree::default().root(), EMPTY);
    assert_eq!(EMPTY.as_bytes(), b"SPARSE_MERKLE_PLACEHOLDER_HASH__");
    let (k, v) = (sha256(b"k"), sha256(b"v"));
    let leaf = [b"JMT::LeafNode".as_slice(), k.as_ref(), v.as_ref()].concat();
    assert_eq!(set(b"k", b"v").root(), sha256(&leaf));
    let emptied = set(b"k", b"v").update([(b"k".as_slice(), None)]);
    assert_eq!(emptied.root(), EMPTY);
    let last_counts =
        Tree::default().update([(b"k".as_slice(), None), (b"k".as_slice(), Some(&b"v"[..]))]);
    assert_eq!(last_counts.root(), set(b"k", b"v").root());
}

#[test]
fn forged_proofs_show_nothing() {
    let leaves: Vec<(Vec<u8>, Vec<u8>)> = (0..64_u8).map(|n| (vec![n], vec![n, n])).collect();
    let tree = Tree::default().update(leaves.iter().map(|(k, v)| (&k[..], Some(&v[..]))));
    let root = tree.root();
    let proof = tree.prove(&[7]);
    assert_eq!(proof.verify(&root, &[7], Some(&[7, 7])), Ok(()));
    assert_eq!(
        proof.verify(&root, &[7], Some(&[7, 8])),
        Err(ProofError::Leaf)
    );
    assert_eq!(proof.verify(&root, &[7], None), Err(ProofError::Leaf));
    assert_eq!(
        proof.verify(&root, &[8], Some(&[8, 8])),
        Err(ProofError::Leaf)
    );
    assert!(matches!(
        proof.verify(&EMPTY, &[7], Some(&[7, 7])),
        Err(ProofError::Root { .. })
    ));
    for index in 0..proof.siblings.len() {
        let mut forged = proof.clone();
        forged.siblings[index].0[0] ^= 1;
        assert!(forged.verify(&root, &[7], Some(&[7, 7])).is_err());
        let mut shorter = proof.clone();
        shorter.siblings.remove(index);
        assert!(shorter.verify(&root, &[7], Some(&[7, 7])).is_err());
    }
    let deep = Proof {
        siblings: vec![EMPTY; 257],
        leaf: None,
    };
    assert_eq!(
        deep.verify(&root, &[7], None),
        Err(ProofError::TooDeep(257))
    );
    let borrowed = tree.prove(&[200]);
    assert_eq!(borrowed.verify(&root, &[200], None), Ok(()));
    assert!(
        borrowed.verify(&root, &[7], None).is_err(),
        "absence of another key"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any sequence of batches gives the naive root, proves every key, and the order of leaves does
    /// not matter.
    #[test]
    fn tree_matches_naive_model(
        batches in prop::collection::vec(
            prop::collection::vec((0..40_u8, prop::option::of(any::<u8>())), 0..20), 1..12)
    ) {
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut tree = Tree::default();
        for batch in &batches {
            let before = (tree.clone(), naive_root(&model));
            let changes: Vec<_> =
                batch.iter().map(|(k, v)| (vec![*k], v.map(|v| vec![v]))).collect();
            tree = tree.update(changes.iter().map(|(k, v)| (&k[..], v.as_deref())));
            for (key, value) in changes {
                match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
            prop_assert_eq!(tree.root(), naive_root(&model));
            prop_assert_eq!(before.0.root(), before.1, "an older version changed");
        }
        for key in 0..40_u8 {
            let value = model.get(&vec![key]).map(Vec::as_slice);
            prop_assert_eq!(tree.prove(&[key]).verify(&tree.root(), &[key], value), Ok(()));
        }
        let mut backwards = Tree::default();
        for (key, value) in model.iter().rev() {
            backwards = backwards.update([(&key[..], Some(&value[..]))]);
        }
        prop_assert_eq!(backwards.root(), tree.root());
    }
}
