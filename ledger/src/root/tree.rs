//! The tree itself: immutable nodes, shared by every version that contains them.

use std::sync::Arc;

use protocol::digest::{Digest, sha256};

use super::{DEPTH_MAX, EMPTY, Proof, bit, inner_hash, leaf_hash, position};

#[derive(Debug)]
enum Node {
    Leaf {
        position: Digest,
        value_hash: Digest,
        hash: Digest,
    },
    Inner {
        hash: Digest,
        left: Link,
        right: Link,
    },
}

type Link = Option<Arc<Node>>;
/// A position and its new value hash; `None` removes it.
type Change = (Digest, Option<Digest>);

/// One version of the tree. Cloning is free.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    root: Link,
}

fn hash_of(link: &Link) -> Digest {
    match link.as_deref() {
        None => EMPTY,
        Some(Node::Leaf { hash, .. } | Node::Inner { hash, .. }) => *hash,
    }
}

fn leaf(position: Digest, value_hash: Digest) -> Link {
    let hash = leaf_hash(&position, &value_hash);
    Some(Arc::new(Node::Leaf {
        position,
        value_hash,
        hash,
    }))
}

/// Joins two subtrees; a leaf alone moves up.
fn join(left: Link, right: Link) -> Link {
    match (&left, &right) {
        (None, None) => None,
        (Some(only), None) | (None, Some(only)) if matches!(**only, Node::Leaf { .. }) => {
            Some(Arc::clone(only))
        }
        _ => {
            let hash = inner_hash(&hash_of(&left), &hash_of(&right));
            Some(Arc::new(Node::Inner { hash, left, right }))
        }
    }
}

/// Builds a subtree from changes alone: those that remove meet nothing here.
fn grow(depth: usize, changes: &[Change]) -> Link {
    let mut kept = changes
        .iter()
        .filter_map(|(at, value)| value.map(|value| (*at, value)));
    let (at, value) = kept.next()?;
    if kept.next().is_none() || depth >= DEPTH_MAX {
        return leaf(at, value);
    }
    let (left, right) = split(depth, changes);
    let below = depth.saturating_add(1);
    join(grow(below, left), grow(below, right))
}

/// Sorted changes of one subtree, by their bit at its depth.
fn split(depth: usize, changes: &[Change]) -> (&[Change], &[Change]) {
    changes.split_at(changes.partition_point(|(at, _)| !bit(at, depth)))
}

fn update(link: &Link, depth: usize, changes: &[Change]) -> Link {
    if changes.is_empty() {
        return link.clone();
    }
    match link.as_deref() {
        None => grow(depth, changes),
        Some(Node::Leaf {
            position,
            value_hash,
            ..
        }) => match changes.binary_search_by(|(at, _)| at.cmp(position)) {
            Ok(_) => grow(depth, changes),
            Err(index) => {
                let mut with_old = changes.to_vec();
                with_old.insert(index, (*position, Some(*value_hash)));
                grow(depth, &with_old)
            }
        },
        Some(Node::Inner { left, right, .. }) => {
            let (to_left, to_right) = split(depth, changes);
            let below = depth.saturating_add(1);
            join(update(left, below, to_left), update(right, below, to_right))
        }
    }
}

impl Tree {
    /// The root hash.
    #[must_use]
    pub fn root(&self) -> Digest {
        hash_of(&self.root)
    }

    /// The tree after these changes; `None` removes a key. A key's last change counts.
    #[must_use]
    pub fn update<'a>(
        &self,
        changes: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Self {
        let mut sorted: Vec<Change> = changes
            .into_iter()
            .map(|(key, value)| (position(key), value.map(sha256)))
            .collect();
        sorted.reverse();
        sorted.sort_by_key(|(at, _)| *at);
        sorted.dedup_by_key(|(at, _)| *at);
        Self {
            root: update(&self.root, 0, &sorted),
        }
    }

    /// What shows that a key has its value, or is absent.
    #[must_use]
    pub fn prove(&self, key: &[u8]) -> Proof {
        let at = position(key);
        let mut siblings = Vec::new();
        let mut link = &self.root;
        let mut depth: usize = 0;
        loop {
            match link.as_deref() {
                None => {
                    return Proof {
                        siblings,
                        leaf: None,
                    };
                }
                Some(Node::Leaf {
                    position,
                    value_hash,
                    ..
                }) => {
                    return Proof {
                        siblings,
                        leaf: Some((*position, *value_hash)),
                    };
                }
                Some(Node::Inner { left, right, .. }) => {
                    let (next, sibling) = if bit(&at, depth) {
                        (right, left)
                    } else {
                        (left, right)
                    };
                    siblings.push(hash_of(sibling));
                    link = next;
                    depth = depth.saturating_add(1);
                }
            }
        }
    }
}
