//! Goal: full frames that arrive back to back all arrive; with less headroom below gossipsub's
//! transmit limit most of them would vanish without a word.

use net::{Config, ConsensusEvent, PAYLOAD_BYTES_MAX};
use protocol::digest::{BlockId, sha256};
use protocol::envelope::seal_proposal;
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{BodyPlace, Proposal};

use crate::support::{Carrier, Node, chain, config, consensus_key};

const FRAMES: u32 = 200;
/// Frames that wait at once: gossip gives up what has waited for two seconds, which a slow host needs
/// for all of them.
const AT_ONCE: u32 = 20;

fn roomy(mut config: Config) -> Config {
    let cons = &mut config.limits.cons;
    cons.relayer_bytes = cons.relayer_bytes.times(100);
    cons.signer_messages = cons.signer_messages.times(100);
    config
}

fn full_frame(round: u32) -> (Signed<Proposal>, Vec<u8>) {
    let key = consensus_key(1);
    let message = Proposal {
        height: Height(5),
        round: Round(round),
        pol_round: None,
        block: BlockId(sha256(&round.to_be_bytes())),
        body: BodyPlace::Inline,
        signer: key.public(),
    };
    let proposal = Signed::sign(message, &key, &chain());
    let overhead = seal_proposal(&proposal, &[]).len();
    (proposal, vec![0x5a; PAYLOAD_BYTES_MAX - overhead])
}

#[test]
fn two_hundred_full_frames_all_arrive() {
    for carrier in [Carrier::Quic, Carrier::Noise] {
        let host = Node::start(roomy(config(1, carrier)));
        let mut guest = roomy(config(2, carrier));
        guest.static_peers = vec![host.address()];
        let mut guest = Node::start(guest);
        host.wait_for_peers(1);
        guest.wait_for_peers(1);
        let mut rounds = Vec::new();
        for first in (0..FRAMES).step_by(AT_ONCE as usize) {
            for round in first..first + AT_ONCE {
                let (proposal, block) = full_frame(round);
                host.handle.broadcast_proposal(&proposal, &block).unwrap();
            }
            rounds.extend((0..AT_ONCE).map(|_| {
                guest.next("a proposal", |event| match event {
                    ConsensusEvent::Proposal { proposal, .. } => Some(proposal.message().round.0),
                    _ => None,
                })
            }));
        }
        rounds.sort_unstable();
        assert_eq!(rounds, (0..FRAMES).collect::<Vec<_>>(), "over {carrier:?}");
    }
}

#[test]
fn a_frame_too_large_is_refused_where_it_is_made() {
    let host = Node::start(config(1, Carrier::Quic));
    let (proposal, mut block) = full_frame(0);
    block.push(0);
    let len = PAYLOAD_BYTES_MAX + 1;
    assert_eq!(
        host.handle.broadcast_proposal(&proposal, &block),
        Err(net::CommandError::TooLarge { len })
    );
}
