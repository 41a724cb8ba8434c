//! Double signing: what proves it, what it costs, and what proves nothing.

use ledger::TxError;
use ledger::staking::Exit;
use protocol::digest::{BlockId, sha256};
use protocol::envelope::{seal_proposal, seal_vote};
use protocol::events::{Event, Offence};
use protocol::evidence::EvidenceKind;
use protocol::params::Params;
use protocol::signed::{Signed, Verified};
use protocol::tx::{KeyKind, SubmitEvidence, Tx, TxBody};
use protocol::units::{Amount, Height, Round};
use protocol::vote::{BodyPlace, Proposal, Vote, VoteKind};

use crate::world::{World, address, key};

fn vote(world: &World, name: &str, height: Height, block: &[u8]) -> Vec<u8> {
    let consensus = key(&format!("{name}/consensus"));
    let vote = Vote {
        kind: VoteKind::Precommit,
        height,
        round: Round(0),
        block: Some(BlockId(sha256(block))),
        signer: consensus.public(),
    };
    seal_vote(&Signed::sign(vote, &consensus, &world.chain()))
}

fn votes(world: &World, name: &str, height: Height) -> SubmitEvidence {
    let (a, b) = (
        vote(world, name, height, b"a"),
        vote(world, name, height, b"b"),
    );
    SubmitEvidence {
        kind: EvidenceKind::DoubleVote,
        a,
        b,
    }
}

/// Evidence of a double vote, reported by `rich`.
pub(crate) fn double_vote(world: &World, name: &str, height: Height) -> Verified<Tx> {
    world.wallet("rich", TxBody::SubmitEvidence(votes(world, name, height)))
}

fn double_proposal(world: &World, name: &str, height: Height) -> SubmitEvidence {
    let consensus = key(&format!("{name}/consensus"));
    let seal = |block: &[u8]| {
        let proposal = Proposal {
            height,
            round: Round(0),
            pol_round: None,
            block: BlockId(sha256(block)),
            body: BodyPlace::Inline,
            signer: consensus.public(),
        };
        seal_proposal(&Signed::sign(proposal, &consensus, &world.chain()), &[])
    };
    SubmitEvidence {
        kind: EvidenceKind::DoubleProposal,
        a: seal(b"a"),
        b: seal(b"b"),
    }
}

/// 1,000 PAL: 5 % is 50 PAL, of which the reporter gets 5 %, 2.5 PAL; the rest burns, the stake
/// unbonds, the validator is out for ever.
#[test]
fn a_double_vote_costs_five_percent_and_the_place() {
    let mut world = World::new();
    world.blocks(3);
    let burned = world.state.pools().burned;
    let tx = double_vote(&world, "mallory", Height(2));
    world.block(&[tx]);
    assert_eq!(
        world.balance("rich"),
        Amount(5_000_000_000 + 2_500_000),
        "and the fee returns"
    );
    assert_eq!(world.state.pools().burned, Amount(burned.0 + 47_500_000));
    let row = world.row("mallory");
    assert!(matches!(row.exit, Some(Exit::Tombstoned(_))));
    assert_eq!(row.bonded, Amount::ZERO);
    let mallory = world.validator("mallory");
    let rest: Vec<_> = world
        .state
        .unbonding_of(&mallory)
        .map(|(_, entry)| entry.amount)
        .collect();
    assert_eq!(rest, [Amount::pal(950)]);
    assert!(
        world.events.iter().any(|event| matches!(event,
        Event::Slashed { offence: Offence::DoubleVote, amount, .. } if *amount == Amount::pal(50)))
    );
    let at = world.height();
    assert!(
        world
            .state
            .validator_set(at.plus(1))
            .unwrap()
            .get(&mallory)
            .is_some()
    );
    assert!(
        world
            .state
            .validator_set(at.plus(2))
            .unwrap()
            .get(&mallory)
            .is_none()
    );
    for honest in ["alice", "bob", "carol"] {
        assert_eq!(world.row(honest).bonded, Amount::pal(1_000));
    }
    let unjail = crate::staking::unjail(&world, "mallory", world.height());
    assert_eq!(world.refused(unjail), TxError::Tombstoned);
}

#[test]
fn a_double_proposal_costs_the_same_and_session_keys_report_for_free() {
    let mut world = World::new();
    world.blocks(3);
    let before = world.balance("alice/operator");
    let body = TxBody::SubmitEvidence(double_proposal(&world, "mallory", Height(3)));
    let tx = world.session("alice", body);
    assert_eq!(tx.message().fee, Amount::ZERO);
    world.block(&[tx]);
    assert_eq!(world.row("mallory").bonded, Amount::ZERO);
    assert!(world.balance("alice/operator").0 >= before.0 + 2_500_000);
}

/// 30,000 PAL of stake: 5 % is 1,500, 5 % of that 75; only above 400,000 PAL would the cap of 1,000
/// bind, so a stake of 500,000 PAL shows it.
#[test]
fn the_reporters_share_is_capped() {
    let mut world = World::with(Params::local(), &[("a", 1_000), ("whale", 500_000)]);
    world.blocks(1);
    let tx = double_vote(&world, "whale", Height(1));
    world.block(&[tx]);
    assert_eq!(world.balance("rich"), Amount::pal(6_000));
}

#[test]
fn nothing_is_punished_twice() {
    let mut world = World::new();
    world.blocks(2);
    let tx = double_vote(&world, "mallory", Height(2));
    world.block(&[tx]);
    let again = double_vote(&world, "mallory", Height(2));
    assert_eq!(world.refused(again), TxError::EvidenceKnown);
    let other = double_vote(&world, "mallory", Height(1));
    assert_eq!(world.refused(other), TxError::OffenderGone);
    let other = world.wallet(
        "rich",
        TxBody::SubmitEvidence(double_proposal(&world, "mallory", Height(1))),
    );
    assert_eq!(world.refused(other), TxError::OffenderGone);
}

#[test]
fn what_proves_nothing_is_refused_and_pays_its_fee() {
    let mut world = World::new();
    world.blocks(2);
    let honest = SubmitEvidence {
        b: vote(&world, "mallory", Height(2), b"a"),
        ..votes(&world, "mallory", Height(2))
    };
    let tx = world.wallet("rich", TxBody::SubmitEvidence(honest.clone()));
    let fee = tx.message().fee;
    assert_eq!(world.refused(tx).code(), "evidence.not_contradicting");
    assert_eq!(world.balance("rich"), Amount(5_000_000_000 - fee.0));
    let free = world.session("alice", TxBody::SubmitEvidence(honest));
    assert!(
        world.try_block(&[free]).is_err(),
        "free of fee: the block is invalid"
    );
    let future = double_vote(&world, "mallory", world.height().plus(2));
    assert!(matches!(
        world.refused(future),
        TxError::EvidenceFuture { .. }
    ));
    let stranger = double_vote(&world, "stranger", Height(2));
    assert_eq!(world.refused(stranger), TxError::NotMember);
    let mut forged = votes(&world, "mallory", Height(2));
    let last = forged.b.len() - 1;
    forged.b[last] ^= 1;
    let tx = world.wallet("rich", TxBody::SubmitEvidence(forged));
    assert!(matches!(world.refused(tx), TxError::Pair(_)));
    assert_eq!(world.row("mallory").bonded, Amount::pal(1_000));
}

/// A candidate's consensus key is known before it votes: no member, no evidence.
#[test]
fn only_members_of_that_height_can_double_sign() {
    let mut world = World::new();
    world.names.push("late".to_owned());
    let tx = crate::staking::registration(&world, "late", "client-1", 300);
    world.block(&[tx]);
    let early = double_vote(&world, "late", Height(1));
    assert_eq!(world.refused(early), TxError::NotMember);
    world.blocks(8);
    let tx = double_vote(&world, "late", Height(8));
    world.block(&[tx]);
    assert!(world.row("late").exit.is_some());
}

/// Past both limits, blocks and time: 40 blocks and 20 s. At 500 ms a block both fall together at 41;
/// with slow time the blocks alone do not forgive.
#[test]
fn evidence_expires_past_both_limits_only() {
    let mut world = World::new();
    world.blocks(41);
    let tx = double_vote(&world, "mallory", Height(1));
    assert_eq!(
        world.state.admit(&tx).err(),
        None,
        "41 - 1 is 40 blocks: not past yet"
    );
    world.blocks(1);
    let tx = double_vote(&world, "mallory", Height(1));
    assert_eq!(world.refused(tx), TxError::EvidenceExpired);

    let mut params = Params::local();
    params.evidence_age_ms.0 = 30_000;
    let mut world = World::with(
        params,
        &[("alice", 1_000), ("bob", 1_000), ("mallory", 1_000)],
    );
    world.blocks(50);
    let tx = double_vote(&world, "mallory", Height(1));
    world.block(&[tx]);
    assert!(world.row("mallory").exit.is_some());
}

#[test]
fn stake_that_left_after_the_offence_is_reached() {
    let mut world = World::new();
    world.blocks(2);
    let body = TxBody::Unbond(protocol::tx::Unbond {
        amount: Amount::pal(1_000),
    });
    let tx = world.wallet("mallory/operator", body);
    world.block(&[tx]);
    assert_eq!(world.row("mallory").exit, Some(Exit::Gone));
    let tx = double_vote(&world, "mallory", Height(2));
    world.block(&[tx]);
    let mallory = world.validator("mallory");
    let rest: Vec<_> = world
        .state
        .unbonding_of(&mallory)
        .map(|(_, entry)| entry.amount)
        .collect();
    assert_eq!(rest, [Amount::pal(950)]);
    assert!(matches!(
        world.row("mallory").exit,
        Some(Exit::Tombstoned(_))
    ));
}

#[test]
fn records_and_old_sets_are_dropped_when_nothing_can_refer_to_them() {
    let mut world = World::new();
    world.blocks(2);
    let tx = double_vote(&world, "mallory", Height(2));
    world.block(&[tx]);
    assert_eq!(world.state.evidence.len(), 1);
    world.blocks(41);
    assert_eq!(world.state.evidence.len(), 0);
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::EvidenceExpired { .. }))
    );
    assert_eq!(world.state.powers.len(), 5, "four joined, one left");
    world.blocks(1_010);
    assert_eq!(world.state.powers.len(), 3, "only those in force are left");
    assert_eq!(world.state.blocks.len(), 1_001);
}

#[test]
fn evidence_comes_first_in_a_block() {
    let mut world = World::new();
    world.blocks(2);
    let transfer = world.transfer("client-0", "x", Amount(1));
    let tx = double_vote(&world, "mallory", Height(2));
    assert!(matches!(
        world.try_block(&[transfer.clone(), tx.clone()]),
        Err(ledger::BlockInvalid::Evidence { index: 1 })
    ));
    world.block(&[tx, transfer]);
}

#[test]
fn nonces_of_reporting_wallets_advance() {
    let mut world = World::new();
    world.blocks(2);
    let tx = double_vote(&world, "mallory", Height(2));
    world.block(std::slice::from_ref(&tx));
    assert_eq!(world.state.account(&address("rich")).nonce, 1);
    assert_eq!(tx.message().key_kind, KeyKind::Wallet);
    assert_eq!(world.refused(tx).code(), "tx.stale_nonce");
}

/// The block limit alone, time being long past: forty blocks are in, forty-one are out.
#[test]
fn the_block_limit_is_inclusive() {
    let mut params = Params::local();
    params.evidence_age_ms.0 = 1;
    let mut world = World::with(
        params,
        &[("alice", 1_000), ("bob", 1_000), ("mallory", 1_000)],
    );
    world.blocks(40);
    let tx = double_vote(&world, "mallory", Height(1));
    assert_eq!(world.state.admit(&tx).err(), None);
    let older = world.wallet(
        "rich",
        TxBody::SubmitEvidence(votes(&world, "mallory", Height(0))),
    );
    assert!(world.state.admit(&older).is_err(), "no block, no votes");
    world.blocks(1);
    let tx = double_vote(&world, "mallory", Height(1));
    assert_eq!(world.refused(tx), TxError::EvidenceExpired);
}

/// Whoever holds a proof asks whether to go on: no later block may take one from below the floor, the
/// next one still takes one from it.
#[test]
fn the_floor_is_where_evidence_expires() {
    for (age_ms, expected) in [(1, 10), (20_000, 10), (30_000, 0)] {
        let mut params = Params::local();
        params.evidence_age_ms.0 = age_ms;
        let mut world = World::with(params, &[("alice", 1_000), ("bob", 1_000)]);
        assert_eq!(world.state.evidence_floor(), Height(0));
        world.blocks(50);
        let floor = world.state.evidence_floor();
        assert_eq!(floor, Height(expected), "{age_ms} ms");
        let head = world.state.head();
        let expired = |at| world.state.evidence_expired(at, head.height, head.time_ms);
        assert!((0..=50).all(|at| expired(Height(at)) == (Height(at) < floor)));
    }
}
