//! Which blocks are missing, whom to ask for them, and whether an answer is one. Pure.
//!
//! ```text
//!  log:   1 2 3 . . . . 8 9 .        state of height 10
//!               4 <- <- 7   10       highest first: each block names the id of the one below it
//! ```
//! What is put back is therefore the very block that was lost, whoever sends it. Its certificate is
//! checked where the set of its height is still known, which the caller knows.

use std::collections::VecDeque;

use net::{DecidedBlock, PeerId};
use protocol::block::{Block, Header};
use protocol::codec::decode_canonical;
use protocol::digest::BlockId;
use protocol::units::Height;
use protocol::vote::CommitCertificate;
use storage::blocks::{BlockReader, CommittedBlock, Gap, Tip};

/// Peers that are asked in turn.
const PEERS_MAX: usize = 32;
/// Heights asked for at once. Checking them must not keep the chain waiting.
const SPAN_MAX: u64 = 16;

/// No block has this id.
const NOBODY: BlockId = BlockId::ZERO;

/// Somebody sent what the id does not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lied;

/// See the module.
#[derive(Debug)]
pub(crate) struct Lost {
    /// Ascending; the last one is worked on.
    gaps: Vec<Gap>,
    /// The id of the highest block of the last gap.
    wanted: BlockId,
    peers: VecDeque<PeerId>,
    span: u64,
}

impl Lost {
    /// What is missing at or below the state's head.
    pub(crate) fn new(blocks: &BlockReader, head: Tip) -> Self {
        let mut lost = Self {
            gaps: blocks.gaps_through(head.height),
            wanted: NOBODY,
            peers: VecDeque::new(),
            span: SPAN_MAX,
        };
        let last = lost.gaps.last().map(|gap| gap.last);
        lost.wanted = match last {
            Some(last) if last == head.height => head.id,
            Some(last) => parent_of(blocks, last.next()),
            None => NOBODY,
        };
        lost
    }

    /// How many blocks are missing.
    pub(crate) fn missing(&self) -> u64 {
        let lengths = self.gaps.iter().map(|gap| gap.last.0 - gap.first.0 + 1);
        lengths.sum()
    }

    /// A peer to ask.
    pub(super) fn met(&mut self, peer: PeerId) {
        if !self.gaps.is_empty() && self.peers.len() < PEERS_MAX && !self.peers.contains(&peer) {
            self.peers.push_back(peer);
        }
    }

    /// A peer that is gone, or not worth asking.
    pub(super) fn drop_peer(&mut self, peer: &PeerId) {
        self.peers.retain(|known| known != peer);
    }

    /// Whom to ask next, and from which height on.
    pub(super) fn ask(&mut self) -> Option<(PeerId, Height)> {
        let gap = self.gaps.last()?;
        let from = gap.last.minus(self.span.saturating_sub(1)).max(gap.first);
        self.peers.rotate_left(usize::from(!self.peers.is_empty()));
        Some((*self.peers.front()?, from))
    }

    /// Whether an answer that begins here is to a question of ours: the machine asks for heights that
    /// are not committed yet.
    pub(super) fn is_ours(&self, from: Height) -> bool {
        self.gaps.last().is_some_and(|gap| from <= gap.last)
    }

    /// The next block to put back out of an answer; `None` when there is none in it any more.
    ///
    /// # Errors
    /// [`Lied`] if the answer holds another block at that height, or a certificate that does not
    /// prove it.
    pub(super) fn next(
        &mut self,
        from: Height,
        blocks: &[DecidedBlock],
        is_proof: &dyn Fn(&CommitCertificate) -> bool,
    ) -> Result<Option<CommittedBlock>, Lied> {
        let Some(height) = self.gaps.last().map(|gap| gap.last) else {
            return Ok(None);
        };
        let place = height.0.checked_sub(from.0);
        let place = place.and_then(|place| usize::try_from(place).ok());
        let Some(found) = place.and_then(|place| blocks.get(place)) else {
            // Large blocks: the answer was full before it came to the one wanted.
            if !blocks.is_empty() && place.is_some() {
                self.span = (self.span / 2).max(1);
            }
            return Ok(None);
        };
        let block = Block::from_bytes(&found.block).map_err(|_| Lied)?;
        let id = block.header.id();
        let certificate = decode_canonical::<CommitCertificate>(&found.certificate);
        let proven = certificate.is_ok_and(|certificate| {
            (certificate.height, certificate.block) == (height, id) && is_proof(&certificate)
        });
        if id != self.wanted || !proven {
            return Err(Lied);
        }
        Ok(Some(CommittedBlock {
            height,
            id,
            block: found.block.clone(),
            certificate: found.certificate.clone(),
        }))
    }

    /// The block is on its way into the log: the next one wanted is its parent, or the end of the gap
    /// below.
    pub(super) fn put_back(&mut self, block: &CommittedBlock, blocks: &BlockReader) {
        let Some(gap) = self.gaps.last_mut() else {
            return;
        };
        // Large blocks may have been an exception.
        self.span = self.span.saturating_add(1).min(SPAN_MAX);
        if gap.first < gap.last {
            gap.last = gap.last.previous();
            self.wanted = header_of(&block.block).map_or(NOBODY, parent_id);
            return;
        }
        self.gaps.pop();
        self.wanted = match self.gaps.last() {
            Some(gap) => parent_of(blocks, gap.last.next()),
            None => NOBODY,
        };
    }
}

fn header_of(block: &[u8]) -> Option<Header> {
    let head = block.get(..protocol::block::HEADER_BYTES)?;
    decode_canonical(head).ok()
}

fn parent_id(header: Header) -> BlockId {
    BlockId(header.parent)
}

/// What the block at a height that the log holds says about the one below. No block has the id
/// zero, so an unreadable one makes all answers wrong, never a wrong answer right.
fn parent_of(blocks: &BlockReader, height: Height) -> BlockId {
    let stored = blocks.block(height).ok().flatten();
    let header = stored.and_then(|stored| header_of(&stored.block));
    header.map_or(NOBODY, parent_id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use net::NodeKey;
    use protocol::block::{Body, HEADER_VERSION};
    use protocol::codec::encode;
    use protocol::digest::{ChainId, Digest, ValidatorId};
    use protocol::keys::SecretKey;
    use protocol::units::{Round, TimeMs};
    use storage::blocks::BlockLog;
    use storage::layer::OsLayer;

    use super::*;

    const SEGMENT_BYTES: u64 = 4 << 20;

    /// A chain of blocks, lowest first.
    fn chain(length: u64) -> Vec<CommittedBlock> {
        let mut parent = Digest::ZERO;
        (1..=length)
            .map(|height| {
                let body = Body(vec![height.to_be_bytes().to_vec()]);
                let header = Header {
                    version: HEADER_VERSION,
                    height: Height(height),
                    time_ms: TimeMs(height),
                    parent,
                    state_root: Digest::ZERO,
                    body_hash: body.hash(),
                    next_set: Digest::ZERO,
                    builder: ValidatorId(Digest::ZERO),
                };
                let (height, id) = (header.height, header.id());
                parent = id.0;
                let certificate = CommitCertificate {
                    height,
                    round: Round::ZERO,
                    block: id,
                    signatures: Vec::new(),
                };
                CommittedBlock {
                    height,
                    id,
                    block: Block { header, body }.to_bytes(),
                    certificate: encode(&certificate),
                }
            })
            .collect()
    }

    /// A log that holds these heights of the chain.
    fn log_of(chain: &[CommittedBlock], held: &[u64]) -> (tempfile::TempDir, BlockReader) {
        let dir = tempfile::tempdir().unwrap();
        let id = ChainId::of_genesis(b"palisade-local");
        let (mut log, _) =
            BlockLog::open(Arc::new(OsLayer), dir.path(), id, SEGMENT_BYTES).unwrap();
        for block in chain.iter().filter(|block| held.contains(&block.height.0)) {
            log.append(block).unwrap();
        }
        log.sync().unwrap();
        (dir, log.reader())
    }

    fn lost(chain: &[CommittedBlock], held: &[u64]) -> (Lost, BlockReader, tempfile::TempDir) {
        let (dir, reader) = log_of(chain, held);
        let last = chain.last().unwrap();
        let (height, id) = (last.height, last.id);
        (Lost::new(&reader, Tip { height, id }), reader, dir)
    }

    fn peer(seed: u8) -> PeerId {
        let secret = SecretKey::from_bytes(&[seed; 32]).unwrap();
        NodeKey::from_secret(&secret).unwrap().peer_id()
    }

    /// What an honest peer answers, at most so many blocks.
    fn answer(chain: &[CommittedBlock], from: Height, most: usize) -> Vec<DecidedBlock> {
        let rest = chain.iter().filter(|block| block.height >= from);
        rest.take(most)
            .map(|block| DecidedBlock {
                block: block.block.clone(),
                certificate: block.certificate.clone(),
            })
            .collect()
    }

    fn yes(_: &CommitCertificate) -> bool {
        true
    }

    /// Asks until nothing is missing and says which heights came, in order.
    fn all(
        lost: &mut Lost,
        reader: &BlockReader,
        chain: &[CommittedBlock],
        most: usize,
    ) -> Vec<u64> {
        let mut came = Vec::new();
        for _ in 0..200 {
            let Some((_, from)) = lost.ask() else { break };
            let answer = answer(chain, from, most);
            while let Some(block) = lost.next(from, &answer, &yes).unwrap() {
                assert_eq!(block, chain[usize::try_from(block.height.0).unwrap() - 1]);
                came.push(block.height.0);
                lost.put_back(&block, reader);
            }
        }
        came
    }

    /// Goal: every gap is filled, from the top, also when the state's own block is among the lost.
    #[test]
    fn all_gaps_are_filled_from_the_top() {
        let chain = chain(40);
        let held: &[u64] = &[1, 2, 3, 30, 31];
        let (mut lost, reader, _dir) = lost(&chain, held);
        assert_eq!(lost.missing(), 35);
        assert_eq!(lost.ask(), None, "nobody is there");
        lost.met(peer(1));
        let came = all(&mut lost, &reader, &chain, 64);
        let wanted: Vec<u64> = (32..=40).rev().chain((4..=29).rev()).collect();
        assert_eq!(came, wanted);
        assert_eq!((lost.missing(), lost.ask()), (0, None));
        assert!(!lost.is_ours(Height(1)));
    }

    /// Goal: blocks so large that an answer holds two of them arrive all the same.
    #[test]
    fn answers_cut_short_are_asked_in_smaller_pieces() {
        let chain = chain(30);
        let (mut lost, reader, _dir) = lost(&chain, &[]);
        lost.met(peer(1));
        assert_eq!(all(&mut lost, &reader, &chain, 2).len(), 30);
    }

    /// Goal: what the block above does not name is a lie, and so is a certificate of another block or
    /// one that the set refuses.
    #[test]
    fn another_block_is_a_lie() {
        let chain = chain(5);
        let (mut lost, _reader, _dir) = lost(&chain, &[1]);
        lost.met(peer(1));
        let from = lost.ask().unwrap().1;
        assert_eq!(from, Height(2));
        let right = answer(&chain, from, 64);
        let mut swapped = right.clone();
        swapped[3] = right[2].clone();
        let mut uncertified = right.clone();
        uncertified[3].certificate = right[2].certificate.clone();
        let mut noise = right.clone();
        noise[3].block.truncate(20);
        for wrong in [swapped, uncertified, noise] {
            assert_eq!(lost.next(from, &wrong, &yes), Err(Lied));
        }
        assert_eq!(lost.next(from, &right, &|_| false), Err(Lied));
        assert_eq!(lost.next(from, &[], &yes), Ok(None));
        assert_eq!(lost.next(from, &right, &yes), Ok(Some(chain[4].clone())));
    }

    /// Goal: peers are asked in turn, and not more of them than fit.
    #[test]
    fn peers_are_asked_in_turn() {
        let chain = chain(3);
        let (mut lost, _reader, _dir) = lost(&chain, &[]);
        (1..=40).for_each(|seed| lost.met(peer(seed)));
        assert_eq!(lost.peers.len(), PEERS_MAX);
        let first = lost.ask().unwrap().0;
        let second = lost.ask().unwrap().0;
        assert_ne!(first, second);
        lost.drop_peer(&second);
        assert!((0..PEERS_MAX).all(|_| lost.ask().unwrap().0 != second));
    }
}
