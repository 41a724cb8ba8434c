//! What is asked and answered over request-response, and its bytes.

use std::hash::{BuildHasher, RandomState};

use protocol::digest::{BlockId, ChainId, Digest};
use protocol::envelope::Kind;
use protocol::units::{Height, Round};

use crate::proof::{PROOF_BYTES_MAX, Proof};
use crate::role::Role;
use crate::service::Service;
use crate::wire::{Reader, WireError, put_blob, put_count};

/// Version of `hello` and of all protocols behind it.
const HELLO_VERSION: u16 = 2;
const AGENT_BYTES_MAX: usize = 64;
/// Votes that one `voteset` request may bring along.
pub(crate) const OFFERED_MAX: usize = 32;
const HAVE_MAX: usize = 300;
const VOTESET_ANSWER_MAX: usize = 400;
/// Blocks in one `sync` answer.
pub const SYNC_BLOCKS_MAX: usize = 64;
/// Bytes in one blob chunk.
pub const CHUNK_BYTES: usize = 256 << 10;

const _: () =
    assert!(2 + 32 + 8 + 1 + 8 + 32 + 1 + AGENT_BYTES_MAX + 1 + PROOF_BYTES_MAX <= 1 << 10);
const _: () = assert!(12 + 2 + HAVE_MAX * 34 + 2 + 4 <= Service::Voteset.request_bytes_max());
const _: () = assert!(1 + 8 + 4 + CHUNK_BYTES <= Service::Blob.response_bytes_max());

/// A node's last committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its height; zero before the first block.
    pub height: Height,
    /// Its id; zero before the first block.
    pub block: BlockId,
}

impl Default for Tip {
    /// Before the first block.
    fn default() -> Self {
        Self {
            height: Height(0),
            block: BlockId(Digest([0; 32])),
        }
    }
}

/// Drawn anew at each start: tells a peer that has restarted from one that dialled twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life(pub(crate) u64);

impl Life {
    /// Differs from all before it; nothing secret hangs on it.
    pub(crate) fn begin() -> Self {
        Self(RandomState::new().hash_one(()))
    }
}

/// First message both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) chain: ChainId,
    pub(crate) life: Life,
    pub(crate) role: Role,
    pub(crate) tip: Tip,
    pub(crate) agent: String,
    pub(crate) proof: Option<Proof>,
}

impl Hello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let agent = self.agent.as_bytes();
        let agent = &agent[..agent.len().min(AGENT_BYTES_MAX)];
        let mut out = HELLO_VERSION.to_be_bytes().to_vec();
        out.extend_from_slice(self.chain.as_ref());
        out.extend_from_slice(&self.life.0.to_be_bytes());
        out.push(self.role.code());
        put_tip(&mut out, &self.tip);
        out.push(u8::try_from(agent.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(agent);
        match &self.proof {
            None => out.push(0),
            Some(proof) => {
                out.push(1);
                proof.encode(&mut out);
            }
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        if reader.u16()? != HELLO_VERSION {
            return Err(WireError::Value("hello version"));
        }
        let chain = ChainId(reader.digest()?);
        let life = Life(reader.u64()?);
        let role = Role::from_code(reader.u8()?).ok_or(WireError::Value("role"))?;
        let tip = get_tip(&mut reader)?;
        let length = usize::from(reader.u8()?);
        if length > AGENT_BYTES_MAX {
            return Err(WireError::TooMany {
                found: length,
                max: AGENT_BYTES_MAX,
            });
        }
        let agent = printable(reader.bytes(length)?)?;
        let proof = match reader.flag("proof flag")? {
            false => None,
            true => Some(Proof::decode(&mut reader)?),
        };
        reader.end()?;
        Ok(Self {
            chain,
            life,
            role,
            tip,
            agent,
            proof,
        })
    }
}

/// The agent string is attacker's input that ends in logs and on a dashboard.
fn printable(bytes: &[u8]) -> Result<String, WireError> {
    if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return Ok(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    Err(WireError::Value("agent"))
}

fn put_tip(out: &mut Vec<u8>, tip: &Tip) {
    out.extend_from_slice(&tip.height.0.to_be_bytes());
    out.extend_from_slice(tip.block.as_ref());
}

fn get_tip(reader: &mut Reader<'_>) -> Result<Tip, WireError> {
    Ok(Tip {
        height: Height(reader.u64()?),
        block: BlockId(reader.digest()?),
    })
}

/// `status`: both directions carry a tip.
pub(crate) fn encode_tip(tip: &Tip) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    put_tip(&mut out, tip);
    out
}

pub(crate) fn decode_tip(bytes: &[u8]) -> Result<Tip, WireError> {
    let mut reader = Reader::new(bytes);
    let tip = get_tip(&mut reader)?;
    reader.end()?;
    Ok(tip)
}

/// Names one signed statement within a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct VoteKey {
    pub(crate) kind: Kind,
    pub(crate) signer: [u8; 33],
}

/// `voteset` request: what I have of this round, and some envelopes you may lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VotesetRequest {
    pub(crate) height: Height,
    pub(crate) round: Round,
    pub(crate) have: Vec<VoteKey>,
    pub(crate) offered: Vec<Vec<u8>>,
}

impl VotesetRequest {
    /// Encodes, leaving out what would exceed the protocol's cap: what is not named as held is
    /// merely sent again, what is not offered now is offered later.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let have = &self.have[..self.have.len().min(HAVE_MAX)];
        let mut out = self.height.0.to_be_bytes().to_vec();
        out.extend_from_slice(&self.round.0.to_be_bytes());
        put_count(&mut out, have.len());
        for key in have {
            out.push(key.kind.code());
            out.extend_from_slice(&key.signer);
        }
        let room = Service::Voteset
            .request_bytes_max()
            .saturating_sub(out.len() + 2);
        put_envelopes(&mut out, &self.offered, OFFERED_MAX, room);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let height = Height(reader.u64()?);
        let round = Round(reader.u32()?);
        let count = reader.count(HAVE_MAX)?;
        let have = (0..count)
            .map(|_| {
                let kind = Kind::from_code(reader.u8()?).ok_or(WireError::Value("kind"))?;
                Ok(VoteKey {
                    kind,
                    signer: reader.array()?,
                })
            })
            .collect::<Result<_, WireError>>()?;
        let offered = get_envelopes(&mut reader, OFFERED_MAX)?;
        reader.end()?;
        Ok(Self {
            height,
            round,
            have,
            offered,
        })
    }
}

pub(crate) fn encode_voteset_answer(missing: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let room = Service::Voteset.response_bytes_max() - 2;
    put_envelopes(&mut out, missing, VOTESET_ANSWER_MAX, room);
    out
}

pub(crate) fn decode_voteset_answer(bytes: &[u8]) -> Result<Vec<Vec<u8>>, WireError> {
    let mut reader = Reader::new(bytes);
    let envelopes = get_envelopes(&mut reader, VOTESET_ANSWER_MAX)?;
    reader.end()?;
    Ok(envelopes)
}

/// Appends as many as fit, counted first.
fn put_envelopes(out: &mut Vec<u8>, envelopes: &[Vec<u8>], count_max: usize, mut room: usize) {
    let fitting: Vec<&Vec<u8>> = envelopes
        .iter()
        .filter(|envelope| {
            let needed = envelope.len().saturating_add(4);
            let fits = needed <= room;
            if fits {
                room -= needed;
            }
            fits
        })
        .take(count_max)
        .collect();
    put_count(out, fitting.len());
    for envelope in fitting {
        put_blob(out, envelope);
    }
}

fn get_envelopes(reader: &mut Reader<'_>, count_max: usize) -> Result<Vec<Vec<u8>>, WireError> {
    let count = reader.count(count_max)?;
    (0..count)
        .map(|_| reader.blob(crate::gossip::PAYLOAD_BYTES_MAX))
        .collect()
}

/// `body` request.
pub(crate) fn encode_body_request(block: &BlockId) -> Vec<u8> {
    block.as_ref().to_vec()
}

pub(crate) fn decode_body_request(bytes: &[u8]) -> Result<BlockId, WireError> {
    let mut reader = Reader::new(bytes);
    let block = BlockId(reader.digest()?);
    reader.end()?;
    Ok(block)
}

/// `body` answer: header ‖ body, or nothing.
pub(crate) fn encode_body_answer(body: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.map_or(1, |body| body.len() + 5));
    match body {
        None => out.push(0),
        Some(body) => {
            out.push(1);
            put_blob(&mut out, body);
        }
    }
    out
}

pub(crate) fn decode_body_answer(bytes: &[u8]) -> Result<Option<Vec<u8>>, WireError> {
    let mut reader = Reader::new(bytes);
    let body = match reader.flag("body flag")? {
        false => None,
        true => Some(reader.blob(Service::Body.response_bytes_max())?),
    };
    reader.end()?;
    Ok(body)
}

/// `sync` request.
pub(crate) fn encode_sync_request(from: Height) -> Vec<u8> {
    from.0.to_be_bytes().to_vec()
}

pub(crate) fn decode_sync_request(bytes: &[u8]) -> Result<Height, WireError> {
    let mut reader = Reader::new(bytes);
    let from = Height(reader.u64()?);
    reader.end()?;
    Ok(from)
}

/// A decided block with its proof of decision, both as canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedBlock {
    /// header ‖ body.
    pub block: Vec<u8>,
    /// The commit certificate.
    pub certificate: Vec<u8>,
}

/// Encodes a prefix of `blocks` that fits the cap.
pub(crate) fn encode_sync_answer(blocks: &[DecidedBlock]) -> Vec<u8> {
    let mut room = Service::Sync.response_bytes_max() - 2;
    let mut count = 0;
    for decided in blocks.iter().take(SYNC_BLOCKS_MAX) {
        let needed = decided.block.len() + decided.certificate.len() + 8;
        if needed > room {
            break;
        }
        room -= needed;
        count += 1;
    }
    let mut out = Vec::new();
    put_count(&mut out, count);
    for decided in &blocks[..count] {
        put_blob(&mut out, &decided.block);
        put_blob(&mut out, &decided.certificate);
    }
    out
}

pub(crate) fn decode_sync_answer(bytes: &[u8]) -> Result<Vec<DecidedBlock>, WireError> {
    let max = Service::Sync.response_bytes_max();
    let mut reader = Reader::new(bytes);
    let count = reader.count(SYNC_BLOCKS_MAX)?;
    let blocks = (0..count)
        .map(|_| {
            Ok(DecidedBlock {
                block: reader.blob(max)?,
                certificate: reader.blob(max)?,
            })
        })
        .collect::<Result<_, WireError>>()?;
    reader.end()?;
    Ok(blocks)
}

/// `blob` request: one chunk of a content-addressed blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobRequest {
    /// SHA-256 of the blob, or a manifest's root.
    pub key: Digest,
    /// First byte wanted.
    pub offset: u64,
}

/// One chunk of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Size of the whole blob.
    pub size: u64,
    /// At most [`CHUNK_BYTES`] bytes from the offset on.
    pub bytes: Vec<u8>,
}

impl BlobRequest {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.key.as_ref().to_vec();
        out.extend_from_slice(&self.offset.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let request = Self {
            key: reader.digest()?,
            offset: reader.u64()?,
        };
        reader.end()?;
        Ok(request)
    }
}

pub(crate) fn encode_blob_answer(chunk: Option<&Chunk>) -> Vec<u8> {
    let Some(chunk) = chunk else { return vec![0] };
    let mut out = Vec::with_capacity(chunk.bytes.len() + 13);
    out.push(1);
    out.extend_from_slice(&chunk.size.to_be_bytes());
    put_blob(&mut out, &chunk.bytes);
    out
}

pub(crate) fn decode_blob_answer(bytes: &[u8]) -> Result<Option<Chunk>, WireError> {
    let mut reader = Reader::new(bytes);
    let chunk = match reader.flag("blob flag")? {
        false => None,
        true => Some(Chunk {
            size: reader.u64()?,
            bytes: reader.blob(CHUNK_BYTES)?,
        }),
    };
    reader.end()?;
    Ok(chunk)
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
