//! What the network and storage say, in the machine's words.

use consensus::{Input, Peer, Received};
use net::{ConsensusEvent, DecidedBlock, PeerId};
use protocol::block::{HEADER_BYTES, Header};
use protocol::codec::decode_canonical;
use protocol::digest::{BlockId, ChainId, Tag, th};
use protocol::keys::SecretKey;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{CommitCertificate, RelayedCertificate};
use storage::exit::ExitKind;
use storage::request::JournalError;

use crate::tamper::Outgoing;

/// Inputs for the machine, and who sent bytes that are not what they claim to be.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) inputs: Vec<Input>,
    pub(super) liar: Option<PeerId>,
}

fn name(peer: &PeerId) -> Peer {
    Peer::new(&peer.to_bytes())
}

/// What an event means to the machine.
pub(super) fn inputs(event: ConsensusEvent) -> Heard {
    let inputs = match event {
        ConsensusEvent::Vote { peer, vote } => {
            vec![Input::Message(name(&peer), Received::Vote(vote))]
        }
        ConsensusEvent::Proposal {
            peer,
            proposal,
            block,
        } => {
            let (from, id) = (name(&peer), proposal.message().block);
            let message = Input::Message(from.clone(), Received::Proposal(proposal));
            // A proposal pulled from a round's votes comes without the block that it announces.
            let block = block.filter(|bytes| !bytes.is_empty());
            let body = block.map(|bytes| Input::Body(from, id, bytes.into()));
            [Some(message), body].into_iter().flatten().collect()
        }
        ConsensusEvent::Certificate { peer, certificate } => {
            vec![Input::Message(
                name(&peer),
                Received::Certificate(certificate),
            )]
        }
        ConsensusEvent::PeerUp { peer, tip, .. } | ConsensusEvent::Status { peer, tip } => {
            vec![Input::Status {
                peer: name(&peer),
                tip: tip.height,
            }]
        }
        ConsensusEvent::Ahead { peer, height } => {
            vec![Input::Status {
                peer: name(&peer),
                tip: height.previous(),
            }]
        }
        ConsensusEvent::PeerDown { .. } => Vec::new(),
        ConsensusEvent::Body { peer, block, bytes } => return body(peer, block, bytes),
        ConsensusEvent::Synced { peer, blocks, .. } => return synced(peer, blocks),
    };
    Heard { inputs, liar: None }
}

fn body(peer: PeerId, id: BlockId, bytes: Option<Vec<u8>>) -> Heard {
    let Some(bytes) = bytes else {
        return Heard::default();
    };
    if is_named(&bytes, &id) {
        let inputs = vec![Input::Body(name(&peer), id, bytes.into())];
        return Heard { inputs, liar: None };
    }
    Heard {
        inputs: Vec::new(),
        liar: Some(peer),
    }
}

/// Whether the bytes are the ones that the id names. A body that is named and malformed is its
/// proposer's fault, not its sender's: the judge will find it invalid.
fn is_named(bytes: &[u8], id: &BlockId) -> bool {
    let Some((head, body)) = bytes.split_at_checked(HEADER_BYTES) else {
        return false;
    };
    decode_canonical::<Header>(head)
        .is_ok_and(|header| header.id() == *id && header.body_hash == th(Tag::Body, &[body]))
}

fn synced(peer: PeerId, blocks: Vec<DecidedBlock>) -> Heard {
    let mut inputs = Vec::new();
    for decided in blocks {
        let Ok(certificate) = decode_canonical::<CommitCertificate>(&decided.certificate) else {
            return Heard {
                inputs,
                liar: Some(peer),
            };
        };
        let block = decided.block.into();
        inputs.push(Input::Synced {
            peer: name(&peer),
            block,
            certificate,
        });
    }
    Heard { inputs, liar: None }
}

/// How a failed journal request ends the process, if it does.
pub(super) fn exit_of<T>(outcome: &Result<T, JournalError>) -> Option<u8> {
    outcome
        .as_ref()
        .err()
        .and_then(JournalError::exit)
        .map(ExitKind::code)
}

/// The round a message belongs to.
pub(super) fn place_of(message: &consensus::Outgoing) -> (Height, Round) {
    match message {
        consensus::Outgoing::Vote(vote) => (vote.message.height, vote.message.round),
        consensus::Outgoing::Proposal(proposal, _) => {
            (proposal.message.height, proposal.message.round)
        }
        consensus::Outgoing::Certificate(certificate) => {
            (certificate.height(), certificate.round())
        }
    }
}

/// A message as it travels: certificates under the relaying validator's session key.
pub(super) fn sealed(
    message: consensus::Outgoing,
    session: Option<&SecretKey>,
    chain: &ChainId,
) -> Option<Outgoing> {
    Some(match message {
        consensus::Outgoing::Vote(vote) => Outgoing::Vote(vote),
        consensus::Outgoing::Proposal(proposal, block) => Outgoing::Proposal {
            proposal,
            block: block.unwrap_or_default(),
        },
        consensus::Outgoing::Certificate(certificate) => {
            let session = session?;
            let signer = session.public();
            let relayed = RelayedCertificate {
                certificate,
                signer,
            };
            Outgoing::Certificate(Signed::sign(relayed, session, chain))
        }
    })
}

/// For the halt file.
pub(super) fn hex_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
