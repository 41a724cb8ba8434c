//! What the driver of a virtual node does with effects, and the oracles that watch it.

use std::sync::Arc;

use consensus::{Delivery, Effect, Input, Judgement, Outgoing, SignPoint, Step, WalSeq};
use protocol::block::{Block, Body, HEADER_VERSION, Header};
use protocol::digest::{BlockId, Digest, sha256};
use protocol::signed::Message;
use protocol::units::{Height, Round, TimeMs};
use protocol::vote::{CommitCertificate, VoteKind};

use crate::node::Node;
use crate::world::{Local, Wire, World, chain, member, secret};

impl World {
    pub(crate) fn perform(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            let line = format!(
                "{:?}{:?}{} {node} {effect:?}",
                self.trace, self.random, self.now
            );
            self.trace = sha256(line.as_bytes());
            self.perform_one(node, effect);
        }
    }

    fn perform_one(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::SetTimer(id, after) => {
                let after = u64::try_from(after.as_millis()).unwrap();
                self.local(node, after, Local::Timer(id));
            }
            // Timers are never taken back here: the machine must cope with late ones.
            Effect::CancelTimer(_) => {}
            Effect::Wal {
                records,
                sign_mark,
                seq,
            } => {
                self.nodes[node].unsynced.push((seq, records, sign_mark));
                let delay = 1 + self.draw(self.faults.disk_ms);
                self.local(node, delay, Local::Durable(seq));
            }
            Effect::Broadcast {
                after,
                message,
                delivery,
            } => {
                self.check_release(node, after, &message, delivery);
                self.send_all(node, &message);
            }
            Effect::Commit {
                after,
                block,
                certificate,
            } => {
                assert!(
                    self.nodes[node].durable >= after,
                    "W: committed before the log"
                );
                self.commit(node, block, certificate);
            }
            Effect::FetchBody { id, peer } => {
                self.send(node, usize::from(peer.as_bytes()[0]), Wire::BodyRequest(id));
            }
            Effect::AskHeight { peer, height } => {
                let to = usize::from(peer.as_bytes()[0]);
                let best = self.nodes.iter().map(Node::tip).max().unwrap_or_default();
                let gap = best.0.saturating_sub(self.tip(node).0);
                if !(self.faults.swallow_ask)(gap) {
                    self.send(node, to, Wire::HeightRequest(height));
                }
            }
            Effect::Build { height, round } => self.build(node, height, round),
            Effect::Judge { height, id, block } => self.judge(node, height, id, &block),
            Effect::Contradiction(pair) => {
                assert_eq!(
                    pair.verify(&chain()),
                    Ok(()),
                    "A1: a pair that proves nothing"
                );
                let honest = (0..self.nodes.len()).filter(|n| !self.byzantine.contains(n));
                let accused = honest
                    .map(|n| secret(n).public())
                    .find(|key| *key == pair.signer());
                assert_eq!(accused, None, "A1: an honest validator is accused");
                self.nodes[node].contradictions.push(pair);
            }
            Effect::Freeze(conflict) => self.nodes[node].frozen = Some(*conflict),
            Effect::Halt(reason) => self.nodes[node].halted = Some(reason),
        }
    }

    fn check_release(
        &mut self,
        node: usize,
        after: WalSeq,
        message: &Outgoing,
        delivery: Delivery,
    ) {
        assert!(self.nodes[node].durable >= after, "W: sent before the log");
        let (point, digest, signer) = match message {
            Outgoing::Vote(vote) => {
                let step = match vote.message.kind {
                    VoteKind::Prevote => Step::Prevote,
                    VoteKind::Precommit => Step::Precommit,
                };
                if vote.message.block.is_none() && step == Step::Prevote {
                    self.nil_prevotes.insert(vote.message.height);
                }
                let (height, round) = (vote.message.height, vote.message.round);
                (
                    SignPoint {
                        height,
                        round,
                        step,
                    },
                    vote.message.signing_digest(&chain()),
                    vote.message.signer,
                )
            }
            Outgoing::Proposal(proposal, _) => {
                let (height, round) = (proposal.message.height, proposal.message.round);
                let point = SignPoint {
                    height,
                    round,
                    step: Step::Propose,
                };
                (
                    point,
                    proposal.message.signing_digest(&chain()),
                    proposal.message.signer,
                )
            }
            Outgoing::Certificate(_) => return,
        };
        let first = *self.signed.entry((signer, point)).or_insert(digest);
        assert_eq!(first, digest, "O3: two values signed at {point:?}");
        if signer == secret(node).public() && delivery == Delivery::First {
            let mark = self.nodes[node].mark.expect("W: no sign mark is durable");
            assert!(mark.point >= point, "W: sent above the sign mark");
        }
    }

    fn commit(&mut self, node: usize, block: Arc<[u8]>, certificate: CommitCertificate) {
        let height = certificate.height;
        assert_eq!(Block::from_bytes(&block).unwrap().id(), certificate.block);
        let set = (self.faults.set)(height);
        assert_eq!(
            certificate.verify(&set, &chain()),
            Ok(()),
            "O2: certificate of {height}"
        );
        let first = *self.ids.entry(height).or_insert(certificate.block);
        assert_eq!(first, certificate.block, "O1: two blocks at {height}");
        assert_eq!(
            self.tip(node).next(),
            height,
            "heights are committed in order"
        );
        self.nodes[node].blocks.insert(height, (block, certificate));
        let delay = 1 + self.draw(5);
        self.local(node, delay, Local::Committed(height));
    }

    /// A block whose builder, height and round are its only transaction.
    fn build(&mut self, node: usize, height: Height, round: Round) {
        let block = self.make_block(node, height, round);
        let (id, block) = (block.id(), Arc::from(block.to_bytes()));
        let input = Input::Built {
            height,
            round,
            id,
            block,
        };
        self.local(node, 2, Local::Input(Box::new(input)));
    }

    pub(crate) fn make_block(&self, node: usize, height: Height, round: Round) -> Block {
        let mut text = vec![node as u8];
        text.extend_from_slice(&round.0.to_be_bytes());
        // Every third height is too large to ride on its proposal.
        let filler = if height.0.is_multiple_of(3) {
            60_000
        } else {
            10
        };
        let body = Body(vec![text, vec![7; filler]]);
        let parent = self.nodes[node].blocks.get(&height.previous());
        let header = Header {
            version: HEADER_VERSION,
            height,
            time_ms: TimeMs(self.now),
            parent: parent.map_or(chain().0, |(_, certificate)| certificate.block.0),
            state_root: Digest::ZERO,
            body_hash: body.hash(),
            next_set: (self.faults.set)(height.next()).digest(),
            builder: member(node, 1).id,
        };
        Block { header, body }
    }

    /// The verdict is a pure function of the parent and the block.
    fn judge(&mut self, node: usize, height: Height, id: BlockId, bytes: &[u8]) {
        let block = Block::from_bytes(bytes).unwrap();
        let round = Round(u32::from_be_bytes(block.body.0[0][1..].try_into().unwrap()));
        let parent = self.nodes[node].blocks.get(&height.previous());
        let expected = parent.map_or(chain().0, |(_, certificate)| certificate.block.0);
        let is_good = block.header.height == height
            && block.header.parent == expected
            && !(self.faults.is_invalid)(height, round);
        let verdict = if is_good {
            Judgement::Valid {
                early_by_ms: (self.faults.early_by_ms)(self.now, height, round),
            }
        } else {
            Judgement::Invalid
        };
        let input = Input::Verdict {
            height,
            id,
            verdict,
        };
        self.local(node, 1, Local::Input(Box::new(input)));
    }
}
