//! What nodes and clients of this layer send each other: a byte that says what, then the bytes.

use std::sync::Arc;

use actors::evidence::pairs;
use protocol::evidence::{ContradictingPair, EvidenceKind};

const TX: u8 = 1;
const PAIR: u8 = 2;

/// Something that came.
pub(super) enum Heard<'a> {
    /// The bytes of a signed transaction.
    Tx(&'a [u8]),
    /// Two messages that may contradict each other.
    Pair(EvidenceKind, Vec<u8>, Vec<u8>),
}

fn tagged(tag: u8, bytes: &[u8]) -> Arc<[u8]> {
    [&[tag], bytes].concat().into()
}

pub(super) fn tx(bytes: &[u8]) -> Arc<[u8]> {
    tagged(TX, bytes)
}

pub(super) fn pair(pair: &ContradictingPair) -> Arc<[u8]> {
    tagged(PAIR, &pairs::to_disk(pair))
}

pub(super) fn read(bytes: &[u8]) -> Option<Heard<'_>> {
    let (tag, rest) = bytes.split_first()?;
    match *tag {
        TX => Some(Heard::Tx(rest)),
        PAIR => {
            let (kind, first, second) = pairs::from_disk(rest)?;
            Some(Heard::Pair(kind, first, second))
        }
        _ => None,
    }
}
