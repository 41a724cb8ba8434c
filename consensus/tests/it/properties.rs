//! What holds for every schedule, drawn at random and shrunk to the smallest that breaks it.

use std::collections::BTreeMap;

use consensus::admission::Admission;
use consensus::{Effect, Machine, Record, SignPoint};
use proptest::prelude::*;
use protocol::digest::{BlockId, Digest, sha256};
use protocol::envelope::{EnvelopeHeader, seal_proposal, seal_vote};
use protocol::signed::Signed;
use protocol::units::{Height, Round};
use protocol::vote::{BodyPlace, Proposal, Vote, VoteKind};

use crate::crashes::floor;
use crate::world::{Faults, World, chain, members, secret};

/// The core's lookahead.
const ROUNDS_AHEAD: u32 = 10;

/// Something that happens to a node.
#[derive(Clone, Copy, Debug)]
struct Crash {
    victim: usize,
    after_ms: u64,
    /// Records of the batches in flight that reached the disk all the same.
    kept: usize,
    down_ms: u64,
}

fn crash() -> impl Strategy<Value = Crash> {
    (0..4_usize, 0..700_u64, 0..6_usize, 0..400_u64).prop_map(
        |(victim, after_ms, kept, down_ms)| Crash {
            victim,
            after_ms,
            kept,
            down_ms,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// Goal: under any interleaving and durability delay no slot gets two signatures. The world's
    /// oracles O3 and W look at every message that leaves, across crashes.
    #[test]
    fn no_slot_gets_two_signatures(
        seed in any::<u64>(),
        disk_ms in prop_oneof![1..10_u64, 10..300_u64, 300..2_000_u64],
        crashes in prop::collection::vec(crash(), 0..12),
    ) {
        let faults = Faults { disk_ms, ..Faults::default() };
        let mut world = World::new(4, seed, faults);
        world.boot_all();
        for Crash { victim, after_ms, kept, down_ms } in crashes {
            world.run_for(after_ms);
            world.nodes[victim].crash(kept);
            world.run_for(down_ms);
            world.boot(victim);
        }
        world.run_for(3_000);
        let halted: Vec<_> = world.nodes.iter().filter_map(|node| node.halted.clone()).collect();
        prop_assert!(halted.is_empty(), "{halted:?}");
    }
}

/// A message of a member that the window has not seen.
#[derive(Clone, Copy, Debug)]
struct Fresh {
    signer: usize,
    /// Counted from the lowest round.
    round: u32,
    kind: Option<VoteKind>,
    block: Option<u8>,
}

fn fresh() -> impl Strategy<Value = Fresh> {
    let kind = prop_oneof![
        Just(None),
        Just(Some(VoteKind::Prevote)),
        Just(Some(VoteKind::Precommit)),
    ];
    (0..4_usize, 0..16_u32, kind, any::<Option<u8>>()).prop_map(|(signer, round, kind, block)| {
        Fresh {
            signer,
            round,
            kind,
            block,
        }
    })
}

fn envelope(height: Height, round: Round, message: Fresh, signer: usize) -> Vec<u8> {
    let id = |byte: u8| BlockId(sha256(&[byte]));
    let key = secret(signer).public();
    match message.kind {
        Some(kind) => seal_vote(&Signed::sign(
            Vote {
                kind,
                height,
                round,
                block: message.block.map(id),
                signer: key,
            },
            &secret(signer),
            &chain(),
        )),
        None => seal_proposal(
            &Signed::sign(
                Proposal {
                    height,
                    round,
                    pol_round: None,
                    block: id(message.block.unwrap_or_default()),
                    body: BodyPlace::Apart,
                    signer: key,
                },
                &secret(signer),
                &chain(),
            ),
            &[],
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// Goal: the filter lets every valid message of the current height within the lookahead in, unless
    /// its slot holds two already: then it can prove nothing more.
    #[test]
    fn filter_admits_every_valid_message_of_the_height(
        seed in any::<u64>(),
        pause in 0..4_000_u64,
        messages in prop::collection::vec(fresh(), 1..24),
    ) {
        // Every third height goes through several rounds.
        let faults = Faults {
            is_invalid: |height, round| height.0.is_multiple_of(3) && round < Round(3),
            ..Faults::default()
        };
        let mut world = World::new(4, seed, faults);
        world.boot_all();
        world.run_for(pause);
        let window = world.nodes[0].machine.as_ref().unwrap().window();
        let height = window.height();
        for message in messages {
            let round = Round(message.round.min(window.round().0 + ROUNDS_AHEAD));
            let signer = match message.kind {
                Some(_) => message.signer,
                None => {
                    let key = window.proposer(height, round).unwrap();
                    (0..4).find(|node| secret(*node).public() == key).unwrap()
                }
            };
            let bytes = envelope(height, round, message, signer);
            let header = EnvelopeHeader::parse(&bytes).unwrap();
            let held = window.messages(height, round);
            let in_slot = held.iter().filter(|held| {
                let held = EnvelopeHeader::parse(held).unwrap();
                (held.kind, held.signer) == (header.kind, header.signer)
            });
            let expected = if in_slot.count() < 2 { Admission::Admit } else { Admission::Duplicate };
            prop_assert_eq!(window.admit(&header), expected, "{:?} at {} {:?}", message, height, round);
        }
    }
}

/// What a log says was signed.
fn signed(log: &[Record]) -> BTreeMap<SignPoint, Digest> {
    let marks = log.iter().filter_map(|record| match record {
        Record::Own { mark, .. } => Some((mark.point, mark.digest)),
        _ => None,
    });
    marks.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..Default::default() })]

    /// Goal: a log cut after any record replays: no halt, nothing signed again, nothing signed twice,
    /// and no record of the cut log written a second time.
    #[test]
    fn log_cut_anywhere_replays(seed in any::<u64>(), pause in 600..4_000_u64, node in 0..4_usize) {
        let faults = Faults {
            is_invalid: |height, round| height.0.is_multiple_of(2) && round < Round(2),
            ..Faults::default()
        };
        let mut world = World::new(4, seed, faults);
        world.boot_all();
        world.run_for(pause);
        let node = &mut world.nodes[node];
        let tip = node.tip();
        let whole: Vec<Record> = node.log.iter().filter(|r| r.height() > tip).cloned().collect();
        for cut in 0..=whole.len() {
            node.log = whole[..cut].to_vec();
            node.mark = floor(&node.log);
            let before = signed(&node.log);
            let (mut machine, mut effects) = Machine::boot(node.start_values(|_| members(4))).unwrap();
            effects.extend(machine.step(consensus::Input::Durable(consensus::WalSeq(u64::MAX))));
            for effect in effects {
                match effect {
                    Effect::Halt(halt) => {
                        let said = format!("cut {cut} of {}: {halt}", whole.len());
                        return Err(TestCaseError::fail(said));
                    }
                    Effect::Wal { records, .. } => {
                        let again = signed(&records).into_keys().find(|point| before.contains_key(point));
                        prop_assert_eq!(again, None, "cut {} of {}", cut, whole.len());
                        let body = records.iter().find(|r| {
                            matches!(r, Record::Body { .. }) && node.log.contains(r)
                        });
                        prop_assert!(body.is_none(), "cut {cut}: a body is logged twice");
                    }
                    _ => {}
                }
            }
        }
    }
}
