//! The Merkle tree of RFC 6962, kept as its frontier; pure.

use protocol::digest::{Digest, sha256};

/// Hash of a leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    let mut bytes = Vec::with_capacity(1 + leaf.len());
    bytes.push(0);
    bytes.extend_from_slice(leaf);
    sha256(&bytes)
}

/// Hash of an inner node.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [0; 65];
    bytes[0] = 1;
    bytes[1..33].copy_from_slice(left.as_bytes());
    bytes[33..].copy_from_slice(right.as_bytes());
    sha256(&bytes)
}

/// The roots of the complete subtrees that cover all leaves so far, largest first: all that is
/// needed to append and to compute the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digest>,
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash. Each trailing one bit of the size is a pair to be joined.
    pub fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        let mut size = self.size;
        while size & 1 == 1 {
            let Some(left) = self.roots.pop() else { break };
            node = node_hash(&left, &node);
            size >>= 1;
        }
        self.roots.push(node);
        self.size += 1;
    }

    /// The root; of no leaves it is the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        let mut right_to_left = self.roots.iter().rev().copied();
        let smallest = right_to_left.next();
        smallest.map_or_else(
            || sha256(&[]),
            |smallest| right_to_left.fold(smallest, |right, left| node_hash(&left, &right)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recursive definition of RFC 6962 §2.1, word for word.
    fn root_by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => sha256(&[]),
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(split);
                node_hash(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    #[test]
    fn frontier_equals_definition() {
        let mut frontier = Frontier::new();
        let mut leaves = Vec::new();
        for index in 0_u32..130 {
            assert_eq!(
                frontier.root(),
                root_by_definition(&leaves),
                "{index} leaves"
            );
            let leaf = leaf_hash(&index.to_be_bytes());
            leaves.push(leaf);
            frontier.push(leaf);
        }
    }

    /// Root of the eight-leaf tree used throughout by Certificate Transparency implementations.
    #[test]
    fn known_root() {
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
        ];
        let last = "606162636465666768696a6b6c6d6e6f";
        let mut frontier = Frontier::new();
        for text in leaves.into_iter().chain([last]) {
            let bytes: Vec<u8> = (0..text.len() / 2)
                .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
                .collect();
            frontier.push(leaf_hash(&bytes));
        }
        let root = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328";
        assert_eq!(frontier.root().to_string(), root);
    }
}
