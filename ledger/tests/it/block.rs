//! Header rules, body rules, and that a refused block changes nothing.

use ledger::{BlockInvalid, verify_body};
use protocol::block::{Body, Header};
use protocol::digest::{Digest, ValidatorId, sha256};
use protocol::units::{Amount, Height, TimeMs};

use crate::world::World;

type Change = fn(&mut Header);
type Expect = fn(&BlockInvalid) -> bool;

#[test]
fn every_header_field_is_checked() {
    let mut world = World::new();
    world.blocks(3);
    let header = world.header(&[]);
    assert!(world.state.apply(&header, &[]).is_ok());
    let rows: [(&str, Change, Expect); 10] = [
        (
            "version",
            |h| h.version = 2,
            |e| matches!(e, BlockInvalid::Height { .. }),
        ),
        (
            "height",
            |h| h.height = Height(9),
            |e| matches!(e, BlockInvalid::Height { .. }),
        ),
        (
            "again",
            |h| h.height = Height(3),
            |e| matches!(e, BlockInvalid::Height { .. }),
        ),
        (
            "parent",
            |h| h.parent = Digest::ZERO,
            |e| matches!(e, BlockInvalid::Parent { .. }),
        ),
        (
            "same time",
            |h| h.time_ms.0 -= 500,
            |e| matches!(e, BlockInvalid::Time { .. }),
        ),
        (
            "past",
            |h| h.time_ms = TimeMs(0),
            |e| matches!(e, BlockInvalid::Time { .. }),
        ),
        (
            "future",
            |h| h.time_ms.0 += 59_501,
            |e| matches!(e, BlockInvalid::Time { .. }),
        ),
        (
            "root",
            |h| h.state_root = sha256(b""),
            |e| matches!(e, BlockInvalid::StateRoot { .. }),
        ),
        (
            "set",
            |h| h.next_set = sha256(b""),
            |e| matches!(e, BlockInvalid::NextSet { .. }),
        ),
        (
            "builder",
            |h| h.builder = ValidatorId::ZERO,
            |e| matches!(e, BlockInvalid::Builder(ValidatorId::ZERO)),
        ),
    ];
    for (name, change, expected) in rows {
        let mut changed = header;
        change(&mut changed);
        let error = world.state.apply(&changed, &[]).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
    }
    let mut edge = header;
    edge.time_ms.0 += 59_500;
    assert!(world.state.apply(&edge, &[]).is_ok(), "a minute is allowed");
}

#[test]
fn headers_carry_the_root_before_and_chain_to_genesis() {
    let mut world = World::new();
    let first = world.header(&[]);
    assert_eq!(first.parent, world.chain().0);
    assert_eq!(first.state_root, world.state.root());
    world.block(&[]);
    let second = world.header(&[]);
    assert_eq!(second.parent, first.id().0);
    assert_ne!(
        second.state_root, first.state_root,
        "the head is part of the state"
    );
    assert_eq!(world.state.clamp_time(TimeMs(0)).0, second.time_ms.0 - 499);
    assert_eq!(
        world.state.clamp_time(TimeMs::MAX).0,
        second.time_ms.0 - 500 + 60_000
    );
}

#[test]
fn bodies_are_decoded_and_verified() {
    let mut world = World::new();
    let good = world.transfer("client-0", "x", Amount(1));
    let bytes = good.to_bytes();
    let verified = verify_body(&world.state, &Body(vec![bytes.clone()])).unwrap();
    world.block(&verified);
    let mut forged = bytes.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(
        verify_body(&world.state, &Body(vec![bytes.clone(), forged])).unwrap_err(),
        BlockInvalid::Signature { index: 1 }
    );
    let mut longer = bytes;
    longer.insert(100, 0);
    assert!(matches!(
        verify_body(&world.state, &Body(vec![longer])),
        Err(BlockInvalid::Decode { index: 0, .. })
    ));
    let other = World::with(
        protocol::params::Params::local(),
        &[("alice", 200), ("bob", 200), ("carol", 200)],
    );
    let foreign = other.transfer("client-0", "x", Amount(1)).to_bytes();
    assert_eq!(
        verify_body(&world.state, &Body(vec![foreign])).unwrap_err(),
        BlockInvalid::Signature { index: 0 },
        "another chain's transaction"
    );
}

#[test]
fn same_blocks_same_state() {
    let run = || {
        let mut world = World::new();
        let job = world.submit(world.spec("m"));
        world.run(job);
        (world.state.root(), world.events.clone())
    };
    assert_eq!(run(), run());
}

/// A golden root: any change of a leaf's layout shows here.
#[test]
fn golden_roots() {
    let mut world = World::new();
    assert_eq!(world.state.root().to_string(), GENESIS_ROOT);
    let job = world.submit(world.spec("m"));
    world.run(job);
    assert_eq!(world.state.root().to_string(), ROOT_AFTER_JOB);
}

const GENESIS_ROOT: &str = "116bcc48627bfb16604a736b657c9d169f2f793dfe27a989aa7aee8c139149d0";
const ROOT_AFTER_JOB: &str = "d10f96134696c4024f8f2391a6ba7b94300f4e37c694825c3c7d13895a31ce27";
