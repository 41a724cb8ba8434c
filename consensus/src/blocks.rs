//! A block seen from here: bytes that either are the ones an id names, or are not.

use protocol::block::{HEADER_BYTES, HEADER_VERSION, Header};
use protocol::codec::decode_canonical;
use protocol::digest::{BlockId, Tag, th};
use protocol::limits::BLOCK_BYTES_MAX;

/// The id of a well-formed `header ‖ body`; the body's content is not looked into.
pub(crate) fn id_of(block: &[u8]) -> Option<BlockId> {
    if block.len() > BLOCK_BYTES_MAX {
        return None;
    }
    let (head, body) = block.split_at_checked(HEADER_BYTES)?;
    let header: Header = decode_canonical(head).ok()?;
    let whole = header.version == HEADER_VERSION && th(Tag::Body, &[body]) == header.body_hash;
    whole.then(|| header.id())
}
